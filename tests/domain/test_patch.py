"""JSON patches: what they say, what they may, what they come to."""

import pytest

from glancelite import contract
from glancelite.domain import patch

IMAGE = contract.Image('i', name='old', owner='p', properties={'os': 'linux', 'arch': 'arm'},
                       tags=('a',))


def anything(name, value):
    return value


def parse(*steps, media_type=patch.DRAFT_10, validate=anything):
    return patch.parse(list(steps), media_type, validate)


def run(*steps, image=IMAGE, media_type=patch.DRAFT_10, is_admin=False):
    return patch.apply(image, parse(*steps, media_type=media_type), is_admin=is_admin)


def add(path, value):
    return {'op': 'add', 'path': path, 'value': value}


def replace(path, value):
    return {'op': 'replace', 'path': path, 'value': value}


def remove(path):
    return {'op': 'remove', 'path': path}


@pytest.mark.parametrize('content_type', [
    patch.DRAFT_10, f'{patch.DRAFT_10};charset=utf-8', f' {patch.DRAFT_10} ; x=y'])
def test_parameters_of_the_media_type_are_tolerated(content_type):
    assert patch.dialect(content_type) == patch.DRAFT_10


@pytest.mark.parametrize('content_type', ['', 'application/json', 'application/json-patch+json'])
def test_other_media_types_are_wrong_content(content_type):
    with pytest.raises(contract.WrongContent, match=r'v2\.0.*v2\.1'):
        patch.dialect(content_type)


@pytest.mark.parametrize('body', [
    None, {}, 'x', {'op': 'remove', 'path': '/x'}, [5], [[]], [None],
    [{'path': '/x', 'value': 'y'}], [{'op': 'add', 'value': 'y'}], [{'op': 'add', 'path': '/x'}],
    [{'op': 'replace', 'path': '/x'}], [{'op': 'move', 'path': '/x', 'value': 'y'}],
    [{'op': 'test', 'path': '/x', 'value': 'y'}], [{'op': 'copy', 'path': '/x', 'from': '/y'}],
    [{'op': ['add'], 'path': '/x', 'value': 'y'}], [{'op': None, 'path': '/x', 'value': 'y'}]])
def test_anything_but_a_patch_is_invalid(body):
    with pytest.raises(contract.Invalid):
        patch.parse(body, patch.DRAFT_10, anything)


@pytest.mark.parametrize('step', [
    {'value': 'x'}, {'add': '/x', 'remove': '/y', 'value': 'z'}, {'add': '/x'},
    {'op': 'add', 'path': '/x', 'value': 'y'}])
def test_the_older_dialect_has_exactly_one_operation_per_step(step):
    with pytest.raises(contract.Invalid):
        parse(step, media_type=patch.DRAFT_4)


@pytest.mark.parametrize('pointer', [
    'x', '', '/', '//', '//x', '/x/', '/x//y', '/ /x', '/   ', '/a~2b', '/a~', 5, None, ['x'],
    '/tags/-', '/name/x', '/x/y', '/locations', '/locations/0/url', '/' + 'x' * 256])
def test_a_bad_pointer_is_invalid(pointer):
    with pytest.raises(contract.Invalid):
        parse(add(pointer, 'v'))


@pytest.mark.parametrize(('pointer', 'path'), [
    ('/x', ('x',)), ('/a~1b~0c', ('a/b~c',)), ('/~01', ('~1',)), ('/ x y ', ('x y',)),
    ('/locations/-', ('locations', '-')), ('/locations/3', ('locations', '3'))])
def test_pointers_are_decoded(pointer, path):
    assert parse(add(pointer, 'v'))[0].path == path


@pytest.mark.parametrize('name', sorted(patch.READ_ONLY))
@pytest.mark.parametrize('op', patch.OPERATIONS)
def test_read_only_attributes_are_forbidden(op, name):
    with pytest.raises(contract.Forbidden, match='read-only'):
        parse({'op': op, 'path': f'/{name}', 'value': 'x'})


@pytest.mark.parametrize('name', ['location', 'deleted', 'deleted_at', 'os_glance_x'])
@pytest.mark.parametrize('op', patch.OPERATIONS)
def test_reserved_names_are_forbidden(op, name):
    with pytest.raises(contract.Forbidden, match='reserved'):
        parse({'op': op, 'path': f'/{name}', 'value': 'x'})


def test_values_are_checked_against_the_schema_while_parsing():
    def refuse(name, value):
        raise contract.Invalid(f'{name} {value}')

    with pytest.raises(contract.Invalid, match='name 5'):
        parse(add('/name', 5), validate=refuse)
    assert parse(remove('/name'), validate=refuse)[0].op == 'remove'


def test_an_element_of_a_list_is_checked_as_a_list_of_one():
    seen = []

    def note(name, value):
        seen.append((name, value))
        return value

    parse(add('/locations/-', {'url': 'u'}), validate=note)

    assert seen == [('locations', [{'url': 'u'}])]


def test_the_value_that_the_schema_returns_is_stored():
    operations = parse(add('/min_ram', 1.0), validate=lambda name, value: int(value))

    changes = patch.apply(IMAGE, operations, is_admin=False).changes

    assert type(changes['min_ram']) is int


def test_an_empty_patch_changes_nothing():
    assert run() == patch.PatchResult({})


def test_add_and_replace_are_equal_for_attributes():
    changes = run(add('/name', 'new'), replace('/protected', True)).changes

    assert changes == {'name': 'new', 'protected': True}


def test_custom_properties_are_written_completely():
    patched = run(add('/new', 'n'), replace('/os', 'bsd'), remove('/arch'))

    assert patched.changes == {'properties': {'os': 'bsd', 'new': 'n'}}
    assert patched.new_properties == ('new',)


def test_operations_apply_in_order():
    patched = run(add('/x', '1'), replace('/x', '2'), remove('/os'), add('/os', '3'))

    assert patched.changes['properties'] == {'arch': 'arm', 'x': '2', 'os': '3'}
    assert patched.new_properties == ('x',)


def test_a_property_added_and_removed_is_not_new():
    patched = run(add('/x', '1'), remove('/x'))

    assert patched == patch.PatchResult({'properties': IMAGE.properties})


def test_the_image_itself_is_not_modified():
    before = dict(IMAGE.properties)

    with pytest.raises(contract.Conflict):
        run(remove('/os'), remove('/nope'))

    assert IMAGE.properties == before


@pytest.mark.parametrize('step', [replace('/nope', 'x'), remove('/nope')])
def test_replacing_or_removing_a_missing_property_conflicts(step):
    with pytest.raises(contract.Conflict, match='nope'):
        run(step)


@pytest.mark.parametrize('path', ['/os', '/name'])
def test_adding_a_present_attribute_overwrites_it_only_in_the_newer_dialect(path):
    assert run(add(path, 'x')).changes

    with pytest.raises(contract.Conflict, match='already present'):
        run({'add': path, 'value': 'x'}, media_type=patch.DRAFT_4)


def test_the_older_dialect_replaces_adds_and_removes():
    patched = run({'replace': '/name', 'value': 'n'}, {'remove': '/os'},
                  {'add': '/x', 'value': 'y'}, media_type=patch.DRAFT_4)

    assert patched.changes == {'name': 'n', 'properties': {'arch': 'arm', 'x': 'y'}}


@pytest.mark.parametrize('name', sorted(patch.WRITABLE))
def test_attributes_may_not_be_removed(name):
    with pytest.raises(contract.Forbidden, match='may not be removed'):
        run(remove(f'/{name}'), is_admin=True)


@pytest.mark.parametrize('step', [add('/owner', 'q'), replace('/owner', 'q')])
def test_only_an_administrator_may_change_the_owner(step):
    with pytest.raises(contract.Forbidden, match='owner'):
        run(step)

    assert run(step, is_admin=True).changes == {'owner': 'q'}


@pytest.mark.parametrize('name', ['disk_format', 'container_format'])
@pytest.mark.parametrize('op', [add, replace])
def test_formats_may_change_only_before_there_is_data(name, op):
    assert run(op(f'/{name}', 'x')).changes == {name: 'x'}

    with pytest.raises(contract.Forbidden, match='queued'):
        run(op(f'/{name}', 'x'), image=contract.Image('i', status='active'))


def test_every_visibility_in_the_patch_is_reported():
    patched = run(add('/visibility', 'public'), add('/visibility', 'private'))

    assert patched.visibilities == ('public', 'private')
    assert patched.changes == {'visibility': 'private'}


@pytest.mark.parametrize('step', [
    add('/locations/-', {}), remove('/locations/0'), replace('/locations', [])])
def test_locations_cannot_be_patched_by_default(step):
    with pytest.raises(contract.Forbidden, match='locations'):
        run(step)


@pytest.mark.parametrize('step', [
    add('/min_disk', -1), add('/min_ram', 2147483648), add('/name', '\U0001f600'),
    add('/x', '\U0001f600'), add('/\U0001f600', 'x'), add('/tags', ('\U0001f600',))])
def test_values_that_cannot_be_stored_are_invalid(step):
    with pytest.raises(contract.Invalid):
        run(step)


def test_present_properties_are_not_checked_again():
    image = contract.Image('i', properties={'x': '\U0001f600'})

    assert run(remove('/x'), image=image).changes == {'properties': {}}
