"""The starters start real servers, and each test gets what is its own."""

import contextlib

import pytest
import sqlalchemy as sa


@contextlib.contextmanager
def _engine(url):
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def _fill(url):
    with _engine(url) as engine, engine.begin() as connection:
        connection.execute(sa.text('CREATE TABLE things (name VARCHAR(20))'))
        connection.execute(sa.text("INSERT INTO things VALUES ('ours')"))


def _tables(url):
    with _engine(url) as engine:
        return sa.inspect(engine).get_table_names()


@pytest.mark.parametrize('round', ['first', 'second'])
def test_postgres_gives_every_test_an_empty_database(fresh_postgres, round):
    before = _tables(fresh_postgres)

    _fill(fresh_postgres)

    assert before == []
    assert _tables(fresh_postgres) == ['things']


@pytest.mark.parametrize('round', ['first', 'second'])
def test_mariadb_gives_every_test_an_empty_database(fresh_mariadb, round):
    before = _tables(fresh_mariadb)

    _fill(fresh_mariadb)

    assert before == []
    assert _tables(fresh_mariadb) == ['things']


def test_a_mariadb_database_goes_although_a_transaction_is_open(mariadb_server):
    url = mariadb_server.create()
    _fill(url)

    with _engine(url) as engine:
        forgotten = engine.connect()
        forgotten.execute(sa.text('SELECT * FROM things'))
        mariadb_server.drop(url)
        forgotten.invalidate()
        forgotten.close()

    with pytest.raises(sa.exc.OperationalError, match='Unknown database'):
        _tables(url)
