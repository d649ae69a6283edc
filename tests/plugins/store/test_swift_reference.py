"""The driver of glance_store and this one read and delete each other's data in Swift."""

import uuid

import pytest

from glancelite import contract
from glancelite.plugins.store.swift import SwiftStore
from glancelite.testing.contracts.store.toolbox import cut, pattern, same
from tests.plugins.store.reference import reference

#: oslo.config in glance_store
pytestmark = pytest.mark.filterwarnings('ignore::DeprecationWarning')

MB = 1_024_000
FILE = '''
[ref1]
auth_address = {url}
user = service:images
key = password
'''
SIZES = {'empty': 0, 'small': 5, 'one segment': MB, 'segments': 3 * MB + 7}


@pytest.fixture
def account(keystone, swift_keystone):
    keystone.add_user('images', 'admin')
    return {'swift_store_auth_address': keystone.url, 'swift_store_user': 'service:images',
            'swift_store_key': 'password'}


@pytest.fixture(params=['file', pytest.param('direct', marks=pytest.mark.long)])
def options(request, account, tmp_path, keystone):
    """Options for both drivers, with a file of accounts or without."""
    if request.param == 'file':
        path = tmp_path / 'accounts.conf'
        path.write_text(FILE.format(url=keystone.url))
        account = {'swift_store_config_file': str(path)}
    return {**account, 'swift_store_create_container_on_put': True,
            'swift_store_container': 'common', 'swift_store_large_object_size': 1,
            'swift_store_large_object_chunk_size': 1, 'swift_store_multiple_containers_seed': 2}


@pytest.fixture
def glance(options):
    return reference('swift', **options)


@pytest.fixture
def store(make_plugin, options):
    return make_plugin(SwiftStore, **options)


@pytest.fixture
def objects(keystone, swift_keystone):
    """Lists the objects of the account."""
    def objects():
        url = f'{swift_keystone.url}/v1/AUTH_{keystone.projects["service"]}'
        return swift_keystone.objects(url, keystone.token('images', project='service'), 'common')
    return objects


@pytest.fixture
def key():
    return str(uuid.uuid4())


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize('size', SIZES.values(), ids=SIZES)
def test_data_of_glance_store_is_read_and_deleted(store, glance, key, objects, size, known):
    if known and size > MB:
        size -= size % MB   # glance_store truncates a shorter last segment
    data = pattern(size)
    url = glance.write(key, data, size=size if known else None)

    assert store.owns(url)
    assert store.size(url) == size
    assert same(b''.join(store.read(url)), data)
    if size > MB:
        assert same(b''.join(store.read(url, offset=MB - 9, length=20)), data[MB - 9:MB + 11])
    store.delete(url)

    assert objects() == []
    with pytest.raises(contract.NotFound):
        store.size(url)


@pytest.mark.parametrize('kind', ['slo', 'dlo'])
@pytest.mark.parametrize('size', SIZES.values(), ids=SIZES)
def test_glance_store_reads_and_deletes_data_of_this_driver(make_plugin, options, glance, key,
                                                            objects, size, kind):
    store = make_plugin(SwiftStore, **options, swift_store_large_object_type=kind)
    data = pattern(size)
    url = store.write(key, cut(data, 500_000)).url

    assert glance.size(url) == size
    assert same(glance.read(url), data)
    glance.delete(url)

    assert objects() == []


def test_both_write_the_same_url_if_it_has_no_credentials(store, glance, key, options):
    url = store.write(key, iter([b'12345'])).url
    store.delete(url)

    other = glance.write(key, b'12345')
    store.delete(other)

    assert url == f'swift+config://ref1/common_{key[:2]}/{key}'
    assert (url == other) == ('swift_store_config_file' in options)
    assert store.owns(other)


def test_both_use_the_same_accounts_of_callers(make_plugin, account, keystone, key,
                                               swift_keystone):
    token = keystone.token('alpha-member')
    details = keystone.token_data(token)
    ctx = contract.Context(user=details['user']['id'], project=details['project']['id'],
                           token=token, roles=frozenset({'member'}),
                           catalog=tuple(details['catalog']))
    common = {'swift_store_multi_tenant': True, 'swift_store_container': 'each', **account,
              'swift_store_create_container_on_put': True}
    store, glance = make_plugin(SwiftStore, **common), reference('swift', **common)
    glance.context = Caller(ctx)

    for data in pattern(100), pattern(2 * MB):
        url = store.write(key, iter([data]), ctx=ctx).url
        assert same(glance.read(url), data)
        glance.delete(url)

        other = glance.write(key, data, size=len(data))
        assert other == url
        assert same(b''.join(store.read(other, ctx=ctx)), data)
        store.delete(other, ctx=ctx)


class Caller:
    """A caller in the form that glance_store expects."""

    def __init__(self, ctx):
        self.auth_token = ctx.token
        self.user_id, self.project_id = ctx.user, ctx.project
        self.roles = sorted(ctx.roles)
        self.service_catalog = [
            {**entry, 'endpoints': [
                {f'{each["interface"]}URL': each['url'], 'region': each['region']}
                for each in entry['endpoints'] if each['interface'] == 'public']}
            for entry in ctx.catalog]
