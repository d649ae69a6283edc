"""Validation of the attributes of images in requests."""

import json

import pytest

from glancelite import contract
from glancelite.contract import query
from glancelite.domain import patch
from glancelite.schema import image
from glancelite.schema.image import ImageSchema

ID = '016A685B-edf6-4a06-bc21-7b7f6a23187b'


@pytest.fixture(scope='module')
def schema():
    return ImageSchema(('raw', 'qcow2'), ('bare', 'ovf'))


def extended(extra):
    return ImageSchema(('raw',), ('bare',), extra)


def test_an_empty_body_creates_an_image_without_attributes(schema):
    assert schema.create({}) == image.Creation({}, {})


def test_attributes_and_custom_properties_are_separated(schema):
    body = {'id': ID, 'name': 'ü', 'disk_format': 'raw', 'container_format': None, 'min_ram': 1.0,
            'tags': ['b', 'a', 'b'], 'visibility': 'public', 'protected': True, 'os_hidden': False,
            'owner': 'p', 'min_disk': 2, 'os_distro': 'x'}

    asked = schema.create(body)

    assert asked.fields == {
        'id': ID.lower(), 'name': 'ü', 'disk_format': 'raw', 'container_format': None,
        'min_ram': 1, 'tags': ('a', 'b'), 'visibility': 'public', 'protected': True,
        'os_hidden': False, 'owner': 'p', 'min_disk': 2}
    assert type(asked.fields['min_ram']) is int
    assert asked.properties == {'os_distro': 'x'}
    assert asked.read_only == ()


@pytest.mark.parametrize('body', [None, [], 'x', 5, True])
def test_an_image_is_an_object(schema, body):
    with pytest.raises(contract.Invalid):
        schema.create(body)


@pytest.mark.parametrize('name', ['direct_url', 'self', 'file', 'schema', 'stores',
                                  'os_hash_algo', 'os_hash_value'])
def test_attributes_that_the_service_computes_are_forbidden_before_other_checks(schema, name):
    with pytest.raises(contract.Forbidden, match=name):
        schema.create({'name': 5, name: 5})


@pytest.mark.parametrize(('name', 'value', 'rule'), [
    ('name', 5, 'null or a string'), ('name', 'x' * 256, '255'), ('owner', 'x' * 256, '255'),
    ('owner', [], 'an array'), ('id', 'x', 'must match'), ('id', f'{ID}\n', 'must match'),
    ('id', None, 'a string'), ('visibility', 'all', 'one of community, public, private, shared'),
    ('visibility', None, 'a string'), ('protected', 'true', 'a boolean'),
    ('protected', 1, 'a boolean'), ('os_hidden', None, 'a boolean'), ('min_ram', True, 'integer'),
    ('min_ram', 1.5, 'integer'), ('min_disk', '1', 'integer'), ('min_disk', None, 'integer'),
    ('disk_format', 'iso', 'one of null, raw, qcow2'), ('container_format', 'ova', 'null, bare'),
    ('tags', 'x', 'an array'), ('tags', [5], 'item 0'), ('tags', ['a', 'x' * 256], 'item 1'),
    ('status', 'sleeping', 'one of queued'), ('size', 'x', 'null or an integer'),
    ('custom', 5, 'a string'), ('custom', None, 'a string'), ('custom', True, 'a string'),
    ('custom', {}, 'an object')])
def test_the_error_names_the_attribute_and_the_rule(schema, name, value, rule):
    for check in (lambda: schema.create({name: value}),
                  lambda: schema.validate_attribute(name, value)):
        with pytest.raises(contract.Invalid) as refused:
            check()

        assert name in str(refused.value)
        assert rule in str(refused.value)
        assert refused.value.details == {'attribute': name}


@pytest.mark.parametrize('name', ['location', 'deleted', 'deleted_at', 'os_glance_x',
                                  'os_glance_import_task'])
def test_reserved_names_are_forbidden(schema, name):
    with pytest.raises(contract.Forbidden, match='reserved'):
        schema.create({name: 'x'})


@pytest.mark.parametrize('number', ['NaN', 'Infinity', '-Infinity', '1e999'])
def test_metadata_of_locations_must_be_json(schema, number):
    value = [{'url': 'http://x', 'metadata': {'deep': [{'weight': json.loads(number)}]}}]

    with pytest.raises(contract.Invalid, match='metadata'):
        schema.validate_attribute('locations', value)


def test_a_creation_checks_locations_and_then_forbids_them(schema):
    with pytest.raises(contract.Invalid, match='metadata'):
        schema.create({'locations': [{'url': 'x'}]})
    with pytest.raises(contract.Forbidden, match='locations'):
        schema.create({'locations': [{'url': 'x', 'metadata': {}}]})


@pytest.mark.parametrize('name', ['', 'x' * 256])
def test_names_of_custom_properties_have_1_to_255_characters(schema, name):
    with pytest.raises(contract.Invalid):
        schema.create({name: 'x'})


def test_read_only_attributes_are_reported_for_later(schema):
    asked = schema.create({'updated_at': 'x', 'size': 5, 'status': 'active', 'checksum': None,
                           'virtual_size': 1, 'created_at': 'x', 'name': 'n'})

    assert asked.read_only == ('status', 'size', 'checksum', 'virtual_size', 'created_at',
                               'updated_at')
    assert asked.fields == {'name': 'n'}
    assert asked.properties == {}


def test_a_broken_schema_comes_before_a_reserved_name(schema):
    with pytest.raises(contract.Invalid):
        schema.create({'os_glance_x': 'x', 'name': 5})


@pytest.mark.parametrize(('name', 'value', 'kept'), [
    ('name', None, None), ('min_ram', 2.0, 2), ('tags', ['b', 'a', 'a'], ('a', 'b')),
    ('custom', 'x', 'x'), ('locations', [], [])])
def test_a_patched_attribute_is_returned_as_it_is_stored(schema, name, value, kept):
    assert schema.validate_attribute(name, value) == kept


def test_patches_and_the_table_agree_on_the_attributes(schema):
    fields = schema.resource.fields

    assert {field.name for field in fields if field.patch} == patch.WRITABLE
    assert ({field.name for field in fields if field.read_only} | {'id'}) == patch.READ_ONLY


def test_listings_and_the_table_agree_on_the_sort_keys():
    assert {field.name for field in image.FIELDS if field.sort} == set(query.SORT_KEYS)


@pytest.mark.parametrize('extra', [
    {'kernel_id': {'type': ['null', 'string'], 'pattern': '^[0-9]+$', 'description': 'k'}},
    {'properties': {'kernel_id': {'type': ['null', 'string'], 'pattern': '^[0-9]+$'}}}])
def test_an_operator_may_define_custom_properties(extra):
    schema = extended(extra)

    assert schema.create({'kernel_id': '12', 'x': 'y'}).properties == {'kernel_id': '12', 'x': 'y'}
    assert schema.create({'kernel_id': None}).properties == {'kernel_id': ''}
    with pytest.raises(contract.Invalid, match='kernel_id'):
        schema.create({'kernel_id': 'twelve'})
    assert schema.resource.fields[-1].name == 'kernel_id'
    assert schema.resource.fields[-1].schema()['is_base'] is False


def test_an_operator_may_use_all_of_json_schema():
    schema = extended({'level': {'type': 'integer', 'maximum': 4}})

    assert schema.create({'level': 4}).properties == {'level': '4'}
    assert schema.validate_attribute('level', 4) == '4'
    with pytest.raises(contract.Invalid, match=r'level.*maximum'):
        schema.create({'level': 5})


def test_required_properties_are_required_of_every_patch_too():
    schema = extended({'properties': {'os': {'type': 'string'}}, 'required': ['os']})

    assert schema.create({'os': 'x'}).properties == {'os': 'x'}
    assert schema.validate_attribute('os', 'x') == 'x'
    for check in (lambda: schema.create({}), lambda: schema.validate_attribute('name', 'x')):
        with pytest.raises(contract.Invalid, match="'os' is required"):
            check()


def test_a_base_attribute_may_be_repeated_but_not_redefined():
    extended({'name': {'type': ['null', 'string'], 'maxLength': 255, 'description': 'mine'}})

    with pytest.raises(contract.Misconfigured, match='name'):
        extended({'name': {'type': 'string'}})


@pytest.mark.parametrize('extra', [
    [], 'x', {'os': 'string'}, {'os': {'type': 'text'}}, {'os': {'pattern': '('}},
    {'os': {'enum': 5}}, {'properties': {}, 'required': 'os'}])
def test_an_invalid_schema_prevents_the_start(extra):
    with pytest.raises(contract.Misconfigured, match='schema-image'):
        extended(extra)
