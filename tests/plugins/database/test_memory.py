"""The database ``memory`` keeps the contract."""

import pytest

from glancelite.plugins.database.memory import MemoryDatabase
from glancelite.testing.contracts.database import DatabaseContract
from glancelite.testing.contracts.database.random_queries import RandomQueriesContract


class TestMemoryDatabase(DatabaseContract):

    @pytest.fixture
    def database(self, make_plugin):
        return make_plugin(MemoryDatabase)


class TestRandomQueries(RandomQueriesContract):

    @pytest.fixture
    def database(self, make_plugin):
        return make_plugin(MemoryDatabase)
