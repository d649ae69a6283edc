"""Choice of the driver, lost connections, conflicts between transactions."""

import logging
import multiprocessing
import threading
import time

import pytest
import sqlalchemy as sa

from glancelite.contract import Conflict, ImageQuery, Misconfigured, Unavailable, Viewer
from glancelite.plugins.database.sql import pool, urls
from glancelite.testing.contracts.database.values import rich


@pytest.fixture
def postgres(emptied, one_postgres):
    return emptied(one_postgres)


@pytest.fixture(params=['one_postgres', 'one_mariadb'])
def database(request, emptied):
    return emptied(request.getfixturevalue(request.param))


@pytest.mark.parametrize(('given', 'used'), [
    ('postgresql://u:p@h/d', 'postgresql+psycopg://u:p@h/d'),
    ('postgresql+psycopg2://u:p@h/d?sslmode=require',
     'postgresql+psycopg://u:p@h/d?sslmode=require'),
    ('mysql://u:p@h/d', 'mysql+pymysql://u:p@h/d?charset=utf8mb4'),
    ('mysql+mysqldb://u:p@h/d?charset=utf8', 'mysql+pymysql://u:p@h/d?charset=utf8mb4'),
    ('mariadb+pymysql://u:p@h/d', 'mariadb+pymysql://u:p@h/d?charset=utf8mb4'),
    ('sqlite:////tmp/x.sqlite', 'sqlite+pysqlite:////tmp/x.sqlite')])
def test_the_urls_of_a_glance_configuration_are_accepted(given, used):
    assert urls.driver_url(given).render_as_string(hide_password=False) == used


@pytest.mark.parametrize(('given', 'hint'), [
    (None, 'must be set'), ('', 'must be set'), ('s3cret nonsense', 'is not a URL'),
    ('oracle://u:s3cret@h/d', 'oracle is not supported')])
def test_an_invalid_url_is_refused_with_a_hint_and_no_secret(given, hint):
    with pytest.raises(Misconfigured, match=hint) as refused:
        urls.driver_url(given)

    assert 's3cret' not in str(refused.value)


@pytest.mark.parametrize(('given', 'hint'), [
    ('postgresql://u:s3cret@h/d', r'install glancelite\[postgresql\]'),
    ('mysql+pymysql://u:s3cret@h/d', r'install glancelite\[mysql\]')])
def test_a_missing_driver_is_named_with_its_extra(monkeypatch, given, hint):
    def missing(name):
        raise ImportError(name)
    monkeypatch.setattr(urls.importlib, 'import_module', missing)

    with pytest.raises(Misconfigured, match=hint):
        urls.driver_url(given)


@pytest.mark.parametrize('url', [
    'postgresql://user:s3cret@127.0.0.1:1/d', 'mysql+pymysql://user:s3cret@127.0.0.1:1/d',
    'sqlite:////no/such/folder/s3cret.sqlite'])
def test_a_database_that_is_down_is_unavailable_and_the_password_stays_secret(
        make_sql, url, caplog):
    caplog.set_level(logging.INFO)
    database = make_sql(url)

    for ask in (database.health, database.sync, database.version, database.behind,
                lambda: database.images.get('x', viewer=None),
                lambda: database.images.add(rich()),
                lambda: database.images.list(ImageQuery(Viewer('p')))):
        with pytest.raises(Unavailable) as refused:
            ask()
        assert 's3cret' not in str(refused.value)
        assert '127.0.0.1' not in str(refused.value)

    assert 's3cret' not in caplog.text


def test_the_start_waits_for_a_database_that_is_starting(make_sql, tmp_path):
    folder = tmp_path / 'later'
    database = make_sql(f'sqlite:///{folder}/x.sqlite', max_retries=50, retry_interval=0)
    waited = threading.Timer(0.2, folder.mkdir)
    database.conf.set_override('retry_interval', 1, 'database')

    waited.start()
    database.wait()

    assert database.behind() is True


def test_only_the_start_waits_for_a_database(make_sql):
    database = make_sql('postgresql://127.0.0.1:1/d', max_retries=-1, retry_interval=3600)

    for ask in (database.version, database.behind, database.health, database.sync):
        with pytest.raises(Unavailable, match='connection refused'):
            ask()


def test_lost_connections_are_replaced(database):
    kept = database.images.add(rich())
    _cut(database)

    assert database.images.get(kept.id, viewer=None) == kept
    _cut(database)
    assert database.images.update(kept, {'tags': ('new',)}).tags == ('new',)


def test_an_idle_connection_is_pinged_before_a_write(database, monkeypatch):
    kept = database.images.add(rich())
    _cut(database)
    monkeypatch.setattr(pool, 'PING_AFTER', 0)

    assert database.images.update(kept, {'name': 'new'}).name == 'new'


def test_a_write_whose_connection_is_lost_is_not_retried(database):
    kept = database.images.add(rich())
    _cut(database)

    with pytest.raises(Unavailable):
        database.images.update(kept, {'name': 'new'})

    assert database.images.get(kept.id, viewer=None) == kept


def _cut(database):
    """Close all connections on the server's side."""
    engine = database._engine
    other = sa.create_engine(engine.url, isolation_level='AUTOCOMMIT')
    with other.connect() as connection:
        if engine.url.get_backend_name() == 'postgresql':
            connection.exec_driver_sql(
                'SELECT pg_terminate_backend(pid) FROM pg_stat_activity'
                ' WHERE datname = current_database() AND pid <> pg_backend_pid()')
        else:
            for number, in connection.exec_driver_sql(
                    'SELECT id FROM information_schema.processlist'
                    ' WHERE db = DATABASE() AND id <> CONNECTION_ID()').fetchall():
                connection.exec_driver_sql(f'KILL {number}')
    other.dispose()
    time.sleep(0.05)


def test_a_deadlock_is_retried(database):
    one, two = database.images.add(rich()), database.images.add(rich())
    engine = database._engine
    both = threading.Barrier(2, timeout=10)
    finished = threading.Event()
    attempts = []

    def cross(first, second):
        met = []

        def work(connection):
            attempts.append(first)
            if met:     # otherwise the victim could deadlock again
                assert finished.wait(10)
            for image_id in (first, second):
                connection.execute(
                    f"UPDATE images SET min_ram = min_ram + 1 WHERE id = '{image_id}'")
                if not met:
                    met.append(both.wait())
        engine.transaction(work)
        finished.set()

    threads = [threading.Thread(target=cross, args=ids) for ids in (
        (one.id, two.id), (two.id, one.id))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(attempts) == 3
    assert database.images.get(one.id, viewer=None).min_ram == one.min_ram + 2


def test_a_transaction_that_fails_leaves_nothing_behind(database):
    kept = database.images.add(rich())

    def work(connection):
        connection.execute(f"UPDATE images SET name = 'half' WHERE id = '{kept.id}'")
        raise Conflict('enough')

    with pytest.raises(Conflict):
        database._engine.transaction(work)

    assert database.images.get(kept.id, viewer=None) == kept


def test_an_interrupted_transaction_leaves_nothing_behind(database):
    kept = database.images.add(rich())

    def work(connection):
        connection.execute(f"UPDATE images SET name = 'half' WHERE id = '{kept.id}'")
        raise KeyboardInterrupt

    for _ in range(100):        # more often than there are connections
        with pytest.raises(KeyboardInterrupt):
            database._engine.transaction(work)

    assert database.images.get(kept.id, viewer=None) == kept


def test_waiting_too_long_for_a_connection_is_an_error(make_sql, one_postgres, postgres):
    narrow = make_sql(one_postgres, max_pool_size=1, max_overflow=0, pool_timeout=1)

    def work(connection):
        with pytest.raises(Unavailable, match='busy'):
            narrow.images.usage('p')

    narrow._engine.transaction(work)

    assert narrow.images.usage('p').images == 0


def test_the_options_of_the_pool_suit_sqlite(emptied, tmp_path):
    narrow = emptied(f'sqlite:///{tmp_path}/glance.sqlite', max_pool_size=1, max_overflow=0,
                     pool_timeout=1)

    assert narrow.images.usage('p').images == 0


def test_a_child_process_does_not_touch_the_connections_of_its_parent(postgres):
    kept = postgres.images.add(rich())
    context = multiprocessing.get_context('fork')
    answers = context.Queue()

    child = context.Process(target=lambda: answers.put(
        postgres.images.get(kept.id, viewer=None).id))
    child.start()
    answer = answers.get(timeout=20)
    child.join()

    assert answer == kept.id
    assert postgres.images.get(kept.id, viewer=None) == kept


def test_health_names_the_server(database, make_sql):
    assert database.health().startswith(('PostgreSQL 1', 'MariaDB 1'))
    assert make_sql('sqlite://').health().startswith('SQLite 3.')


def test_sqlite_uses_wal_and_syncs_each_commit(make_sql, tmp_path):
    database = make_sql(f'sqlite:///{tmp_path}/x.sqlite')

    def ask(pragma):
        return database._engine.transaction(
            lambda connection: connection.execute(f'PRAGMA {pragma}').fetchone()[0])

    assert ask('journal_mode') == 'wal'
    assert ask('synchronous') == 2
    assert ask('foreign_keys') == 1
    assert ask('busy_timeout') >= 30_000


def test_processes_share_an_sqlite_file(make_sql, tmp_path):
    url = f'sqlite:///{tmp_path}/x.sqlite'
    make_sql(url).sync()
    one, other = make_sql(url), make_sql(url)
    failed = []

    def write(database):
        try:
            for _ in range(40):
                image = database.images.add(rich())
                database.images.update(image, {'tags': ('x',)})
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(database,)) for database in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failed
    assert one.images.usage('p').images == 80
