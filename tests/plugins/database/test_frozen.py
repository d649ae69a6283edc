"""A database server that keeps its connections and does not answer."""

import concurrent.futures
import contextlib
import http.client
import threading
import time

import pytest
import sqlalchemy as sa

from glancelite.contract import Unavailable
from glancelite.testing.contracts.database.values import rich
from tests.servers import mariadb, postgresql, process, programs

#: limits of the options, in seconds
CONNECT, STATEMENT = 2, 2
#: no request may take longer: the statement, the look at it, a new connection, other load
BOUND = 15
UPDATE = "UPDATE images SET name = 'frozen' WHERE id = %s"


@pytest.fixture(scope='module', params=['postgres', 'mariadb'])
def server(request):
    """A server of these tests alone."""
    if request.param == 'postgres':
        run = postgresql.server(programs.require('postgres'))
    else:
        run = mariadb.server(programs.require('mariadbd'), programs.require('mariadb-install-db'))
    with run as server:
        yield server


@pytest.fixture(scope='module')
def url(server):
    return server.create()


@pytest.fixture
def database(emptied, url):
    return emptied(url, connect_timeout=CONNECT, statement_timeout=STATEMENT)


@pytest.fixture
def frozen(server):
    return lambda: process.frozen(server.process)


def _unavailable(ask):
    """Call it; return how long it took to fail."""
    started = time.monotonic()
    with pytest.raises(Unavailable, match='the database does not answer'):
        ask()
    return time.monotonic() - started


def _answers(ask):
    """Whether the call succeeds within a time."""
    def succeeds():
        try:
            ask()
        except Unavailable:
            return False
        return True
    return process.until(succeeds)


def test_each_request_ends_in_time_and_the_server_is_found_again(database, frozen):
    kept = database.images.add(rich())
    with frozen():
        for ask in (lambda: database.images.get(kept.id, viewer=None),
                    lambda: database.images.update(kept, {'name': 'n'}),
                    lambda: database.images.update(kept, {'tags': ('n',)}),
                    lambda: database.images.usage('p'), database.health, database.version):
            assert _unavailable(ask) < BOUND

    assert _answers(lambda: database.images.get(kept.id, viewer=None))
    assert database.images.add(rich())


def test_many_requests_at_once_end_in_time(database, frozen):
    kept = database.images.add(rich())

    with frozen(), concurrent.futures.ThreadPoolExecutor(80) as pool:
        times = list(pool.map(lambda _: _unavailable(
            lambda: database.images.get(kept.id, viewer=None)), range(200)))

        assert max(times) < BOUND
        # when the server is known to be down, nobody waits for it
        assert _unavailable(lambda: database.images.get(kept.id, viewer=None)) < 1

    assert _answers(lambda: database.images.get(kept.id, viewer=None))


def test_a_write_during_the_silence_is_not_repeated(database, frozen):
    kept = database.images.add(rich(protected=False))
    with frozen():
        _unavailable(lambda: database.images.update(kept, {'name': 'n'}))

    assert _answers(lambda: database.images.get(kept.id, viewer=None))
    found = database.images.get(kept.id, viewer=None)
    assert (found.name, found.revision) in [('rich', kept.revision), ('n', kept.revision + 1)]


def test_one_statement_that_takes_too_long_ends_alone(database, url):
    kept = database.images.add(rich())
    other = sa.create_engine(url)
    with other.connect() as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
        connection.execute(sa.text('UPDATE images SET min_ram = 5'))     # locks the rows
        waiting = pool.submit(_unavailable, lambda: database.images.update(kept, {'name': 'n'}))
        while not waiting.done():
            assert database.images.get(kept.id, viewer=None) == kept
            time.sleep(0.1)     # the other thread needs the processor too
        connection.rollback()
    other.dispose()

    assert waiting.result() < BOUND
    assert database.images.get(kept.id, viewer=None) == kept     # also later
    assert database.images.update(kept, {'name': 'n'}).name == 'n'


def test_an_idle_connection_that_is_dead_is_replaced_in_time(database, frozen, monkeypatch):
    from glancelite.plugins.database.sql import pool
    kept = database.images.add(rich())
    monkeypatch.setattr(pool, 'PING_AFTER', 0)

    with frozen():
        assert _unavailable(lambda: database.images.get(kept.id, viewer=None)) < BOUND
    assert _answers(lambda: database.images.get(kept.id, viewer=None))


@pytest.mark.parametrize('of_many', [False, True])
def test_a_client_that_is_frozen_in_a_transaction_keeps_no_locks(database, make_sql, url,
                                                                 of_many):
    another = make_sql(url, statement_timeout=2 * STATEMENT)
    kept = database.images.add(rich())
    locked, over = threading.Event(), threading.Event()

    def change(connection):
        connection.wait.limit = 60      # nothing of a frozen process ends the wait
        if of_many:
            connection.execute_many(UPDATE, parameters())
        else:
            connection.execute(UPDATE, (kept.id,))
            locked.set()
            over.wait(60)

    def parameters():
        yield kept.id,
        yield kept.id,
        locked.set()
        over.wait(60)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        frozen = pool.submit(database._engine.transaction, change)
        assert locked.wait(BOUND)
        assert _answers(lambda: another.images.update(kept, {'name': 'other'}))
        over.set()
        frozen.exception()

    another.close()
    assert _answers(lambda: database.images.get(kept.id, viewer=None))


def test_a_server_that_is_frozen_at_the_start_of_the_service_is_found_later(
        make_sql, database, url, frozen):
    late = make_sql(url, connect_timeout=CONNECT, statement_timeout=STATEMENT)
    with frozen():
        assert _unavailable(lambda: late.images.usage('p')) < BOUND
        assert _unavailable(late.behind) < BOUND

    assert _answers(lambda: late.images.usage('p'))


def test_the_service_answers_503_and_its_health_meanwhile(live_server, database, url, frozen,
                                                          tmp_path):
    service = live_server({
        'DEFAULT': {'enabled_backends': 'f:file', 'workers': 1, 'threads': 16},
        'glance_store': {'default_backend': 'f'}, 'f': {'filesystem_store_datadir': tmp_path},
        'layers': {'auth': 'noauth'},
        'database': {'connection': url, 'connect_timeout': CONNECT,
                     'statement_timeout': STATEMENT}})

    def status(path):
        connection = http.client.HTTPConnection('127.0.0.1', service.port, timeout=60)
        with contextlib.closing(connection):
            connection.request('GET', path)
            return connection.getresponse().status

    assert status('/v2/images') == 200
    with frozen(), concurrent.futures.ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(lambda _: status('/v2/images'), range(100)))
        started = time.monotonic()
        healthy = status('/healthcheck'), status('/v2/schemas/image')

        assert set(statuses) == {503}
        assert healthy == (200, 200)
        assert time.monotonic() - started < CONNECT     # they wait for nobody

    assert process.until(lambda: status('/v2/images') == 200)
