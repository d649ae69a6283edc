"""The database ``sql`` keeps the contract on SQLite."""

import pytest

from glancelite.testing.contracts.database import DatabaseContract
from glancelite.testing.contracts.database.random_queries import RandomQueriesContract
from glancelite.testing.contracts.database.values import race, rich


@pytest.fixture
def database(emptied, one_sqlite):
    # power failures are not tested here, so the tests need not wait for the disk
    return emptied(one_sqlite, sqlite_synchronous=False)


class TestSQLite(DatabaseContract):

    @pytest.fixture
    def database(self, database):
        return database


class TestRandomQueries(RandomQueriesContract):

    @pytest.fixture
    def database(self, database):
        return database


class TestInMemory(RandomQueriesContract):
    """All threads take turns with one connection."""

    @pytest.fixture
    def database(self, make_sql):
        return make_sql('sqlite://')

    def test_threads_wait_for_each_other(self, database):
        kept = database.images.add(rich())

        won = race(16, lambda n: database.images.update(
            database.images.get(kept.id, viewer=None) if n % 2 else kept,
            {'tags': (str(n),)}))

        assert database.images.get(kept.id, viewer=None) in won
