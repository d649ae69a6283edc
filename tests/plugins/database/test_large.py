"""Large images cost some more statements, never a mixture of two revisions."""

import pytest

from glancelite.contract import ImageQuery, Viewer
from glancelite.plugins.database.sql.connection import Connection
from glancelite.plugins.database.sql.large import SLICE
from glancelite.testing.contracts.database.values import large, rich

QUERY = ImageQuery(Viewer('p'), limit=100)


@pytest.fixture(params=['one_sqlite', 'one_postgres', 'one_mariadb'])
def url(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def database(url, emptied):
    return emptied(url)


@pytest.fixture
def statements(monkeypatch):
    """The statements so far; each is also passed to ``statements.on_each``."""
    class Statements(list):
        on_each = staticmethod(lambda sql: None)

    seen = Statements()
    execute = Connection.execute

    def recorded(self, sql, *parameters):
        seen.append(sql)
        result = execute(self, sql, *parameters)
        seen.on_each(sql)
        return result

    monkeypatch.setattr(Connection, 'execute', recorded)
    return seen


@pytest.mark.parametrize('amount', [5, 50])
def test_the_statements_depend_on_the_size_not_on_the_images(database, statements, amount):
    for _ in range(amount):
        database.images.add(large(1))
    database.images.list(QUERY)
    statements.clear()

    assert len(database.images.list(QUERY).items) == amount

    # the first pass; a transaction of two or three statements; the same again; the parts
    parts = amount * 60_000 // SLICE + 1
    assert len(statements) <= 1 + 3 + 1 + 3 * (parts + 1)


def test_images_of_some_kilobytes_are_one_statement(database, statements):
    for _ in range(50):
        database.images.add(rich(properties={'k': 'x' * 2500, 'other': '漢' * 500}))
    database.images.list(QUERY)
    statements.clear()

    assert len(database.images.list(QUERY).items) == 50
    assert len(statements) == 1


def test_what_is_read_was_written_at_once(database, url, make_sql, statements):
    image = database.images.add(large(20))
    other = make_sql(url)

    def change(sql):
        """Write after each statement of the reader."""
        statements.on_each = lambda sql: None
        text = str(len(statements))
        other.images.update(other.images.get(image.id, viewer=None), {
            'name': text, 'tags': (text,), 'properties': {**image.properties, 'text': text}})
        statements.on_each = change

    database.images.list(QUERY)
    statements.on_each = change
    found, = database.images.list(QUERY).items
    statements.on_each = lambda sql: None

    assert found.name == found.properties['text'] == found.tags[0]
    assert database.images.get(image.id, viewer=None).revision > found.revision


def test_an_image_that_shrinks_or_vanishes_meanwhile_is_read_or_not_found(
        database, url, make_sql, statements):
    kept, gone = database.images.add(large(20)), database.images.add(large(20))
    other = make_sql(url)

    def change(sql):
        statements.on_each = lambda sql: None
        other.images.update(kept, {'properties': {'k': 'v'}})
        other.images.delete(gone, pending=False)

    database.images.list(QUERY)
    statements.on_each = change
    found, = database.images.list(QUERY).items

    assert (found.id, found.properties) == (kept.id, {'k': 'v'})
