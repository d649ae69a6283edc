"""The URLs that a swift store owns, and its options."""

import logging
import uuid

import pytest

from glancelite import contract
from glancelite.plugins.store.swift import SwiftStore, location
from glancelite.testing.contracts.store.toolbox import pattern

KEY = 'a1b2c3d4-e5f6-4a7b-8c9d-0123456789ab'
DIRECT = {'swift_store_auth_address': 'https://id.example.org:5000/v3',
          'swift_store_user': 'images:glance', 'swift_store_key': 'k/e:y@1%'}
FILE = '''
[ref1]
auth_address = https://id.example.org:5000/v3
user = images:glance
key = "a % b"
[old]
auth_address = https://id.example.org:5000/v3
application_credential_id = the-id
application_credential_secret = the-secret
project_name = archive
[elsewhere]
auth_address = https://other.example.org/v3
user = images:glance
key = k
'''


@pytest.fixture
def make(make_plugin):
    def make(**options):
        return make_plugin(SwiftStore, **(options or DIRECT))
    return make


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'accounts.conf'
    path.write_text(FILE)
    return str(path)


@pytest.mark.parametrize(('url', 'parts'), [
    ('swift+config://ref1/glance/x', ('config', 'ref1', 'glance', 'x', None, None)),
    ('swift://a%3Ab:c%2Fd@h/v3/c/o', ('https', 'h/v3', 'c', 'o', 'a:b', 'c/d')),
    ('swift://a:b:c@h:1/v2.0/c/o', ('https', 'h:1/v2.0', 'c', 'o', 'a:b', 'c')),
    ('swift+http://h:8080/v1/AUTH_x/c/o', ('http', 'h:8080/v1/AUTH_x', 'c', 'o', None, None)),
    ('swift+https://h/c/me@home', ('https', 'h', 'c', 'me@home', None, None)),
    ('swift+https://[::1]:5000/v3/c/o', ('https', '[::1]:5000/v3', 'c', 'o', None, None)),
    *((url, None) for url in (
        'swift+config://ref1/glance', 'swift+config://ref1/glance/x/y', 'swift+config:///c/o',
        'swift+config://a:b@ref1/c/o', 'swift://u:k@http://h/c/o', 'swift://u@h/c/o',
        'swift://:k@h/c/o', 'swift://u:k@/c/o', 'swift://h/c/', 'swift://h//o', 'swift://h/c/..',
        'swift://h/../c/o', 'swift://h/c/o?x', 'swift://h/c/o#x', 'swift://h/c/o o', 'http://h/c/o',
        'swift://h/c/o\n', 'swift:h/c/o', 'swift://', 'Swift://h/c/o', 'swift://h/c\\d/o')),
])
def test_urls_of_glance_are_parsed(url, parts):
    target = location.parse(url)

    assert target == (parts and location.ObjectLocation(*parts))


def test_the_repr_of_a_location_has_no_key():
    target = location.parse('swift://project%3Auser:hidden-word@h/c/o')

    assert target.key == 'hidden-word'
    assert 'hidden-word' not in repr(target)


@pytest.mark.parametrize(('seed', 'container'), [
    (0, 'glance'), (1, 'glance_a'), (3, 'glance_a1b'), (8, 'glance_a1b2c3d4'),
    (9, 'glance_a1b2c3d4-e'), (12, 'glance_a1b2c3d4-e5f6'), (32, f'glance_{KEY}')])
def test_the_seed_distributes_images_over_containers(make, seed, container):
    store = make(**DIRECT, swift_store_multiple_containers_seed=seed)

    assert store._accounts.container_name(KEY.upper()) == container
    assert store.owns(f'swift+config://ref1/{container}/{KEY}')


@pytest.mark.parametrize(('url', 'own'), [
    (f'swift+config://ref1/glance/{KEY}', True),
    (f'swift+config://ref1/glance_a1b/{KEY}', True),
    (f'swift+config://ref1/glance_b1b/{KEY}', False),
    (f'swift+config://ref1/glancelite/{KEY}', False),
    (f'swift+config://ref2/glance/{KEY}', False),
    (f'swift+https://images%3Aglance:x@id.example.org:5000/v3/glance/{KEY}', True),
    (f'swift://images%3Aglance:x@id.example.org:5000/v3/glance/{KEY}', True),
    (f'swift://images:renamed:x@ID.example.org:5000/v2.0/glance/{KEY}', True),
    (f'swift+https://id.example.org:5000/v3/glance/{KEY}', True),
    (f'swift+https://others%3Aglance:x@id.example.org:5000/v3/glance/{KEY}', False),
    (f'swift+http://images%3Aglance:x@id.example.org:5000/v3/glance/{KEY}', False),
    (f'swift+https://images%3Aglance:x@id.example.org/v3/glance/{KEY}', False),
    (f'swift+https://images%3Aglance:x@evil.example.org:5000/v3/glance/{KEY}', False),
    (f'swift+https://swift.example.org/v1/AUTH_x/glance/{KEY}', False),
])
def test_owns_old_and_new_urls(make, url, own):
    assert make().owns(url) is own


@pytest.mark.parametrize(('url', 'names'), [
    ('swift+config://ref1/glance/x', {'one', 'three'}),
    ('swift+config://old/glance/x', {'two', 'three'}),
    ('swift+config://elsewhere/glance/x', set()),
    ('swift://images:glance:x@id.example.org:5000/v3/glance/x', {'one', 'three'}),
    ('swift://archive:glance:x@id.example.org:5000/v3/glance/x', {'two', 'three'}),
])
def test_stores_of_one_file_own_data_of_their_references(make, file, url, names):
    common = {'swift_store_config_file': file}
    stores = {'one': make(**common), 'two': make(**common, default_swift_reference='old'),
              'three': make(**common, swift_store_old_references=['old'])}

    assert {name for name, store in stores.items() if store.owns(url)} == names


def test_exclusive_resources_are_prefixes_of_new_urls(make, file):
    stores = [make(), make(**DIRECT, swift_store_container='gold'),
              make(**DIRECT, default_swift_reference='ref2'),
              make(swift_store_config_file=file, default_swift_reference='old'),
              make(**DIRECT, swift_store_multi_tenant=True),
              make(**DIRECT, swift_store_multi_tenant=True, swift_store_container='gold')]

    resources = [tuple(store.exclusive_resources()) for store in stores]

    assert len(set(resources)) == 6
    assert make().exclusive_resources() == make(swift_store_config_file=file).exclusive_resources()


@pytest.mark.parametrize('url', [
    f'swift+config://ref1/glance/{KEY}', f'swift+https://id.example.org:5000/v3/glance/{KEY}',
    f'swift+https://images%3Aglance:x@id.example.org:5000/v3/shelf/{KEY}',
    'swift+https://evil.example.org/v3/shelf/x', 'swift+https://id.example.org:5000/v3/shelf2/x'])
def test_users_cannot_add_locations_of_other_images(make, url):
    stores = make(), make(**DIRECT, swift_store_adopt_containers=['shelf'])

    for store in stores:
        with pytest.raises(contract.Invalid) as raised:
            store.adopt(url)
        assert 'adopt' in store.CAPABILITIES or isinstance(raised.value, contract.Unsupported)


def test_users_can_add_locations_in_adopt_containers(make):
    store = make(**DIRECT, swift_store_adopt_containers=['shelf'])

    url = store.adopt('swift+https://id.example.org:5000/v3/shelf/image.img')

    assert url == 'swift+config://ref1/shelf/image.img'
    assert 'adopt' in store.CAPABILITIES
    assert 'adopt' not in make().CAPABILITIES


@pytest.mark.parametrize(('options', 'message'), [
    ({}, 'auth_url must be set.*swift_store_config_file'),
    ({**DIRECT, 'swift_store_user': 'glance'}, 'swift_store_user must be "project:user"'),
    ({**DIRECT, 'swift_store_key': None}, 'swift_store_key must be set'),
    ({'swift_store_user': 'a:b', 'swift_store_key': 'c'}, 'swift_store_auth_address must be set'),
    ({**DIRECT, 'swift_store_application_credential_id': 'x'},
     'swift_store_application_credential_secret must be set'),
    ({'swift_store_config_file': '/no/such/file'}, '/no/such/file cannot be read'),
    ({'swift_store_config_file': 'FILE', 'default_swift_reference': 'nobody'},
     r'no section \[nobody\]'),
    ({'swift_store_config_file': 'FILE', 'swift_store_old_references': ['nobody']},
     r'no section \[nobody\]'),
    ({'swift_store_config_file': 'FILE', 'swift_store_multi_tenant': True}, 'not both'),
    ({**DIRECT, 'default_swift_reference': 'a/b'}, 'cannot be'),
    ({**DIRECT, 'swift_store_cacert': '/no/such/file'}, '/no/such/file'),
])
def test_invalid_options_stop_the_start(make_plugin, file, options, message):
    options = {name: file if value == 'FILE' else value for name, value in options.items()}

    with pytest.raises(contract.Misconfigured, match=message) as raised:
        make_plugin(SwiftStore, **options)

    assert DIRECT['swift_store_key'] not in str(raised.value)


def test_an_invalid_account_in_a_file_is_ignored(make, tmp_path, caplog):
    path = tmp_path / 'accounts.conf'
    path.write_text(FILE + '[bad]\nauth_address = https://x\nuser = nobody\nkey = hidden-word\n')

    store = make(swift_store_config_file=str(path))

    assert store.owns(f'swift+config://ref1/glance/{KEY}')
    assert '[bad]' in caplog.text
    assert 'hidden-word' not in caplog.text
    with pytest.raises(contract.Invalid):
        store.read(f'swift+config://bad/glance/{KEY}')


def test_secret_options_are_marked():
    assert {opt.dest for opt in SwiftStore.OPTS if opt.secret} == {
        'swift_store_user', 'swift_store_key', 'swift_store_application_credential_id',
        'swift_store_application_credential_secret'}


# data written by Glance


@pytest.fixture
def tempauth(swift):
    return {'swift_store_auth_address': swift.auth_url, 'swift_store_auth_version': '1',
            'swift_store_user': 'test:tester', 'swift_store_key': 'testing',
            'swift_store_create_container_on_put': True}


@pytest.mark.parametrize('credentials', ['test%3Atester:testing@', 'test:tester:testing@',
                                         'test%3Atester:of-last-year@', 'test%3Agone:gone@', ''])
def test_old_urls_are_used_with_the_configured_credentials(make, swift, tempauth, caplog,
                                                           credentials):
    caplog.set_level(logging.DEBUG)
    store, data = make(**tempauth), pattern(100_000)
    key = str(uuid.uuid4())
    store.write(key, iter([data]))
    host = swift.auth_url.partition('://')[2]
    old = f'swift+http://{credentials}{host}/glance/{key}'

    assert store.owns(old)
    assert b''.join(store.read(old)) == data
    assert store.size(old) == len(data)
    store.delete(old)

    with pytest.raises(contract.NotFound):
        store.read(f'swift+config://ref1/glance/{key}')
    assert 'of-last-year' not in caplog.text


def test_the_credentials_in_a_url_of_another_account_are_used(make, swift, tempauth):
    url, token = swift.token('other:tester')
    swift.request('PUT', f'{url}/box', token)
    swift.request('PUT', f'{url}/box/thing', token, body=b'12345')
    host = swift.auth_url.partition('://')[2]
    store = make(**tempauth)

    other_url = f'swift+http://other%3Atester:testing2@{host}/box/thing'

    assert b''.join(store.read(other_url)) == b'12345'
    assert not store.owns(other_url)
    store.delete(other_url)
    with pytest.raises(contract.Unavailable) as raised:
        store.read(f'swift+http://other%3Atester:hidden-word@{host}/box/thing')
    assert 'hidden-word' not in str(raised.value)
