"""Listings: filters, sorting, pages."""

import datetime
import time

import pytest

from glancelite import contract
from glancelite.api import paging
from glancelite.contract import Where

JSON = {'Accept': 'application/json'}
CTX = contract.Context(project='own')


def query(text, **limits):
    limits = {'default_limit': 25, 'max_limit': 1000, **limits}
    return paging.image_query(CTX, paging.parse_query(text), **limits)[0]


def names(answer):
    return [image['name'] for image in answer.json['images']]


def walk(app, path):
    """The pages of a listing, by following the links."""
    pages = []
    while path:
        answer = app.get(path)
        pages.append(names(answer))
        path = answer.json.get('next')
    return pages


def test_a_listing_has_a_first_page_and_a_schema(app):
    assert app.get('/v2/images').json == {'images': [], 'first': '/v2/images',
                                          'schema': '/v2/schemas/images'}


def test_a_listing_has_own_public_and_accepted_images(app, admin, other, new):
    new(name='own', visibility='private')
    admin.post_json('/v2/images', {'name': 'public', 'visibility': 'public'})
    admin.post_json('/v2/images', {'name': 'community', 'visibility': 'community'})
    shared = other.post_json('/v2/images', {'name': 'shared'}).json['id']
    other.post_json(f'/v2/images/{shared}/members', {'member': 'own'})

    assert names(app.get('/v2/images')) == ['public', 'own']
    assert names(app.get('/v2/images?member_status=pending')) == ['shared', 'public', 'own']
    assert names(app.get('/v2/images?visibility=community')) == ['community']
    assert names(app.get('/v2/images?visibility=')) == []
    app.put_json(f'/v2/images/{shared}/members/own', {'status': 'accepted'})
    assert names(app.get('/v2/images')) == ['shared', 'public', 'own']


def test_links_lead_through_all_pages_without_an_empty_one(app, new):
    for name in 'abcdef':
        new(name=name)

    assert walk(app, '/v2/images?limit=3&sort=name:asc') == [['a', 'b', 'c'], ['d', 'e', 'f']]
    assert walk(app, '/v2/images?limit=4&sort=name:asc') == [['a', 'b', 'c', 'd'], ['e', 'f']]


def test_links_keep_all_parameters_in_order(app, new):
    for name in 'ab':
        new(name=name, tags=['x', 'y'])
    text = 'tag=y&sort_key=name&tag=x&sort_key=id&sort_dir=asc&sort_dir=asc&limit=1'

    answer = app.get(f'/v2/images?{text}').json

    assert answer['first'] == f'/v2/images?{text}'
    assert answer['next'] == f'/v2/images?{text}&marker={answer["images"][0]["id"]}'
    last = app.get(answer['next']).json
    assert last['first'] == f'/v2/images?{text}'
    assert 'next' not in last


def test_links_do_not_contain_the_mount_point(app):
    answer = app.get('/v2.9/images?name=a%20%C3%BC%26', extra_environ={'SCRIPT_NAME': '/image'})

    assert answer.json['first'] == '/v2/images?name=a+%C3%BC%26'


def test_a_page_of_very_large_images_ends_early(app, new):
    for name in 'abcde':
        new(name=name, **{f'p{number}': 'x' * 65_000 for number in range(30)})

    assert walk(app, '/v2/images?sort=name:asc') == [['a', 'b'], ['c', 'd'], ['e']]


def test_a_limit_of_zero_is_an_empty_page(app, new):
    new()

    answer = app.get('/v2/images?limit=0').json

    assert answer == {'images': [], 'first': '/v2/images?limit=0',
                      'schema': '/v2/schemas/images'}


def test_the_limit_has_a_default_and_a_cap():
    assert query('').limit == 25
    assert query('limit=100').limit == 100
    assert query('limit=5000').limit == 1000
    assert query('limit=' + '9' * 400).limit == 1000
    assert query('limit=%20%2B0010%20').limit == 10
    assert query('limit=000').limit == 0
    assert query('', max_limit=10).limit == 10


def test_no_limit_takes_long_to_refuse():
    began = time.thread_time()

    with pytest.raises(contract.Invalid):
        query('limit=' + '0' * 8000 + 'x')

    assert time.thread_time() - began < 0.5


def test_a_marker_must_be_known_and_visible(app, other):
    hidden = other.post_json('/v2/images', {'visibility': 'private'}).json['id']

    app.get('/v2/images?marker=unknown', status=400)
    app.get(f'/v2/images?marker={hidden}', status=403)


@pytest.mark.parametrize('text', [
    'limit=-1', 'limit=x', 'limit=', 'limit=1.5', 'limit=1_0', 'limit=%D9%A3',
    'sort_key=nothing', 'sort_key=', 'sort_dir=up', 'sort=name:up', 'sort=', 'sort=name,',
    'sort=name&sort_key=name', 'sort=name&sort_dir=asc', 'sort_key=name&sort_dir=asc&sort_dir=asc',
    'visibility=hidden', 'member_status=maybe', 'os_hidden=1', 'os_hidden=',
    'protected=True', 'protected=', 'name=neq:x', 'status=gt:a', 'name=a:b',
    'name=in:"a', 'name=in:a"b"', 'name=in:"a"b', 'id=in:"a\\"',
    'created_at=yesterday', 'created_at=', 'created_at=gt:', 'updated_at=like:2020-01-01',
    'created_at=in:2020-01-01', 'created_at=0001-01-01T00:00:00%2B10:00',
    'size_min=x', 'size_max=', 'min_ram_min=1.5', 'size=big', 'created_at=gt:2020-W01-1',
    'foo_min=1', 'name_max=3', 'created_at_min=1', 'checksum_min=1', '_min=1',
    'changes-since=2020-01-01', 'changes-since=', 'properties=', 'locations=x',
    '&'.join(f'p{number}=x' for number in range(300)),
], ids=lambda text: text[:40])
def test_an_invalid_query_is_refused(app, text):
    app.get(f'/v2/images?{text}', status=400)


def test_a_listing_requires_the_right(wsgi):
    from tests.api.conftest import client

    client(wsgi, 'own:member').get('/v2/images', status=403)


@pytest.mark.parametrize(('text', 'sort'), [
    ('', 'created_at:desc id:desc'),
    ('sort=name', 'name:desc created_at:desc id:desc'),
    ('sort=name:asc', 'name:asc created_at:asc id:asc'),
    ('sort=name:asc,size:desc', 'name:asc size:desc created_at:desc id:desc'),
    ('sort=name:asc,size:asc', 'name:asc size:asc created_at:desc id:desc'),
    ('sort=created_at:asc,id:asc', 'created_at:asc id:asc'),
    ('sort=id:asc', 'id:asc created_at:asc'),
    ('sort_key=name', 'name:desc created_at:desc id:desc'),
    ('sort_dir=asc', 'created_at:asc id:asc'),
    ('sort_key=name&sort_key=size&sort_dir=asc', 'name:asc size:asc created_at:asc id:asc'),
    ('sort_key=name&sort_key=size&sort_dir=asc&sort_dir=desc',
     'name:asc size:desc created_at:desc id:desc'),
    ('sort_dir=asc&sort_key=name', 'name:asc created_at:asc id:asc'),
    ('sort_key=name&sort_key=name', 'name:desc created_at:desc id:desc'),
])
def test_sorting_ends_with_the_tie_breakers(text, sort):
    assert ' '.join(':'.join(step) for step in query(text).sort) == sort


@pytest.mark.parametrize(('text', 'where'), [
    ('name=x', Where('name', 'eq', 'x')),
    ('name=', Where('name', 'eq', '')),
    ('name=eq:x:y', Where('name', 'eq', 'x:y')),
    ('name=2020-01-01T10:00:00Z', Where('name', 'eq', '2020-01-01T10:00:00Z')),
    ('status=in:queued,active', Where('status', 'in', ('queued', 'active'))),
    ('id=in:', Where('id', 'in', ('',))),
    ('name=in:"a,b",c', Where('name', 'in', ('a,b', 'c'))),
    (r'name=in:c,"a\"\\",""', Where('name', 'in', ('c', 'a"\\', ''))),
    ('name=in:"a",', Where('name', 'in', ('a', ''))),
    (r'name=in:\"a,b', Where('name', 'in', (r'\"a', 'b'))),
    ('name=in:,a', Where('name', 'in', ('', 'a'))),
    ('name=x&name=y', Where('name', 'eq', 'y')),
    ('disk_format=raw', Where('disk_format', 'eq', 'raw')),
    ('container_format=in:bare', Where('container_format', 'in', ('bare',))),
    ('owner=in:x', Where('owner', 'eq', 'in:x')),
    ('checksum=eq:x', Where('checksum', 'eq', 'eq:x')),
    ('os_hash_algo=x', Where('os_hash_algo', 'eq', 'x')),
    ('os_hash_value=x', Where('os_hash_value', 'eq', 'x')),
    ('size=5', Where('size', 'eq', 5)),
    ('size_min=5', Where('size', 'gte', 5)),
    ('size_min=+5', Where('size', 'gte', 5)),
    ('size_max=' + '9' * 5000, Where('size', 'lte', (1 << 63) - 1)),
    ('virtual_size_max=-5', Where('virtual_size', 'lte', -5)),
    ('min_ram_min=1', Where('min_ram', 'gte', 1)),
    ('min_disk_max=1', Where('min_disk', 'lte', 1)),
    ('protected=true', Where('protected', 'eq', True)),
    ('protected=false', Where('protected', 'eq', False)),
    ('created_at=gt:2020-01-01T10:00:00Z',
     Where('created_at', 'gt', datetime.datetime(2020, 1, 1, 10, tzinfo=datetime.UTC))),
    ('updated_at=2020-01-01T10:00:00%2B02:00',
     Where('updated_at', 'eq', datetime.datetime(2020, 1, 1, 8, tzinfo=datetime.UTC))),
    ('updated_at=neq:2020-01-01',
     Where('updated_at', 'neq', datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))),
    ('updated_at=gt:2020',
     Where('updated_at', 'gt', datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))),
    ('updated_at=gt:2020-3',
     Where('updated_at', 'gt', datetime.datetime(2020, 3, 1, tzinfo=datetime.UTC))),
    ('updated_at=eq:2020-01-01T10:00',
     Where('updated_at', 'eq', datetime.datetime(2020, 1, 1, 10, tzinfo=datetime.UTC))),
])
def test_each_attribute_has_its_kind_of_filter(text, where):
    parsed = query(text)

    assert parsed.where == (where,)
    assert parsed.properties == {}


def test_any_other_name_is_a_custom_property_with_a_literal_value():
    parsed = query('os_distro=in:a,b&kernel=x&kernel=y&self=z')

    assert parsed.properties == {'os_distro': 'in:a,b', 'kernel': 'y', 'self': 'z'}
    assert parsed.where == ()


def test_an_image_must_have_all_tags():
    assert query('tag=a&tag=b&tag=').tags == {'a', 'b', ''}


def test_no_filter_lists_deleted_images(app, new):
    image = new()
    app.delete(f'/v2/images/{image}')

    assert app.get('/v2/images?deleted=true').json['images'] == []


def test_hidden_images_are_listed_separately(app, new):
    new(name='hidden', os_hidden=True)
    new(name='shown')

    assert names(app.get('/v2/images')) == ['shown']
    assert names(app.get('/v2/images?os_hidden=TRUE')) == ['hidden']
    assert names(app.get('/v2/images?os_hidden=False')) == ['shown']


def test_filters_select_images(app, new, upload):
    new(name='a', tags=['x', 'y'], kernel='k1')
    upload(new(name='b', tags=['x'], protected=True, min_ram=512), b'12345')

    assert names(app.get('/v2/images?tag=x&tag=y')) == ['a']
    assert names(app.get('/v2/images?kernel=k1')) == ['a']
    assert names(app.get('/v2/images?unknown=k1')) == []
    assert names(app.get('/v2/images?name=in:a,b&status=active')) == ['b']
    assert names(app.get('/v2/images?size_min=5&size_max=5')) == ['b']
    assert names(app.get('/v2/images?protected=true')) == ['b']
    assert names(app.get('/v2/images?min_ram=512')) == ['b']
    assert names(app.get('/v2/images?created_at=lt:2020-01-01')) == []


def test_a_query_in_raw_utf_8_is_understood(app, new):
    new(name='ü')

    assert paging.parse_query('name=\xc3\xbc') == [('name', 'ü')]
    assert names(app.get('/v2/images?name=%C3%BC')) == ['ü']
