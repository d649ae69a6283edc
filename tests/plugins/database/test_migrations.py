"""The tables: created, or added to those of Glance, by one process at a time."""

import concurrent.futures
import datetime
import multiprocessing

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from glancelite.contract import (
    Conflict,
    ImageQuery,
    Location,
    Misconfigured,
    Unavailable,
    Viewer,
)
from glancelite.plugins.database.sql import collation, rows, schema, tables
from glancelite.testing.contracts.database import DatabaseContract
from glancelite.testing.contracts.database.listing import ListingContract
from glancelite.testing.contracts.database.metadefs import definition, whole
from glancelite.testing.contracts.database.values import SIMILAR, rich
from tests.plugins.database import glance33

URLS = ['sqlite', 'postgres', 'mariadb']
UTC = datetime.UTC


@pytest.fixture(params=URLS)
def url(request, tmp_path):
    """A database without any table."""
    if request.param == 'sqlite':
        return f'sqlite:///{tmp_path}/x.sqlite'
    return request.getfixturevalue(f'fresh_{request.param}')


@pytest.fixture
def database(make_sql, url):
    return make_sql(url)


@pytest.fixture
def engine(url):
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


def test_the_revisions_are_those_of_alembic_in_its_order():
    known = ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions()

    assert schema.revisions() == [revision.revision for revision in known][::-1]


def test_creates_all_tables_in_an_empty_database(database, engine):
    assert (database.behind(), database.version()) == (True, '')

    result = database.sync()

    assert result == 'the database was upgraded to expand06'
    assert (database.behind(), database.version()) == (False, 'expand06')
    assert database.sync() == 'the database is at expand06 already'
    there = sa.inspect(engine)
    assert set(there.get_table_names()) == {*glance33.meta.tables, 'glancelite_version'}
    for table in (*glance33.meta.tables.values(), *tables.images.metadata.tables.values()):
        columns = {column['name'] for column in there.get_columns(table.name)}
        assert columns >= set(table.c.keys())
    with engine.connect() as connection:
        assert connection.scalar(sa.text('SELECT version_num FROM alembic_version')) == (
            '2024_1_contract01')


def test_has_the_keys_and_indexes_of_glance(database, engine):
    database.sync()

    there = sa.inspect(engine)

    for table in glance33.meta.tables.values():
        named = {index['name'] for index in there.get_indexes(table.name)}
        named |= {key['name'] for key in there.get_unique_constraints(table.name)}
        assert named >= {index.name for index in table.indexes}
        assert named >= {key.name for key in table.constraints
                         if isinstance(key, sa.UniqueConstraint)}
        assert {key['referred_table'] for key in there.get_foreign_keys(table.name)} == {
            key.column.table.name for key in table.foreign_keys}


def test_adds_to_a_database_of_glance_and_loses_nothing(database, engine):
    before = glance33.fill(engine)
    assert database.behind() is True

    database.sync()

    assert database.behind() is False
    with engine.connect() as connection:
        after = {table.name: connection.execute(sa.select(table)).fetchall()
                 for table in glance33.meta.sorted_tables}
    assert after == before


def test_reads_and_writes_the_images_of_glance(database, engine):
    glance33.fill(engine)
    database.sync()
    images = database.images
    found, = images.list(ImageQuery(Viewer('p'))).items

    assert images.get(glance33.IMAGE, viewer=None) == found
    assert (found.name, found.tags, dict(found.properties), found.revision) == (
        'of Glance', ('a', 'b'), {'k': 'v', 'never set': ''}, 0)
    assert found.locations == (Location('file:///g', {'store': 'fast'}),)
    assert found.created_at == datetime.datetime(2025, 5, 5, 5, 5, 5, tzinfo=UTC)
    assert [m.member for m in database.members.list(found.id)] == ['m']
    written = images.update(found, {
        'name': 'ours', 'properties': {'k': 'w', 'gone': 'back'}, 'tags': ('b', 'c')})
    assert images.get(found.id, viewer=None) == written
    assert images.undelete(images.delete(written, pending=True)).properties == {
        'k': 'w', 'gone': 'back'}
    with pytest.raises(Conflict):
        images.add(rich(glance33.REMOVED))


def test_metadata_of_a_location_that_is_no_json_object_is_empty(database, engine, caplog):
    glance33.fill(engine)
    database.sync()
    rows._cached_metadata.cache_clear()         # each short text is logged once

    for number, text in enumerate(['{', 'store: fast', '[1]', '"fast"', '7', '[' * 60_000]):
        with engine.begin() as connection:
            connection.execute(sa.update(glance33.locations).values(meta_data=text))

        found = database.images.get(glance33.IMAGE, viewer=None)

        assert [(location.url, dict(location.metadata)) for location in found.locations] == [
            ('file:///g', {})]
        assert caplog.text.count('metadata of a location') == number + 1
        assert database.images.list(ImageQuery(Viewer('p'))).items == (found,)
    assert database.images.update(found, {'name': 'n'}).name == 'n'


def test_an_id_in_capitals_is_found_by_either_form(database, engine):
    glance33.fill(engine)
    database.sync()
    capitals = 'ABCDEF00-0000-4000-8000-00000000000A'
    with engine.begin() as connection:
        connection.execute(sa.insert(glance33.images).values(
            id=capitals, name='of Glance', status='active', owner='p', min_disk=0, min_ram=0,
            size=None, created_at=glance33.CREATED, deleted=False))

    for form in (capitals, capitals.lower()):
        found = database.images.get(form, viewer=Viewer('p'))
        assert (found.id, found.size) == (capitals, None)
    written = database.images.update(found, {'tags': ('t',)})
    database.members.add(written.id, 'm')
    assert database.images.get(capitals.lower(), viewer=Viewer('m', True)).membership == 'pending'
    assert database.images.delete(written, pending=False).id == capitals


def test_detects_writes_of_glance(database, engine, host):
    glance33.fill(engine)
    database.sync()
    seen = database.images.get(glance33.IMAGE, viewer=None)
    host.advance(seconds=5)
    with engine.begin() as connection:
        connection.execute(sa.update(glance33.images).values(
            name='again of Glance', updated_at=datetime.datetime(2025, 6, 6)))

    with pytest.raises(Conflict):
        database.images.update(seen, {'name': 'lost'})

    present = database.images.get(glance33.IMAGE, viewer=None)
    assert present.name == 'again of Glance'
    assert database.images.update(present, {'name': 'won'}).revision == 1


def test_completes_pending_deletions_of_glance(database, engine, host):
    glance33.fill(engine)
    database.sync()
    found, = database.images.unfinished(now=host.now(), deleted_before=host.now())

    assert (found.id, found.name) == (glance33.PENDING, 'pending')
    assert [location.url for location in found.locations] == ['file:///pending']

    assert database.images.pending_deletion(glance33.PENDING) == (found, 'active')
    back = database.images.undelete(found)

    assert (back.status, dict(back.properties)) == ('active', {'k': 'v'})
    assert back.locations == (Location('file:///pending', {'store': 'fast'}),)


def test_glance_can_still_insert_rows(database, engine):
    database.sync()
    glance33.insert(engine)

    assert database.images.get(glance33.IMAGE, viewer=None).revision == 0


def test_tables_of_an_older_glance_must_be_upgraded_by_glance(database, engine):
    with engine.begin() as connection:
        glance33.meta.create_all(connection)
        glance33.meta.tables['cached_images'].drop(connection)

    with pytest.raises(Misconfigured, match=r'cached_images.*glance-manage db sync'):
        database.sync()

    assert database.behind() is True


def test_an_interrupted_sync_is_completed_by_the_next(database, engine):
    database.sync()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE glancelite_version SET version_num = 'expand01'"))
        where = '' if engine.dialect.name in ('sqlite', 'postgresql') else ' ON images'
        connection.execute(sa.text(f'DROP INDEX glancelite_images_name{where}'))

    database.sync()

    assert 'glancelite_images_name' in {
        index['name'] for index in sa.inspect(engine).get_indexes('images')}


def test_a_newer_database_is_not_behind(database, engine):
    database.sync()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE glancelite_version SET version_num = 'expand99'"))

    assert database.behind() is False


def test_several_processes_may_sync_at_once(make_sql, database):
    context = multiprocessing.get_context('fork')
    results = context.Queue()
    children = [context.Process(target=lambda: results.put(database.sync())) for _ in range(3)]

    for child in children:
        child.start()
    answers = sorted(results.get(timeout=60) for _ in children)
    for child in children:
        child.join()

    assert answers == ['the database is at expand06 already'] * 2 + [
        'the database was upgraded to expand06']
    assert database.behind() is False


def test_threads_wait_for_one_sync(database):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: database.sync(), range(3)))

    assert answers.count('the database is at expand06 already') == 2


@pytest.fixture(scope='session')
def adopted(mariadb_url):
    url = mariadb_url()
    engine = sa.create_engine(url)
    glance33.fill(engine, rows=False)
    engine.dispose()
    return url


class TablesOfGlance:
    """They store whole seconds; the plugin keeps the contract nevertheless."""

    @pytest.fixture
    def database(self, emptied, adopted):
        return emptied(adopted)


class TestListingsOfTablesOfGlanceOnMariaDB(TablesOfGlance, ListingContract):
    pass


@pytest.mark.long
class TestTablesOfGlanceOnMariaDB(TablesOfGlance, DatabaseContract):
    pass


@pytest.fixture
def inexact(request, fresh_mariadb, monkeypatch):
    """A database of Glance with the collation of its server; it compares texts inexactly."""
    name = getattr(request, 'param', 'utf8mb3_general_ci')
    for table in glance33.meta.tables.values():
        options = table.dialect_options['mysql']
        monkeypatch.setitem(options, 'charset', name.partition('_')[0])
        monkeypatch.setitem(options, 'collate', name)
    engine = sa.create_engine(fresh_mariadb)
    glance33.fill(engine)
    engine.dispose()
    return fresh_mariadb


@pytest.mark.parametrize('inexact', ['utf8mb3_general_ci', 'utf8mb4_unicode_ci', 'utf8mb4_bin',
                                     'latin1_swedish_ci'], indirect=True)
def test_inexact_tables_are_converted_without_a_loss(make_sql, inexact):
    database = make_sql(inexact)

    result = database.sync()

    assert 'texts are compared exactly now, in images, image_locations' in result
    assert database.sync() == 'the database is at expand06 already'
    assert database.behind() is False
    kept = database.images.get(glance33.IMAGE, viewer=None)
    changes = {'name': 'Name 😀 ', 'tags': ('a', 'A', 'á', 'a ', 'b'), 'properties': {
        'k': 'v', 'K': 'w', 'ḱ': 'x', 'k ': 'y', '😀': '😀'}}
    written = database.images.update(kept, changes)
    assert database.images.get(kept.id, viewer=None) == written
    assert dict(written.properties) == changes['properties']
    kept = [database.metadefs.add(definition(name, *SIMILAR, '😀')) for name in SIMILAR]
    assert [whole(database.metadefs, name) for name in SIMILAR] == kept


def test_definitions_in_tables_that_a_former_release_has_not_converted(
        make_sql, inexact, monkeypatch):
    database = make_sql(inexact)
    with monkeypatch.context() as patch:
        patch.setattr(collation, 'TABLES', ('images', 'tasks', *collation.DEPENDENT))
        database.sync()
        assert database.behind() is False
    engine = sa.create_engine(inexact)
    with engine.begin() as connection:
        times = {'created_at': glance33.CREATED}
        namespaces, tags = (glance33.meta.tables[f'metadef_{name}']
                            for name in ('namespaces', 'tags'))
        connection.execute(sa.insert(namespaces).values(
            id=5, namespace='Übung', owner='p', **times))
        connection.execute(sa.insert(tags).values(namespace_id=5, name='é', **times))
    engine.dispose()
    database = make_sql(inexact)

    assert database.behind() is True
    with pytest.raises(Unavailable, match=r'metadef_namespaces.*glancelite-manage db sync'):
        database.metadefs.get('Übung')
    assert 'metadef_namespace_resource_types' in database.sync()

    assert database.behind() is False
    kept = whole(database.metadefs, 'Übung')
    assert [tag.name for tag in kept.tags] == ['é']
    assert database.metadefs.add(definition('übung', 'É', 'é')).namespace.id > 5
    with pytest.raises(Conflict):
        database.metadefs.add(definition('Übung'))
    assert database.metadefs.remove('Übung') == kept.namespace


def test_a_database_that_compares_inexactly_is_behind_and_not_used(make_sql, inexact):
    make_sql(inexact).sync()
    engine = sa.create_engine(inexact)
    with engine.begin() as connection:      # as from a dump of another server
        connection.exec_driver_sql('ALTER TABLE image_tags MODIFY value VARCHAR(255) '
                                   'CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL')
    engine.dispose()
    database = make_sql(inexact)

    assert database.behind() is True
    for ask in (lambda: database.images.get(glance33.IMAGE, viewer=None),
                lambda: database.images.add(rich())):
        with pytest.raises(Unavailable, match=r'image_tags.*glancelite-manage db sync'):
            ask()
    assert 'exactly now, in image_tags' in database.sync()
    assert database.images.get(glance33.IMAGE, viewer=None)


def test_an_interrupted_conversion_is_completed_by_the_next(make_sql, inexact, monkeypatch):
    database = make_sql(inexact)
    with monkeypatch.context() as patch:
        patch.setattr(collation, 'TABLES', ('images', 'image_tags'))
        patch.setitem(collation.DEPENDENT, 'task_info', ('no_such_column', 'tasks'))
        with pytest.raises(Unavailable):
            database.sync()

    assert database.behind() is True
    assert 'image_locations' in database.sync()

    assert database.behind() is False
    assert len(collation._keys(sa.create_engine(inexact).connect())) == 5
    assert database.images.get(glance33.IMAGE, viewer=None).name == 'of Glance'
