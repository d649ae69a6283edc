"""Data in the accounts of the owners: credentials and read access."""

import json
import time
import urllib.request
import uuid

import pytest
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.plugins.store.swift import SwiftStore
from glancelite.testing.contracts.store.toolbox import cut, pattern, same
from glancelite.testing.fakes import ClientWentAway, broken_source

MB = 1_024_000


@pytest.fixture
def make(make_plugin):
    def make(**options):
        return make_plugin(SwiftStore, **{
            'swift_store_multi_tenant': True, 'swift_store_container': 'own',
            'swift_store_large_object_size': 1, 'swift_store_large_object_chunk_size': 1,
            **options})
    return make


@pytest.fixture
def store(make):
    """A store with the credentials of callers only."""
    return make()


@pytest.fixture
def account(keystone):
    """Options for an account of the service without special permissions."""
    return {'swift_store_auth_address': keystone.url, 'swift_store_user': 'service:glance',
            'swift_store_key': 'password'}


@pytest.fixture
def key():
    return str(uuid.uuid4())


@pytest.fixture
def objects(keystone, swift_keystone):
    """Lists the data of these stores in a caller's account; containers end with a slash."""
    def objects(ctx):
        token = keystone.token('alpha-admin')
        url = f'{swift_keystone.url}/v1/AUTH_{ctx.project}'
        listing = swift_keystone.request('GET', f'{url}?format=json', token).body
        containers = json.loads(listing or '[]')
        held = [*(f'{each["name"]}/' for each in containers),
                *swift_keystone.objects(url, token, 'own_')]
        return [name for name in held if name.startswith('own_')]
    return objects


def trusts(keystone, ctx):
    request = urllib.request.Request(
        f'{keystone.url}/OS-TRUST/trusts?trustor_user_id={ctx.user}',
        headers={'X-Auth-Token': ctx.token})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)['trusts']


def test_each_image_has_a_container_in_the_callers_account(
        store, call, key, swift_keystone, objects):
    ctx, data = call(), pattern(2 * MB + 1)

    url = store.write(key, cut(data, 500_000), ctx=ctx).url

    host = swift_keystone.url.partition('://')[2]
    assert url == f'swift+http://{host}/v1/AUTH_{ctx.project}/own_{key}/{key}'
    assert store.owns(url)
    assert same(b''.join(store.read(url, ctx=ctx)), data)
    assert store.size(url, ctx=ctx) == len(data)
    assert objects(ctx) == [f'own_{key}/', f'own_{key}/{key}', *(
        f'own_{key}/{key}-{number:05}' for number in (1, 2, 3))]
    store.delete(url, ctx=ctx)
    assert objects(ctx) == []


@pytest.mark.parametrize('chunks', [(b'1',), (b'x' * MB,) * 3])
def test_a_failed_upload_leaves_no_container(store, call, key, objects, chunks):
    ctx = call()

    with pytest.raises(ClientWentAway):
        store.write(key, broken_source(*chunks), ctx=ctx)

    assert objects(ctx) == []


def test_other_projects_can_read_after_share(store, call, key):
    owner, other = call(), call('beta-member')
    url = store.write(key, iter([b'12345']), ctx=owner).url

    def may_read():
        try:
            return b''.join(store.read(url, ctx=other)) == b'12345'
        except contract.Unavailable:
            return False

    seen = [may_read()]
    for public, projects in ((True, []), (False, []), (False, ['nobody', other.project]),
                             (False, [])):
        store.share(url, public=public, projects=projects, ctx=owner)
        seen.append(may_read())

    assert seen == [False, True, False, True, False]
    with pytest.raises(contract.Unavailable):
        store.share(url, public=True, projects=[], ctx=other)
    with pytest.raises(contract.Forbidden):
        store.delete(url, ctx=other)
    store.delete(url, ctx=owner)
    with pytest.raises(contract.NotFound):
        store.share(url, public=True, projects=[], ctx=owner)


def test_admin_tenants_can_delete(make, call, key):
    owner, admin = call(), call('beta-member')
    store = make(swift_store_admin_tenants=[admin.project])
    url = store.write(key, iter([b'12345']), ctx=owner).url
    store.share(url, public=True, projects=[], ctx=owner)

    store.delete(url, ctx=admin)

    with pytest.raises(contract.NotFound):
        store.read(url, ctx=owner)
    store.discard(key, ctx=owner)   # the container, which the admin cannot delete


def test_too_many_segments_for_a_list_get_a_prefix(store, call, key, objects, keystone,
                                                   swift_keystone):
    ctx, data = call(), pattern(11 * MB + 1)

    url = store.write(key, cut(data, MB), ctx=ctx).url

    head = swift_keystone.request('HEAD', url.removeprefix('swift+'), ctx.token).headers
    assert head['X-Object-Manifest'] == f'own_{key}/{key}-'
    assert same(b''.join(store.read(url, ctx=ctx, offset=10 * MB, length=MB + 9)),
                data[10 * MB:])
    store.delete(url, ctx=ctx)      # a page has five names
    assert objects(ctx) == []


def test_segments_without_a_list_are_discarded_page_by_page(store, call, key, objects,
                                                            swift_keystone):
    ctx = call()
    root = f'/v1/AUTH_{ctx.project}/own_{key}'
    swift_keystone.request('PUT', root, ctx.token)
    for number in range(1, 13):
        swift_keystone.request('PUT', f'{root}/{key}-{number:05}', ctx.token, body=b'left')

    store.discard(key, ctx=ctx)

    assert objects(ctx) == []


def test_without_a_caller_there_are_no_credentials(store, key):
    url = f'swift+http://127.0.0.1:1/v1/AUTH_x/own_{key}/{key}'

    for request in (lambda: store.write(key, iter([b'x'])), lambda: store.read(url),
                    lambda: store.delete(url)):
        with pytest.raises(contract.Unsupported):
            request()
    assert store.discard(key) is None


@pytest.mark.parametrize('template', [
    'swift+http://127.0.0.1:1/v1/AUTH_{project}/c/o', 'swift+https://{host}/v1/AUTH_{project}/c/o',
    'swift+http://{host}/v2/AUTH_{project}/c/o', 'swift+http://{host}/AUTH_{project}/c/o',
    'swift+http://u:k@{host}/v1/AUTH_{project}/c/o', 'swift+config://ref1/c/o'])
def test_tokens_are_only_sent_to_the_configured_swift(store, call, swift_keystone, template):
    ctx = call()
    url = template.format(host=swift_keystone.url.partition('://')[2], project=ctx.project)

    for method in (store.read, store.size, store.delete, store.adopt):
        with pytest.raises(contract.Invalid):
            method(url, ctx=ctx)


def test_users_can_only_add_locations_in_their_account(store, call, keystone, swift_keystone):
    ctx = call()
    root = f'{swift_keystone.url}/v1/AUTH_{ctx.project}'
    swift_keystone.request('PUT', f'{root}/box', ctx.token)
    swift_keystone.request('PUT', f'{root}/box/disk.img', ctx.token, body=b'12345')

    url = store.adopt(f'swift+{root}/box/disk.img', ctx=ctx)

    assert url == f'swift+{root}/box/disk.img'
    assert store.owns(url)
    assert b''.join(store.read(url, ctx=ctx)) == b'12345'
    with pytest.raises(contract.Invalid):
        store.adopt(f'swift+{root}/box/disk.img', ctx=call('beta-member'))
    store.delete(url, ctx=ctx)
    assert swift_keystone.request('DELETE', f'{root}/box', ctx.token).status == 204


def test_a_long_upload_uses_a_trust(make, account, call, keystone, key):
    store, ctx, data = make(**account), call(), pattern(4 * MB)
    trusted = []

    def source():
        for number, chunk in enumerate(cut(data, MB)):
            if number == 3:
                trusted.extend(trusts(keystone, ctx))
            yield chunk

    url = store.write(key, source(), ctx=ctx).url

    assert [trust['trustee_user_id'] for trust in trusted] == [keystone.users['glance']]
    assert trusts(keystone, ctx) == []
    assert same(b''.join(store.read(url, ctx=ctx)), data)
    store.delete(url, ctx=ctx)


@pytest.mark.parametrize('chunks', [(b'1',), (b'x' * MB,) * 3], ids=['small', 'large'])
@pytest.mark.parametrize('use', [False, True])
def test_only_large_uploads_create_a_trust(make, account, call, keystone, key, use, chunks):
    store, ctx = make(**account, swift_store_use_trusts=use), call()
    seen = []

    def source():
        yield from chunks
        seen.extend(trusts(keystone, ctx))

    url = store.write(key, source(), ctx=ctx).url

    assert bool(seen) == (use and len(chunks) > 1)
    store.delete(url, ctx=ctx)


def test_a_reseller_admin_deletes_without_a_caller(make, keystone, call, key, objects):
    keystone.add_user('images', 'ResellerAdmin')
    store = make(swift_store_auth_address=keystone.url, swift_store_user='service:images',
                 swift_store_key='password')
    ctx = call()
    url = store.write(key, iter([b'12345']), ctx=ctx).url

    store.delete(url)

    assert objects(ctx) == []


@pytest.mark.parametrize(('user', 'remains'), [('images', False), ('glance', True)],
                         ids=['reseller admin', 'ordinary user'])
def test_a_reseller_admin_discards_data_in_the_account_of_the_owner(
        make, keystone, call, key, objects, user, remains):
    if not remains:
        keystone.add_user(user, 'ResellerAdmin')
    store = make(swift_store_auth_address=keystone.url, swift_store_user=f'service:{user}',
                 swift_store_key='password')
    ctx = call()
    url = store.write(key, iter([b'12345']), ctx=ctx).url

    store.discard(key, ctx=contract.Context(project=ctx.project))

    assert bool(objects(ctx)) == remains
    if remains:
        store.delete(url, ctx=ctx)


def test_the_configured_endpoint_overrides_the_catalog(make, call, key, swift_keystone):
    ctx = call()
    store = make(swift_store_endpoint=f'{swift_keystone.url}/v1/AUTH_%(project_id)s')
    url = store.write(key, iter([b'12345']), ctx=ctx).url

    assert f'/AUTH_{ctx.project}/' in url
    assert store.owns(url)
    assert not store.owns(url.replace('127.0.0.1', '127.0.0.2'))
    assert store.adopt(url, ctx=ctx) == url
    store.delete(url, ctx=ctx)


def test_an_application_credential_is_used(make_plugin, keystone, key, swift_keystone):
    token = keystone.token('alpha-member')
    url = f'{keystone.url}/users/{keystone.users["alpha-member"]}/application_credentials'
    request = urllib.request.Request(
        url, headers={'X-Auth-Token': token, 'Content-Type': 'application/json'},
        data=json.dumps({'application_credential': {'name': key}}).encode())
    with urllib.request.urlopen(request) as reply:
        created = json.load(reply)['application_credential']
    options = {'swift_store_auth_address': keystone.url, 'swift_store_container': 'box',
               'swift_store_application_credential_id': created['id'],
               'swift_store_application_credential_secret': created['secret'],
               'swift_store_create_container_on_put': True}
    store = make_plugin(SwiftStore, **options,
                        swift_store_project_id=keystone.projects['alpha'])
    wrong = make_plugin(SwiftStore, **options, swift_store_project_id=keystone.projects['beta'])

    url = store.write(key, iter([b'12345'])).url

    assert url == f'swift+config://ref1/box/{key}'
    own = f'{swift_keystone.url}/v1/AUTH_{keystone.projects["alpha"]}/box'
    assert swift_keystone.request('GET', f'{own}/{key}', token).body == b'12345'
    with pytest.raises(contract.Unavailable, match='another project'):
        wrong.read(url)
    store.delete(url)
    assert swift_keystone.request('DELETE', own, token).status == 204


def test_a_revoked_token_of_the_service_is_replaced_between_segments(make_plugin, keystone, key,
                                                                     swift_keystone):
    keystone.add_user('images', 'admin')
    store = make_plugin(SwiftStore, swift_store_auth_address=keystone.url,
                        swift_store_user='service:images', swift_store_key='password',
                        swift_store_container='box', swift_store_create_container_on_put=True,
                        swift_store_large_object_size=1, swift_store_large_object_chunk_size=1)
    data, tokens = pattern(4 * MB), []

    def source():
        for number, chunk in enumerate(cut(data, MB)):
            if number == 2:
                tokens.append(store._accounts.open(None, None)._credential.token())
                keystone.revoke(tokens[0])
                time.sleep(1.1)     # Swift caches tokens for a second
            yield chunk

    url = store.write(key, source()).url

    assert store._accounts.open(None, None)._credential.token() not in tokens
    assert same(b''.join(store.read(url)), data)
    store.delete(url)


def test_an_account_can_be_set_by_options_of_keystoneauth(host, keystone, swift_keystone, tmp_path,
                                                          key):
    keystone.add_user('images', 'admin')
    file = tmp_path / 'conf'
    file.write_text(f'''
[backend_defaults]
auth_url = {keystone.url}
username = images
[cold]
password = password
project_name = service
swift_store_container = box
swift_store_create_container_on_put = true
''')
    host.conf = cfg.ConfigOpts()
    host.conf([], default_config_files=[str(file)])
    store = loader.load(host.conf, host, 'store', 'swift', instance='cold')

    url = store.write(key, iter([b'12345'])).url

    assert b''.join(store.read(url)) == b'12345'
    store.delete(url)
    store.close()
