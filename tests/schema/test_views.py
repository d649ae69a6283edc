"""The JSON of images, members and locations."""

import datetime
import json

import jsonschema
import pytest

from glancelite import contract
from glancelite.schema import image, render, views
from glancelite.schema.views import ImageView

ID = '016a685b-edf6-4a06-bc21-7b7f6a23187b'
THEN = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
LOCATIONS = (contract.Location('file:///a', {'store': 'slow'}),
             contract.Location('rbd://b', {'store': 'fast'}))
ALWAYS = ['name', 'disk_format', 'container_format', 'visibility', 'size', 'virtual_size',
          'status', 'checksum', 'protected', 'min_ram', 'min_disk', 'owner', 'os_hidden',
          'os_hash_algo', 'os_hash_value', 'id', 'created_at', 'updated_at', 'tags', 'self',
          'file', 'schema']


def make(**fields):
    return contract.Image(ID, created_at=THEN, updated_at=THEN, **fields)


def show(image, view=None, **options):
    return json.loads((view or ImageView()).dumps(image, **options))


def test_an_empty_image_has_every_attribute_in_the_known_order():
    shown = show(make())

    assert list(shown) == ALWAYS
    assert shown == {
        'name': None, 'disk_format': None, 'container_format': None, 'visibility': 'shared',
        'size': None, 'virtual_size': None, 'status': 'queued', 'checksum': None,
        'protected': False, 'min_ram': 0, 'min_disk': 0, 'owner': None, 'os_hidden': False,
        'os_hash_algo': None, 'os_hash_value': None, 'id': ID,
        'created_at': '2026-01-02T03:04:05Z', 'updated_at': '2026-01-02T03:04:05Z', 'tags': [],
        'self': f'/v2/images/{ID}', 'file': f'/v2/images/{ID}/file',
        'schema': '/v2/schemas/image'}


def test_a_complete_image_shows_its_values():
    fields = {'name': 'n', 'disk_format': 'raw', 'container_format': 'bare', 'size': 5,
              'virtual_size': 7, 'status': 'active', 'checksum': 'c', 'protected': True,
              'min_ram': 1, 'min_disk': 2, 'owner': 'o', 'os_hidden': True, 'os_hash_algo': 'a',
              'os_hash_value': 'v', 'visibility': 'public'}

    shown = show(make(tags=('a', 'b'), **fields))

    assert {name: shown[name] for name in fields} == fields
    assert shown['tags'] == ['a', 'b']


def test_everything_in_the_table_can_be_shown():
    view = ImageView(show_direct_url=True, show_locations=True, show_stores=True)

    assert set(show(make(locations=LOCATIONS), view)) == {field.name for field in image.FIELDS}


def test_custom_properties_come_first():
    shown = show(make(properties={'z': '1', 'a': '2'}))

    assert list(shown)[:3] == ['z', 'a', 'name']


@pytest.mark.parametrize('text', ['"', '\\', '\n\t', '\x00\x1f', '</script>', '{}', ''])
def test_text_is_escaped_in_every_attribute(text):
    shown = show(make(name=text, owner=text, checksum=text, os_hash_algo=text,
                      os_hash_value=text, disk_format=text, tags=(text,),
                      properties={f'p{text}': text}))

    assert {shown[name] for name in ('name', 'owner', 'checksum', 'os_hash_algo', 'os_hash_value',
                                     'disk_format', f'p{text}')} == {text}
    assert shown['tags'] == [text]


def test_text_is_raw_utf_8():
    assert '"name":"ünï😀"'.encode() in ImageView().dumps(make(name='ünï😀'))


def test_an_unset_custom_property_is_empty():
    assert show(make(properties={'x': None}))['x'] == ''


def test_properties_for_internal_use_are_not_shown():
    shown = show(make(properties={'os_glance_stage_host': 'h', 'os_glance_hash_op_host': 'h',
                                  'os_glance_importing_to_stores': 'fast'}))

    assert 'os_glance_stage_host' not in shown
    assert 'os_glance_hash_op_host' not in shown
    assert shown['os_glance_importing_to_stores'] == 'fast'


def test_a_custom_property_does_not_replace_an_attribute():
    text = ImageView().dumps(make(properties={'status': 'x', 'stores': 'x', 'direct_url': 'x'}))

    assert list(json.loads(text)) == ALWAYS
    assert text.count(b'"status"') == 1


def test_locations_are_not_shown_by_default():
    shown = show(make(locations=LOCATIONS))

    assert {'locations', 'direct_url', 'stores'}.isdisjoint(shown)


def test_stores_are_named_in_the_order_of_the_locations():
    view = ImageView(show_stores=True)

    shown = show(make(locations=(*LOCATIONS, contract.Location('http://c'))), view)

    assert shown['stores'] == 'slow,fast'
    assert list(shown)[-1] == 'stores'
    assert 'stores' not in show(make(), view)
    assert 'stores' not in show(make(locations=(contract.Location('http://c'),)), view)


def test_the_direct_url_is_the_first_location():
    view = ImageView(show_direct_url=True, show_locations=True, show_stores=True,
                     locations_of=lambda image, ctx: tuple(reversed(image.locations)))

    shown = show(make(locations=LOCATIONS), view)

    assert shown['direct_url'] == 'rbd://b'
    assert shown['stores'] == 'fast,slow'
    assert shown['locations'] == [{'url': 'rbd://b', 'metadata': {'store': 'fast'}},
                                  {'url': 'file:///a', 'metadata': {'store': 'slow'}}]
    assert list(shown)[17:21] == ['updated_at', 'locations', 'direct_url', 'tags']


def test_an_image_without_data_has_an_empty_list_of_locations():
    shown = show(make(), ImageView(show_direct_url=True, show_locations=True))

    assert shown['locations'] == []
    assert 'direct_url' not in shown


def test_stores_are_shown_to_callers_who_may_not_see_locations():
    view = ImageView(show_direct_url=True, show_locations=True, show_stores=True)

    shown = show(make(locations=LOCATIONS), view, may_see_locations=False)

    assert 'locations' not in shown
    assert 'direct_url' not in shown
    assert shown['stores'] == 'slow,fast'


@pytest.mark.parametrize(('options', 'difference'), [
    ({}, False), ({'show_stores': True}, False), ({'show_direct_url': True}, True),
    ({'show_locations': True}, True)])
def test_a_view_reports_whether_locations_are_shown(options, difference):
    assert ImageView(**options).shows_locations is difference


def test_the_json_conforms_to_the_schema_document():
    document = json.loads(render.documents(image.resource(('raw',), ('bare',)))['image'])
    view = ImageView(show_direct_url=True, show_locations=True, show_stores=True)

    shown = show(make(locations=LOCATIONS, properties={'x': 'y'}, tags=('a',), size=1), view)

    assert list(jsonschema.Draft4Validator(document).iter_errors(shown)) == []


def test_a_page_has_links():
    page = ImageView().page([make(), make(name='b')], first='/v2/images?name=%22"',
                            following='/v2/images?marker=x')

    shown = json.loads(page)

    assert list(shown) == ['images', 'first', 'schema', 'next']
    assert [one['name'] for one in shown['images']] == [None, 'b']
    assert shown['first'] == '/v2/images?name=%22"'
    assert shown['schema'] == '/v2/schemas/images'
    assert shown['next'] == '/v2/images?marker=x'


def test_the_last_page_has_no_next():
    assert json.loads(ImageView().page([], first='/v2/images')) == {
        'images': [], 'first': '/v2/images', 'schema': '/v2/schemas/images'}


def test_a_page_shows_only_the_locations_that_the_caller_may_see():
    view = ImageView(show_direct_url=True)
    other = contract.Image('other', locations=LOCATIONS)

    page = view.page([make(locations=LOCATIONS), other], first='/', may_see_locations_of={'other'})

    assert ['direct_url' in one for one in json.loads(page)['images']] == [False, True]


def test_members_have_the_known_attributes():
    found = contract.Member(ID, 'p"1', 'accepted', THEN, THEN)
    expected = {'member_id': 'p"1', 'image_id': ID, 'status': 'accepted',
                'created_at': '2026-01-02T03:04:05Z', 'updated_at': '2026-01-02T03:04:05Z',
                'schema': '/v2/schemas/member'}

    assert json.loads(views.member(found)) == expected
    assert json.loads(views.members([found, found])) == {
        'members': [expected, expected], 'schema': '/v2/schemas/members'}
    assert json.loads(views.members([])) == {'members': [], 'schema': '/v2/schemas/members'}


def test_locations_are_a_bare_list():
    assert json.loads(views.locations(LOCATIONS)) == [
        {'url': 'file:///a', 'metadata': {'store': 'slow'}},
        {'url': 'rbd://b', 'metadata': {'store': 'fast'}}]


def test_metadata_of_locations_may_hold_any_json():
    deep = {'number': 1 << 70}
    for _ in range(300):
        deep = {'in': deep}
    location = contract.Location('http://x', {'deep': deep})

    shown = show(make(locations=(location,)), ImageView(show_locations=True))

    assert shown['locations'][0]['metadata'] == {'deep': deep}
    assert json.loads(views.locations([location]))[0]['metadata'] == {'deep': deep}


def test_a_deactivated_image_hides_where_its_data_is_from_all_but_administrators():
    view = ImageView(show_direct_url=True, show_locations=True, show_stores=True)
    image = make(status='deactivated', locations=LOCATIONS)

    shown = show(image, view)

    assert shown['locations'] == []
    assert {'direct_url', 'stores'}.isdisjoint(shown)
    assert {'locations', 'direct_url', 'stores'}.isdisjoint(
        show(image, ImageView(show_direct_url=True, show_stores=True)))
    page = json.loads(view.page([image], first='/v2/images'))
    assert page['images'] == [shown]
    assert show(image, view, ctx=contract.Context(is_admin=True)) == {
        **show(make(locations=LOCATIONS), view), 'status': 'deactivated'}
