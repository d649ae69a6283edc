"""Metadata definitions in SQL: rows of Glance, what Glance reads, and the costs of a call."""

import datetime
import json
import logging

import pytest
import sqlalchemy as sa

from glancelite.contract import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Namespace,
    NamespaceQuery,
    Viewer,
)
from glancelite.contract.metadef import ITEM_KINDS
from glancelite.plugins.database.sql.connection import Connection
from glancelite.testing.contracts.database.metadefs import (
    LISTS,
    definition,
    full,
    given,
    item,
    whole,
)
from tests.plugins.database import glance33

ADMIN = Viewer(None, True)
NAMESPACES, OBJECTS, PROPERTIES, TYPES, ASSOCIATIONS = (
    glance33.meta.tables[f'metadef_{name}'] for name in (
        'namespaces', 'objects', 'properties', 'resource_types', 'namespace_resource_types'))
CREATED = {'created_at': glance33.CREATED}


@pytest.fixture(params=['one_sqlite', 'one_postgres', 'one_mariadb'])
def url(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def metadefs(emptied, url):
    return emptied(url).metadefs


@pytest.fixture
def connection(metadefs, url):
    """A connection to the tables of Glance; each statement is a transaction."""
    engine = sa.create_engine(url, isolation_level='AUTOCOMMIT')
    with engine.connect() as opened:
        yield opened
    engine.dispose()


@pytest.fixture
def of_glance(connection):
    """Adds a namespace as Glance does, with an object, a property and an association."""
    def add(required=None, schema='{}', **fields):
        connection.execute(sa.insert(NAMESPACES).values(**{
            'id': 7, 'namespace': 'N', 'owner': 'p', **CREATED, **fields}))
        of = {'namespace_id': 7, **CREATED}
        connection.execute(sa.insert(OBJECTS).values(
            name='o', required=required, json_schema=schema, **of))
        connection.execute(sa.insert(PROPERTIES).values(name='p', json_schema=schema, **of))
        connection.execute(sa.insert(TYPES).values(id=3, name='T', protected=True, **CREATED))
        connection.execute(sa.insert(ASSOCIATIONS).values(resource_type_id=3, **of))
    return add


def test_what_glance_left_unset_has_its_meaning(metadefs, of_glance):
    of_glance()
    found = metadefs.get('N')

    assert found == Namespace(
        'N', visibility='private', protected=False, owner='p', id=7,
        created_at=glance33.CREATED.replace(tzinfo=datetime.UTC))
    for visibility, protected in (('private', 'asc'), (None, 'desc')):
        for viewer, count in ((Viewer('p'), 1), (Viewer('q'), 0), (ADMIN, 1)):
            page = metadefs.list(NamespaceQuery(viewer, visibility, sort=(
                ('visibility', protected), ('protected', protected), ('id', 'asc'))))
            assert [each.namespace for each in page.items] == [found] * count
    assert metadefs.list(NamespaceQuery(ADMIN, 'public')).items == ()
    assert metadefs.resource_types()[0].protected is True
    assert metadefs.remove('N') == found


def test_unset_and_private_are_the_same_place_in_a_listing(metadefs, of_glance):
    of_glance()
    for name in ('A', 'Z'):
        metadefs.add(definition(name))
    query = NamespaceQuery(ADMIN, sort=(
        ('visibility', 'desc'), ('protected', 'asc'), ('namespace', 'asc')), limit=1)

    seen = []
    for _ in range(3):
        page = metadefs.list(query)
        seen += [each.namespace.namespace for each in page.items]
        query = NamespaceQuery(ADMIN, sort=query.sort, limit=1, after=page.items[-1].namespace)

    assert (seen, page.more) == (['A', 'N', 'Z'], False)


@pytest.mark.parametrize(('text', 'names'), [
    (None, ()), ('', ()), ('a', ('a',)), ('a,b', ('a', 'b')), (' a, b', (' a', ' b')),
    ('a,', ('a', '')), ('[1, 2]', ('[1', ' 2]')), ('["a"', ('["a"',)), ('[', ('[',)),
    ('["a", "b,c"]', ('a', 'b,c')), ('{"a": 1}', ('{"a": 1}',)), ('null', ('null',))])
def test_required_properties_of_glance_are_a_text_with_commas(metadefs, of_glance, text, names):
    of_glance(required=text)

    assert metadefs.item('N', 'objects', 'o').required == names


@pytest.mark.parametrize('names', LISTS, ids=ascii)
def test_required_properties_are_written_as_glance_reads_them(metadefs, connection, names):
    metadefs.add(Definition(Namespace('N'), objects=(DefinedObject('o', required=names),)))

    text = connection.scalar(sa.select(OBJECTS.c.required))

    if tuple(text.split(',') if text else ()) != names:     # as Glance reads it
        assert json.loads(text) == list(names)
        assert any(',' in name or '[' in name or '\0' in name for name in names) or (
            set(names) == {''})


def test_a_schema_that_is_no_object_is_empty_and_logged(metadefs, of_glance, caplog):
    of_glance()
    for schema in ('{', '[1]', '"text"', '7', 'null', '', '[' * 60_000):
        metadefs.clear()
        of_glance(schema=schema)
        caplog.clear()

        with caplog.at_level(logging.WARNING):
            found = metadefs.read('N', ('objects', 'properties'))

        assert (found.objects[0].properties, found.properties[0].schema) == ({}, {})
        assert [record.getMessage() for record in caplog.records] == [
            f"a schema of '{name}', in the metadata definition {kind}, is no JSON object; it "
            'counts as empty' for name, kind in (('o', 'objects'), ('p', 'properties'))]


def test_a_property_of_an_object_that_is_no_json_object_is_empty(metadefs, of_glance, caplog):
    of_glance(schema='{"k": {"title": "K"}, "odd": [1]}')

    with caplog.at_level(logging.WARNING):
        found = metadefs.item('N', 'objects', 'o')

    assert found.properties == {'k': {'title': 'K'}, 'odd': {}}
    assert len(caplog.records) == 1


def test_what_is_written_has_the_form_of_glance(metadefs, connection):
    kept = metadefs.add(full())

    row = connection.execute(sa.select(NAMESPACES)).mappings().one()
    assert (row['namespace'], row['visibility'], bool(row['protected']), row['owner']) == (
        'Full', 'public', True, 'p')
    objects = connection.execute(sa.select(OBJECTS).order_by(OBJECTS.c.id)).mappings().all()
    assert [(each['name'], each['required'], json.loads(each['json_schema']))
            for each in objects] == [
        ('o', 'k,other', kept.objects[0].properties), ('empty', None, {})]
    properties = connection.execute(sa.select(PROPERTIES).order_by(PROPERTIES.c.id)).mappings()
    assert [json.loads(each['json_schema']) for each in properties] == [
        each.schema for each in kept.properties]
    associated = connection.execute(sa.select(ASSOCIATIONS, TYPES.c.name).join(
        TYPES).order_by(TYPES.c.id)).mappings()
    assert [(each['name'], each['prefix'], each['properties_target']) for each in associated] == [
        ('T::Z', 'hw_', 'image'), ('T::A', None, None)]


def test_items_are_added_to_a_namespace_of_glance(metadefs, of_glance):
    of_glance()
    metadefs.add_items('N', [DefinedTag('t')])

    assert given(whole(metadefs)) == Definition(
        Namespace('N', owner='p'), (Association('T'),), (DefinedObject('o'),),
        (DefinedProperty('p'),), (DefinedTag('t'),))


@pytest.fixture
def count(statements):
    """Calls a function twice and counts the statements of the second call."""
    def run(ask):
        ask(0)
        statements.clear()
        ask(1)
        return len(statements)
    return run


@pytest.mark.parametrize('amount', [2, 60])
def test_calls_for_definitions_are_a_few_statements(metadefs, url, count, amount):
    names = [f'i{n}' for n in range(amount)]
    for n in range(amount):
        metadefs.add(definition(f'N{n}', *names))
    write, read = 2, 3 if 'mysql' in url else 2     # the ends of a transaction
    types = 2 if 'postgresql' in url else 1         # a lock
    big = [DefinedTag(f'tag {n}') for n in range(amount)]

    def page(_):
        found = metadefs.list(NamespaceQuery(ADMIN, limit=100)).items
        assert sum(len(each.resource_types) for each in found) == amount * amount

    assert count(page) == read + 2
    assert count(lambda _: metadefs.get('N1')) == 1
    assert count(lambda _: metadefs.resource_types()) == 1
    assert count(lambda _: metadefs.read('N1', ITEM_KINDS)) == read + 1 + 4
    assert count(lambda _: metadefs.items('N1', 'tags')) == read + 2
    assert count(lambda _: metadefs.item('N1', 'tags', 'i1')) == read + 2
    assert count(lambda n: metadefs.add(definition(f'M{n}', *names))) == write + 2 + types + 8
    assert count(lambda _: metadefs.replace(definition('M0', *names))) == (
        write + 7 + types + 8)
    assert count(lambda n: metadefs.merge(
        definition('M0', *(f'{n}{name}' for name in names)), prefer_new=True)) == (
        write + 3 + types + 1 + 8 + 4)
    assert count(lambda n: metadefs.update(metadefs.get('M0'), {
        'description': str(n)})) == 1 + write + 3
    assert count(lambda n: metadefs.add_items(f'N{n}', big)) == write + 4
    assert count(lambda n: metadefs.add_items(f'N{n}', big, replace=True)) == write + 4
    assert count(lambda n: metadefs.update_item('N0', f'tag {n}', DefinedTag(f'n{n}'))) == (
        write + 4)
    assert count(lambda n: metadefs.remove_item('N0', 'tags', f'n{n}')) == write + 3
    assert count(lambda n: metadefs.remove_items(f'N{n}', 'tags')) == write + 2
    assert count(lambda n: metadefs.remove(f'N{n}')) == write + 6
    assert count(lambda _: metadefs.clear()) == write + 6


def test_items_are_inserted_at_once(metadefs, url, monkeypatch):
    sent = []

    def send(self, sql, parameters):
        sent.append(len(parameters))
        return execute_many(self, sql, parameters)

    execute_many = Connection.execute_many
    monkeypatch.setattr(Connection, 'execute_many', send)
    metadefs.add(definition())
    for kind in ITEM_KINDS:
        sent.clear()
        metadefs.add_items('N', [item(kind, f'i{n}', 'mark') for n in range(50)])

        # on PostgreSQL this method would send them one by one; the types of associations are few
        assert sent == [50] * ((kind == 'resource_types') + ('postgresql' not in url))
        assert len(metadefs.items('N', kind)) == 50
