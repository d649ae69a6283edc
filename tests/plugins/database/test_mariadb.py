"""The database ``sql`` keeps the contract on MariaDB."""

import pytest

from glancelite.testing.contracts.database import DatabaseContract
from glancelite.testing.contracts.database.random_queries import RandomQueriesContract


@pytest.fixture
def database(emptied, one_mariadb):
    return emptied(one_mariadb)


class TestMariaDB(DatabaseContract):

    @pytest.fixture
    def database(self, database):
        return database


class TestRandomQueries(RandomQueriesContract):

    @pytest.fixture
    def database(self, database):
        return database
