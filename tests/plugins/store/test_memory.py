"""The store ``memory`` keeps the contract, and nothing beyond its life."""

import pytest

from glancelite.plugins.store.memory import MemoryStore
from glancelite.testing.contracts.store import LargeImageContract, StoreContract


class TestMemoryStore(StoreContract):

    @pytest.fixture
    def store(self, make_plugin):
        return make_plugin(MemoryStore)

    def leftovers(self, store):
        return [] if store.health() == '0 objects, 0 bytes' else [store.health()]

    def test_two_stores_share_nothing(self, make_plugin, store, box):
        other = make_plugin(MemoryStore, name='other')

        url = box.put(b'mine').url

        assert not other.owns(url)
        assert other.health() == '0 objects, 0 bytes'


class TestLargeImages(LargeImageContract):

    @pytest.fixture
    def store(self, make_plugin):
        return make_plugin(MemoryStore)
