"""The store ``swift`` fulfils the contract, with all kinds of accounts."""

import uuid

import pytest
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.plugins.store.swift import SwiftStore
from glancelite.testing.contracts import ReadingContract, StoreContract
from glancelite.testing.contracts.store.failures import (
    BrokenBackendContract,
    MissingRootContract,
    TwoStoresContract,
)
from glancelite.testing.contracts.store.toolbox import Box, pattern
from tests.servers import process


@pytest.fixture
def tempauth(swift):
    """Options for an account of Swift's own authentication."""
    return {'swift_store_auth_address': swift.auth_url, 'swift_store_auth_version': '1',
            'swift_store_user': 'test:tester', 'swift_store_key': 'testing',
            'swift_store_create_container_on_put': True}


@pytest.fixture(scope='session')
def images(keystone, swift_keystone):
    """Options for an account that may use those of all projects."""
    keystone.add_user('images', 'admin')
    keystone.add_user('images', 'ResellerAdmin')
    return {'swift_store_auth_address': keystone.url, 'swift_store_user': 'service:images',
            'swift_store_key': 'password', 'swift_store_create_container_on_put': True}


class TestSwift(StoreContract):
    """Data is written in segments from 1 MB on."""

    @pytest.fixture
    def store(self, make_plugin, tempauth):
        return make_plugin(SwiftStore, swift_store_container='kit',
                           swift_store_large_object_size=1,
                           swift_store_large_object_chunk_size=2, **tempauth)

    @pytest.fixture(autouse=True)
    def _swift(self, swift):
        self.swift = swift

    def leftovers(self, store):
        return self.swift.objects(*self.swift.token(), 'kit')


class TestKeystone(ReadingContract):

    @pytest.fixture
    def store(self, make_plugin, images):
        return make_plugin(SwiftStore, swift_store_container='kit', **images)

    @pytest.fixture
    def box(self, store):
        box = Box(store)
        yield box
        box.clean()

    @pytest.fixture
    def sample(self, box):
        data = pattern(300_000)
        return box.put(data).url, data

    @pytest.fixture
    def missing(self, store, box):
        url = box.put(b'soon gone').url
        store.delete(url)
        return url


class TestMultiTenant(TestKeystone):
    """Without a caller, with the account of the service."""

    @pytest.fixture
    def store(self, make_plugin, images):
        return make_plugin(SwiftStore, swift_store_container='kit', swift_store_multi_tenant=True,
                           **images)

    @pytest.fixture
    def adoptable(self, box, context):
        data = b'12345'
        return box.write(box.key(), iter([data]), ctx=context()).url, data


class TestWithoutContainer(MissingRootContract):

    @pytest.fixture(autouse=True)
    def _swift(self, swift):
        account, token = swift.token()
        self.ask = lambda method, path='': swift.request(method, f'{account}/gone{path}', token)
        self.ask('PUT')

    @pytest.fixture
    def store(self, make_plugin, tempauth):
        return make_plugin(SwiftStore, swift_store_container='gone', **{
            **tempauth, 'swift_store_create_container_on_put': False})

    def take_root_away(self, store):
        for name in self.ask('GET').body.decode().split():
            self.ask('DELETE', f'/{name}')
        assert self.ask('DELETE').status == 204

    def bring_root_back(self, store):
        assert self.ask('PUT').status in (201, 202)


def test_a_container_that_the_first_upload_will_create_has_nothing_to_discard(
        make_plugin, tempauth):
    store = make_plugin(SwiftStore, swift_store_container='not-yet', **tempauth)

    assert store.discard('key') is None
    with pytest.raises(contract.Unavailable):
        store.delete('swift+config://ref1/not-yet/key')


class TestBrokenSwift(BrokenBackendContract):

    @pytest.fixture
    def broken(self, make_plugin):
        return make_plugin(
            SwiftStore, swift_store_auth_address=f'http://127.0.0.1:{process.free_port()}/v3',
            swift_store_user='project:user', swift_store_key='a-key')

    @pytest.fixture
    def broken_url(self):
        return f'swift+config://ref1/glance/{uuid.uuid4()}'


class TestSilentSwift(TestBrokenSwift):
    """The identity service works; Swift accepts connections and sends nothing."""

    @pytest.fixture
    def broken(self, make_plugin, tempauth):
        import socket
        with socket.create_server(('127.0.0.1', 0)) as silent:
            yield make_plugin(
                SwiftStore, swift_store_timeout=1, swift_store_connect_timeout=1,
                swift_store_endpoint=f'http://127.0.0.1:{silent.getsockname()[1]}/v1/AUTH_test',
                **tempauth)


class TestTwoAccounts(TwoStoresContract):

    @pytest.fixture
    def file(self, tmp_path, swift):
        path = tmp_path / 'accounts.conf'
        path.write_text(f'''
[own]
auth_address = {swift.auth_url}
auth_version = 1
user = test:tester
key = testing
[theirs]
auth_address = "{swift.auth_url}"
auth_version = 1
user = "other:tester"
key = "testing2"
''')
        return str(path)

    @pytest.fixture
    def make(self, make_plugin, file):
        def make(name):
            return make_plugin(SwiftStore, name=name, swift_store_config_file=file,
                               swift_store_create_container_on_put=True,
                               default_swift_reference=name)
        return make

    @pytest.fixture
    def store(self, make):
        return make('own')

    @pytest.fixture
    def other(self, make):
        return make('theirs')

    def test_two_stores_reject_the_urls_of_each_other(self, both):
        """Both can read everything, because they share a file; they own only their own data."""
        (one, first_url), (other, second_url) = both

        assert (one.owns(second_url), other.owns(first_url)) == (False, False)
        assert b''.join(one.read(second_url)) == b'theirs'


class TestTwoContainers(TwoStoresContract):
    """One account with two references."""

    @pytest.fixture
    def store(self, make_plugin, tempauth):
        return make_plugin(SwiftStore, name='gold', default_swift_reference='gold',
                           swift_store_container='gold', **tempauth)

    @pytest.fixture
    def other(self, make_plugin, tempauth):
        return make_plugin(SwiftStore, name='tin', default_swift_reference='tin',
                           swift_store_container='tin', **tempauth)


def test_an_option_of_glance_without_effect_is_reported(host, tmp_path, caplog):
    path = tmp_path / 'glancelite-api.conf'
    path.write_text('[fast]\nswift_store_ssl_compression = false\n'
                    'swift_store_auth_address = http://127.0.0.1:9/v3\n'
                    'swift_store_user = project:user\nswift_store_key = a-key\n')
    host.conf = cfg.ConfigOpts()
    host.conf(['--config-file', str(path)], project='glancelite')

    loader.load(host.conf, host, 'store', 'swift', instance='fast').close()

    assert ('Option "swift_store_ssl_compression" from group "fast" is deprecated for removal '
            '(It has no effect: ') in caplog.text
