"""The cost of a listing depends on the size of its page only."""

import datetime
import re

import pytest
from psycopg import sql

from glancelite.contract import Image, ImageQuery, Viewer
from glancelite.plugins.database.sql import queries

AMOUNT = 20_000
FILL = (
    # all visibilities, ten projects; project-0 has the most
    """INSERT INTO images (id, name, status, visibility, owner, created_at, updated_at, deleted,
                           min_disk, min_ram, protected, os_hidden, size)
       SELECT lpad(n::text, 36, '0'), 'name ' || n, 'active',
              (ARRAY['public', 'private', 'shared', 'community'])[1 + n % 4]::image_visibility,
              'project-' || (n / 4) % 10, timestamp '2026-01-01' + n * interval '1 second',
              timestamp '2026-01-01', n % 50 = 0, 0, 0, false, n % 30 = 0, n
       FROM generate_series(1, {0}) n""",
    # a project with private images only
    """INSERT INTO images (id, name, status, visibility, owner, created_at, updated_at, deleted,
                           min_disk, min_ram, protected, os_hidden, size)
       SELECT lpad('p' || n, 36, '0'), 'name ' || n, 'active', 'private', 'private-only',
              timestamp '2025-01-01' + n * interval '1 second', timestamp '2026-01-01', false,
              0, 0, false, false, n
       FROM generate_series(1, 2000) n""",
    """INSERT INTO image_properties (image_id, name, value, created_at, deleted)
       SELECT id, 'key-' || k, 'value ' || size % 1000, created_at, deleted
       FROM images, generate_series(1, 2) k""",
    """INSERT INTO image_tags (image_id, value, created_at, deleted)
       SELECT id, 'tag ' || size % 1000, created_at, deleted FROM images""",
    """INSERT INTO image_locations (image_id, value, created_at, deleted)
       SELECT id, 'file:///' || id, created_at, deleted FROM images""",
    """INSERT INTO image_members (image_id, member, can_share, status, created_at, deleted)
       SELECT id, 'project-' || size % 500, false, 'accepted', created_at, deleted
       FROM images WHERE size % 4 = 2""",
    'ANALYZE')
#: rows of five branches, of a page of images with their dependent rows, of memberships
PAGE = 650
DEEP = Image('0' * 36, created_at=datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.UTC))


@pytest.fixture(scope='session')
def big_postgres(postgres_url):
    return postgres_url()


@pytest.fixture
def big(make_sql, big_postgres, synced):
    """A database with many images."""
    database = make_sql(big_postgres)
    if big_postgres not in synced:
        database.sync()
        for statement in FILL:
            database._engine.transaction(
                lambda connection: connection.raw.execute(statement.format(AMOUNT)))  # noqa: B023
        synced[big_postgres] = {}
    return database


def plan(database, query):
    """Return the plan of PostgreSQL, and how many rows it has read."""
    engine = database._engine
    shape, values = queries.decompose(query, engine.dialect)
    statement = engine.statement(shape, lambda dialect: queries.listing(shape, dialect))
    lines = [line for line, in engine.transaction(lambda connection: connection.execute(
        f'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement.sql}',
        statement.bind(values)).fetchall())]
    rows = sum(int(rows) * int(loops) for rows, loops in re.findall(
        r'Scan.*rows=(\d+) loops=(\d+)', '\n'.join(lines)))
    dropped = sum(map(int, re.findall(r'Rows Removed by \w+: (\d+)', '\n'.join(lines))))
    return '\n'.join(lines), rows + dropped


@pytest.mark.parametrize('after', [None, DEEP], ids=['first page', 'deep page'])
@pytest.mark.parametrize('visibility', [None, 'all', 'public', 'shared'])
@pytest.mark.parametrize('viewer', [
    Viewer('project-2'), Viewer('has nothing'), Viewer('project-0', is_admin=True),
    Viewer('private-only', is_admin=True), Viewer(None, is_admin=True)], ids=str)
def test_a_page_reads_the_images_of_a_page(big, viewer, visibility, after):
    text, rows = plan(big, ImageQuery(viewer, visibility, after=after, limit=25))

    assert not re.search(r'Seq Scan on \w+', text), text
    assert rows < PAGE, text


def test_a_page_in_ascending_order_reads_the_images_of_a_page(big):
    text, rows = plan(big, ImageQuery(Viewer('project-2'), sort=(
        ('created_at', 'asc'), ('id', 'asc')), after=DEEP, limit=25))

    assert 'Seq Scan' not in text
    assert rows < PAGE, text


@pytest.mark.parametrize('conditions', [
    {'properties': {'key-1': 'value 7'}}, {'tags': frozenset({'tag 7'})},
    {'properties': {'key-1': 'no such'}}, {'tags': frozenset({'no such'})}], ids=str)
def test_a_rare_tag_or_property_is_found_by_its_index(big, conditions):
    text, rows = plan(big, ImageQuery(Viewer('project-2', True), limit=25, **conditions))

    assert 'Seq Scan' not in text
    assert rows < PAGE, text


def test_the_generic_plan_uses_the_indexes_too(big):
    """PostgreSQL uses it after some calls of a statement that the driver has prepared."""
    engine = big._engine
    shape, values = queries.decompose(
        ImageQuery(Viewer('project-2'), after=DEEP, limit=25), engine.dialect)
    statement = engine.statement(shape, lambda dialect: queries.listing(shape, dialect))
    names = list(dict.fromkeys(re.findall(r'%\((\w+)\)s', statement.sql)))
    numbered = re.sub(r'%\((\w+)\)s', lambda m: f'${names.index(m[1]) + 1}', statement.sql)
    bound = statement.bind(values)

    def explain(connection):
        connection.raw.execute('SET LOCAL plan_cache_mode = force_generic_plan')
        connection.raw.execute(f'PREPARE walk AS {numbered}')
        literals = ', '.join(sql.Literal(bound[name]).as_string(connection.raw) for name in names)
        return [line for line, in connection.raw.execute(
            f'EXPLAIN (ANALYZE) EXECUTE walk ({literals})').fetchall()]

    text = '\n'.join(engine.transaction(explain))

    assert '$' in text
    assert not re.search(r'Seq Scan on \w+', text), text
