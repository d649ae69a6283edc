"""The store ``rbd`` keeps the contract, on a real cluster."""

import pytest

from glancelite.testing.contracts.store import StoreContract
from tests.plugins.store import pools

MIB = 1 << 20


class RBDContract(StoreContract):

    @pytest.fixture(autouse=True)
    def _cluster(self, ceph):
        self.ceph = ceph

    @pytest.fixture
    def store(self, make_rbd):
        return make_rbd()

    def leftovers(self, store):
        return pools.names(self.ceph)


class TestRBDStore(RBDContract):
    """With the default options."""
