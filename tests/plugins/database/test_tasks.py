"""Tasks in SQL: processes that claim at once, tasks of Glance, and the costs of a call."""

import json
import logging
import multiprocessing
import os
import signal
import uuid

import pytest
import sqlalchemy as sa

from glancelite.contract import Conflict, Task, TaskQuery
from glancelite.plugins.database.sql import task_queries
from glancelite.testing.contracts.database.tasks import KIND, LONG, claim, claimed, finished, new
from glancelite.testing.contracts.database.values import BEGINNING, END
from tests.plugins.database import glance33

OF_GLANCE = Task(glance33.IMAGE, KIND)
PROCESSES = 4


@pytest.fixture(params=['one_sqlite', 'one_postgres', 'one_mariadb'])
def url(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def database(emptied, url):
    return emptied(url)


@pytest.fixture
def tasks(database):
    return database.tasks


@pytest.fixture
def execute(database, url):
    """Runs a statement on the tables of Glance."""
    engine = sa.create_engine(url)

    def run(*statements):
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)
    yield run
    engine.dispose()


@pytest.fixture
def of_glance(execute):
    """Adds a task as Glance does."""
    def add(status='processing', **info):
        execute(
            sa.insert(glance33.tasks).values(
                id=OF_GLANCE.id, type=KIND, status=status, owner='p', deleted=False,
                expires_at=glance33.CREATED, created_at=glance33.CREATED,
                updated_at=glance33.CREATED),
            sa.insert(glance33.task_info).values(task_id=OF_GLANCE.id, **info))
    return add


def listed(tasks):
    return list(tasks.list(TaskQuery(BEGINNING, types=(KIND,))).items)


def test_processes_that_claim_at_once_run_each_task_once(tasks, make_sql, url):
    added = {tasks.add(new()).id for _ in range(60)}
    context = multiprocessing.get_context('fork')
    results, ready = context.Queue(), context.Barrier(PROCESSES)

    def run(name):
        own = make_sql(url).tasks
        ready.wait(30)
        mine = []
        while task := claim(own, holder=name):
            own.update(task, {'status': 'success'})
            mine.append((task.id, task.attempt))
        results.put(mine)

    children = [context.Process(target=run, args=(str(n),)) for n in range(PROCESSES)]
    for child in children:
        child.start()
    won = [one for _ in children for one in results.get(timeout=60)]
    for child in children:
        child.join()

    assert sorted(won) == sorted((task_id, 1) for task_id in added)


def test_the_lease_of_a_dead_process_can_be_claimed(tasks, make_sql, url):
    kept = tasks.add(new())
    context = multiprocessing.get_context('fork')

    def run():
        claim(make_sql(url).tasks, holder='dead', seconds=0)
        os.kill(os.getpid(), signal.SIGKILL)

    child = context.Process(target=run)
    child.start()
    child.join()

    assert child.exitcode == -signal.SIGKILL
    assert tasks.get(kept.id).holder == 'dead'
    assert claim(tasks).attempt == 2


@pytest.mark.parametrize('status', ['pending', 'processing', 'failure', 'success'])
def test_a_task_of_glance_is_shown_and_never_run(tasks, of_glance, status):
    of_glance(status, input='{"import_from": "http://h/"}', result='{"image_id": "i"}',
              message='m')
    found, = listed(tasks)

    assert tasks.get(found.id) == found
    assert (found.status, found.owner, found.message, found.attempt) == (status, 'p', 'm', 0)
    assert (found.input, found.result) == ({'import_from': 'http://h/'}, {'image_id': 'i'})
    assert (found.journal, found.progress, found.cancelled) == ({}, {}, False)
    assert claim(tasks) is None
    assert claim(tasks, found) is None
    assert tasks.renew([found], seconds=LONG) == {}
    tasks.remove(found)
    for ask in (lambda: tasks.update(found, {'message': 'lost'}),
                lambda: tasks.restart(found, {}), lambda: tasks.cancel(found.id)):
        with pytest.raises(Conflict):
            ask()
    assert tasks.get(found.id) == found
    assert tasks.purge(expired_before=END) == found.is_finished


def test_a_task_that_glance_has_deleted_is_gone_and_purged(tasks, execute):
    ended = finished(tasks, expires_at=BEGINNING)
    execute(sa.update(glance33.tasks).values(deleted=True, deleted_at=glance33.CREATED))

    assert listed(tasks) == []
    assert tasks.purge(expired_before=END) == 1
    tasks.add(Task(ended.id, KIND))


def test_json_that_is_no_object_is_empty_and_logged(tasks, of_glance, execute, caplog):
    of_glance()
    for text in ('{', '[1]', '"text"', '7', 'false', '[' * 60_000):
        execute(sa.update(glance33.task_info).values(input=text, result=text, message=text))
        caplog.clear()

        with caplog.at_level(logging.WARNING):
            found = tasks.get(OF_GLANCE.id)

        assert (found.input, found.result, found.message) == ({}, {}, text)
        assert [record.getMessage() for record in caplog.records] == [
            f'the {name} of task {OF_GLANCE.id} is no JSON object; it counts as empty'
            for name in ('input', 'result')]
    execute(sa.update(glance33.task_info).values(input=None, result='null', message=None))
    found = tasks.get(OF_GLANCE.id)
    assert (found.input, found.result, found.message) == ({}, None, '')
    execute(sa.delete(glance33.task_info))
    assert tasks.get(OF_GLANCE.id) == found


def test_glance_reads_our_tasks(tasks, url):
    kept = tasks.add(new(owner='p', input={'é': ['\0']}, message='m'))
    tasks.add(new())
    engine = sa.create_engine(url)

    with engine.connect() as connection:
        rows = connection.execute(sa.select(glance33.tasks, glance33.task_info).join(
            glance33.task_info).order_by(glance33.tasks.c.owner)).mappings().all()
    engine.dispose()

    assert [row['owner'] for row in rows] == ['', 'p']
    assert (rows[1]['id'], rows[1]['deleted'], rows[1]['message']) == (kept.id, False, 'm')
    assert (json.loads(rows[1]['input']), rows[1]['result']) == ({'é': ['\0']}, None)


def test_a_claim_that_finds_nothing_does_not_wait_for_a_writer(tasks, database, url, make_sql):
    tasks.add(new(not_before=END))
    other = make_sql(url, statement_timeout=1).tasks
    held = claimed(tasks)

    def write(connection):
        connection.execute(f"UPDATE tasks SET status = 'pending' WHERE id = '{held.id}'")
        return claim(other)

    assert database._engine.transaction(write) is None


def test_the_oldest_task_is_found_by_the_index_for_claims(emptied, one_postgres):
    database = emptied(one_postgres)
    engine = database._engine
    engine.transaction(lambda connection: [connection.execute(sql) for sql in (
        """INSERT INTO tasks (id, type, status, owner, created_at, deleted, attempt)
           SELECT lpad(n::text, 36, '0'), 'import',
                  CASE WHEN n %% 50 = 0 THEN 'pending' ELSE 'success' END, 'p',
                  timestamp '2026-01-01' + n * interval '1 second', false, 0
           FROM generate_series(1, 20000) n""", 'ANALYZE tasks')])
    look = engine.statement('look in a test',
                            lambda dialect: task_queries.look(1, True, dialect))
    values = {'type_0': 'import', 'node': 'n', 'amount': 20}

    plan = '\n'.join(line for line, in engine.transaction(lambda connection: connection.execute(
        f'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {look.sql}', look.bind(values)).fetchall()))

    assert 'Index Scan using glancelite_tasks_claim' in plan
    assert 'rows=20 ' in plan
    assert 'Seq Scan' not in plan
    assert claim(database.tasks).id == f'{50:036}'


def test_an_owner_of_none_is_that_of_no_project(tasks):
    kept = tasks.add(Task(str(uuid.uuid4()), KIND))

    assert tasks.get(kept.id).owner is None
    assert tasks.list(TaskQuery(BEGINNING, '', (KIND,))).items == ()
