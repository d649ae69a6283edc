"""The database ``sql`` keeps the contract on PostgreSQL."""

import pytest

from glancelite.testing.contracts.database import DatabaseContract
from glancelite.testing.contracts.database.random_queries import RandomQueriesContract


@pytest.fixture
def database(emptied, one_postgres):
    return emptied(one_postgres)


class TestPostgreSQL(DatabaseContract):

    @pytest.fixture
    def database(self, database):
        return database


class TestRandomQueries(RandomQueriesContract):

    @pytest.fixture
    def database(self, database):
        return database
