"""Files of metadata definitions: what is read, what is refused, and that nothing is lost."""

import json
import logging
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glancelite.contract import Invalid, NotFound
from glancelite.contract.metadef import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Namespace,
)
from glancelite.services import metadef_files

SHIPPED = sorted((pathlib.Path(__file__).parents[2] / 'etc/metadefs').glob('*.json'))

TEXTS = st.text(st.characters(exclude_categories=['Cs']), max_size=10)
OPTIONAL = st.none() | TEXTS
SCHEMAS = st.fixed_dictionaries(
    {'title': TEXTS, 'type': st.sampled_from(['string', 'integer', 'array'])},
    optional={'name': TEXTS, 'description': TEXTS,
              'default': TEXTS | st.integers() | st.booleans(),
              'minimum': st.integers() | st.floats(allow_nan=False, allow_infinity=False),
              'maxLength': st.integers(min_value=0), 'enum': st.lists(st.integers() | TEXTS),
              'items': st.fixed_dictionaries({'type': st.just('string')}),
              'operators': st.lists(TEXTS), 'readonly': st.booleans(),
              'required': st.lists(TEXTS, unique=True)})
MAPS = st.dictionaries(TEXTS, SCHEMAS, max_size=3)


def named(kind, **fields):
    return st.lists(st.builds(kind, TEXTS, **fields), max_size=3,
                    unique_by=lambda item: item.name).map(tuple)


DEFINITIONS = st.builds(
    Definition,
    st.builds(Namespace, TEXTS, display_name=OPTIONAL, description=OPTIONAL,
              visibility=st.sampled_from(['public', 'private']), protected=st.booleans(),
              owner=TEXTS),
    resource_types=named(Association, prefix=OPTIONAL, properties_target=OPTIONAL),
    objects=named(DefinedObject, description=OPTIONAL, properties=MAPS,
                  required=st.lists(TEXTS, unique=True).map(tuple)),
    properties=MAPS.map(lambda found: tuple(
        DefinedProperty(name, schema=schema) for name, schema in found.items())),
    tags=named(DefinedTag))


def parse(document):
    return metadef_files.parse(json.dumps(document).encode(), 'x.json')


@settings(max_examples=100, deadline=None)
@given(DEFINITIONS)
def test_a_definition_that_was_written_is_read_without_a_loss(definition):
    assert metadef_files.parse(
        metadef_files.format_definition(definition), 'x.json') == definition


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_the_files_of_the_package_can_be_read_and_written(path):
    definition = metadef_files.parse(path.read_bytes(), path.name)

    document = json.loads(metadef_files.format_definition(definition))
    assert {**document, 'owner': None} == {
        'visibility': 'private', 'protected': False, 'owner': None,
        **json.loads(path.read_text(encoding='utf-8'))}


def test_what_a_file_does_not_name_has_the_values_of_glance():
    assert parse({'namespace': 'A'}) == Definition(
        Namespace('A', visibility='private', protected=False, owner='admin'))


def test_a_namespace_without_an_owner_stays_without_one():
    data = metadef_files.format_definition(Definition(Namespace('A', owner=None)))

    assert metadef_files.parse(data, 'x.json').namespace.owner == ''


def test_the_reply_of_the_api_is_a_file_too():
    read = parse({
        'namespace': 'A', 'self': '/v2/metadefs/namespaces/A', 'created_at': 'today',
        'schema': '/v2/schemas/metadefs/namespace', 'display_name': None,
        'resource_type_associations': [{'name': 'OS::Nova::Flavor', 'prefix': None,
                                        'created_at': 'today'}],
        'objects': [{'name': 'o', 'self': '/v2', 'required': ['p'], 'description': None}]})

    assert read.namespace == Namespace('A', owner='admin')
    assert read.resource_types == (Association('OS::Nova::Flavor'),)
    assert read.objects == (DefinedObject('o', required=('p',)),)


def test_of_items_with_the_same_name_the_first_is_used(caplog):
    with caplog.at_level(logging.WARNING):
        read = parse({'namespace': 'A', 'objects': [
            {'name': 'o', 'description': 'first'}, {'name': 'o', 'description': 'second'}]})

    assert read.objects == (DefinedObject('o', description='first'),)
    assert "x.json: 'objects': o is there twice" in caplog.text


STRING = {'title': 'T', 'type': 'string'}


@pytest.mark.parametrize(('document', 'complaint'), [
    ([], 'must be an object'),
    ({}, "lacks 'namespace'"),
    ({'namespace': None}, "lacks 'namespace'"),
    ({'namespace': 5}, "'namespace' must be a string, not 5"),
    ({'namespace': 'x' * 81},
     "'namespace' must not be longer than 80 characters; it has 81"),
    ({'visibility': 'shared'},
     "'visibility' must be one of public, private; not 'shared'"),
    ({'protected': 'yes'}, "'protected' must be a boolean, not 'yes'"),
    ({'tags': {}}, "'tags' must be an array"),
    ({'tags': ['red']}, "'tags' item 0 must be an object"),
    ({'tags': [{'name': 'red'}, {}]}, "'tags' item 1 lacks 'name'"),
    ({'resource_type_associations': [{'prefix': 'hw_'}]},
     "'resource_type_associations' item 0 lacks 'name'"),
    ({'objects': [{'name': 'o', 'required': ['a', 'a']}]},
     "'objects' item 0 'required' must not have the same item twice"),
    ({'properties': []}, "'properties' must be an object"),
    ({'properties': {'p': {'title': 'T'}}}, "'properties' 'p' lacks 'type'"),
    ({'properties': {'p': {'title': 'T', 'type': 'text'}}},
     "'properties' 'p' 'type' must be one of array, boolean, integer, number, object, string, "
     "null; not 'text'"),
    ({'properties': {'p': {**STRING, 'confidential': True}}},
     "'properties' 'p' must not have 'confidential'"),
    ({'properties': {'p': {**STRING, 'minLength': -1}}},
     "'properties' 'p' 'minLength' must not be less than 0"),
    ({'properties': {'x' * 81: STRING}},
     "a name in 'properties' must not be longer than 80 characters; it has 81"),
    ({'objects': [{'name': 'o', 'properties': {'p': {**STRING, 'enum': 'a'}}}]},
     "'objects' item 0 'properties' 'p' 'enum' must be an array, not 'a'"),
])
def test_an_error_names_the_file_and_the_place(document, complaint):
    if document and isinstance(document, dict):
        document = {'namespace': 'A', **document}

    with pytest.raises(Invalid) as raised:
        parse(document)

    assert str(raised.value) == f'x.json: {complaint}'


@pytest.mark.parametrize(('data', 'complaint'), [
    (b'', 'the file is not JSON: Expecting value: line 1 column 1 (char 0)'),
    (b'{"namespace": "A",\n}', 'the file is not JSON: Expecting property name enclosed in '
     'double quotes: line 2 column 1 (char 19)'),
    (b'{"namespace": NaN}', 'the file is not JSON: NaN is no number of JSON'),
    (b'{"namespace": "\xe4"}', 'the file is not in UTF-8'),
    (b'{"namespace": "\\ud800"}', 'a text has half of a surrogate pair, which is no character'),
    (b'[' * 100_000, 'arrays and objects are nested too deeply'),
])
def test_a_file_that_is_not_json_is_an_error(data, complaint):
    with pytest.raises(Invalid) as raised:
        metadef_files.parse(data, 'x.json')

    assert str(raised.value).startswith(f'x.json: {complaint}'[:60])


def test_a_long_description_is_read_as_databases_have_them():
    assert parse({'namespace': 'A', 'description': 'x' * 501}).namespace.description == 'x' * 501


@pytest.mark.parametrize(('shown', 'file'), [
    ('CPU Pinning', 'CPUPinning.json'), ('a_b/../c', 'abc.json'), ('Größe 2', 'Größe2.json'),
    (None, 'OSA.json'), ('***', 'OSA.json'), ('x' * 80, 'x' * 60 + '.json')])
def test_a_file_has_the_letters_and_digits_of_the_name_to_display(shown, file):
    assert metadef_files.file_names([Namespace('OS::A', display_name=shown)]) == [file]


def test_files_have_different_names():
    assert metadef_files.file_names([
        Namespace('A', display_name='A B'), Namespace('B', display_name='AB'),
        Namespace('C', display_name='ab'), Namespace('::'), Namespace('')]) == [
        'AB.json', 'AB-2.json', 'ab-3.json', 'namespace.json', 'namespace-2.json']


class Records:
    """Writes down what ``load`` does; it knows one namespace, ``there``."""

    def __init__(self):
        self.calls = []

    def get(self, namespace):
        if namespace != 'there':
            raise NotFound(f'Namespace {namespace} not found')

    def __getattr__(self, name):
        def call(definition, **options):
            self.calls.append((name, definition.namespace.namespace, options))
        return call


@pytest.mark.parametrize(('mode', 'namespace', 'done', 'calls'), [
    *((mode, 'new', 'added', [('add', 'new', {'seeded': True})])
      for mode in ('skip', 'merge', 'prefer_new')),
    ('overwrite', 'new', 'replaced', [('replace', 'new', {'seeded': True})]),
    ('skip', 'there', 'skipped', []),
    ('merge', 'there', 'merged', [('merge', 'there', {'prefer_new': False, 'seeded': True})]),
    ('prefer_new', 'there', 'merged',
     [('merge', 'there', {'prefer_new': True, 'seeded': True})]),
    ('overwrite', 'there', 'replaced', [('replace', 'there', {'seeded': True})])])
def test_a_definition_is_recorded_by_one_call(mode, namespace, done, calls):
    records = Records()

    assert metadef_files.load(records, Definition(Namespace(namespace)), mode) == done

    assert records.calls == calls
