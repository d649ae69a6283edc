"""The store ``rbd`` fulfils the contract on a real cluster."""

import pytest

from glancelite.testing.contracts.store import LargeImageContract, StoreContract
from glancelite.testing.contracts.store.failures import (
    BrokenBackendContract,
    MissingRootContract,
    TwoStoresContract,
)
from tests.plugins.store import pools
from tests.servers import process


class TestRBDStore(StoreContract):

    @pytest.fixture(autouse=True)
    def _cluster(self, ceph):
        self.ceph = ceph

    @pytest.fixture
    def store(self, make_rbd):
        return make_rbd()

    def leftovers(self, store):
        return pools.names(self.ceph)


class TestLargeImages(LargeImageContract):

    @pytest.fixture
    def store(self, make_rbd):
        return make_rbd(chunk_size=32, rbd_thin_provisioning=True)


class TestTwoPools(TwoStoresContract):

    @pytest.fixture
    def store(self, make_rbd):
        return make_rbd(name='one')

    @pytest.fixture
    def other(self, make_rbd):
        return make_rbd(name='other', user='volumes', pool='volumes')


class TestWithoutPool(MissingRootContract):

    @pytest.fixture(autouse=True)
    def _pool(self, ceph):
        self.ceph = ceph
        ceph.create_pool('short-lived')
        yield
        ceph.delete_pool('short-lived')

    @pytest.fixture
    def store(self, make_rbd):
        return make_rbd(user='admin', pool='short-lived')

    def take_root_away(self, store):
        self.ceph.delete_pool('short-lived')

    def bring_root_back(self, store):
        self.ceph.create_pool('short-lived')


class TestWithoutMonitor(BrokenBackendContract):

    @pytest.fixture
    def broken(self, make_rbd, ceph):
        dead = ceph.configure('dead.conf', mon_host=f'v2:127.0.0.1:{process.free_port()}/0')
        return make_rbd(conf=dead, rbd_connect_timeout=2)

    @pytest.fixture
    def broken_url(self, ceph):
        return f'rbd://{ceph.fsid}/images/key/snap'

    @pytest.fixture
    def patience(self):
        return 10


class TestWithWrongKey(BrokenBackendContract):

    @pytest.fixture
    def broken(self, make_rbd, ceph):
        keyring = ceph.home / 'wrong.keyring'
        keyring.write_text('[client.images]\nkey = AQBUGwlnAAAAABAAKbr3ZXZQ9M2kJcTjgFhVbA==\n')
        return make_rbd(conf=ceph.configure('wrong.conf', keyring=keyring))

    @pytest.fixture
    def broken_url(self, ceph):
        return f'rbd://{ceph.fsid}/images/key/snap'

    @pytest.fixture
    def patience(self):
        return 10

    def test_health_names_the_key(self, broken, refused):
        with pytest.raises(Exception, match='does not accept the key'):
            broken.health()
