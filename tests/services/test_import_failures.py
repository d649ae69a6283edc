"""Imports with failures, cancelled, and taken over."""

import threading

import pytest

from glancelite import contract
from glancelite.contract import Task, TaskQuery
from glancelite.domain import imports as rules
from glancelite.plugins.quota.limits import Limits
from glancelite.services import border
from glancelite.services import tasks as tasks_module
from glancelite.services.import_job import ImportJob
from glancelite.services.use_cases import Options
from glancelite.testing import service
from tests.services.conftest import raising, read_data
from tests.services.import_case import (
    CONTENT,
    DATA,
    Reversed,
    begin,
    data_in,
    lists,
    run,
    staged_data,
    task_of,
)


def failing_once(driver, error, monkeypatch, times=1):
    failures = [error] * times

    def write(key, chunks, *, write=driver.write, **named):
        chunks = list(chunks)
        if failures:
            raise failures.pop()
        return write(key, iter(chunks), **named)
    monkeypatch.setattr(driver, 'write', write)


def test_if_all_must_succeed_a_failure_leaves_no_copy_and_the_staged_data(
        importing, ctx, staged, reread, monkeypatch):
    failing_once(importing.layers.stores['cold'].driver, contract.TooLarge('full'), monkeypatch)
    task = begin(importing, ctx, staged, stores=['fast', 'cold'])
    run(importing)

    image = reread(staged)

    assert (image.status, image.size, image.os_hash_value, image.locations) == (
        'uploading', len(DATA), None, ())
    assert image.properties[rules.TO_STORES] == ''
    assert 'cold' in image.properties[rules.FAILED]
    assert rules.LOCK not in image.properties
    assert data_in(importing, 'fast') == data_in(importing, 'cold') == {}
    assert (task_of(importing, task).status, task_of(importing, task).message) == (
        'failure', 'full')

    begin(importing, ctx, image, stores=['fast', 'cold'])
    run(importing)
    assert (reread(staged).status, lists(reread(staged))) == ('active', ('', '', None))


def test_otherwise_the_image_is_active_in_the_other_stores(importing, ctx, staged, reread,
                                                           monkeypatch):
    failing_once(importing.layers.stores['fast'].driver, contract.TooLarge('full'), monkeypatch)
    task = begin(importing, ctx, staged, all_stores=True, all_stores_must_succeed=False)
    run(importing)

    image = reread(staged)

    assert (image.status, lists(image)) == ('active', ('', 'fast', None))
    assert [location.store for location in image.locations] == ['cold']
    assert (task_of(importing, task).status, task_of(importing, task).message) == (
        'success', 'fast: full')
    assert staged_data(importing) == {}


def test_a_store_that_does_not_answer_is_tried_again(importing, ctx, staged, reread, advance,
                                                     monkeypatch):
    failing_once(importing.layers.stores['cold'].driver, contract.Unavailable('away'),
                 monkeypatch)
    task = begin(importing, ctx, staged, stores=['cold', 'fast'], all_stores_must_succeed=False)
    run(importing)
    assert (task_of(importing, task).status, task_of(importing, task).message) == (
        'processing', 'Another try follows: away')
    assert [location.store for location in reread(staged).locations] == ['fast']

    advance(2)
    run(importing)

    assert (reread(staged).status, lists(reread(staged))) == ('active', ('', '', None))
    assert {location.store for location in reread(staged).locations} == {'fast', 'cold'}
    assert len(data_in(importing, 'fast')) == len(data_in(importing, 'cold')) == 1


def test_a_store_that_stays_away_ends_the_import(importing, ctx, staged, reread, advance,
                                                 monkeypatch):
    failing_once(importing.layers.stores['fast'].driver, contract.Unavailable('away'),
                 monkeypatch, times=100)
    task = begin(importing, ctx, staged)
    for _ in range(3):
        run(importing)
        advance(100)

    assert task_of(importing, task).status == 'failure'
    assert (reread(staged).status, lists(reread(staged))) == ('uploading', ('', 'fast', None))


def test_a_failed_fetch_queues_the_image(importing, ctx, queued, reread, monkeypatch):
    monkeypatch.setattr(importing.layers.importers['fetched'], 'fetch',
                        raising(contract.WrongContent('not there')))
    image = queued()
    task = begin(importing, ctx, image, 'fetched', stores=['fast', 'cold'])
    run(importing)

    assert (reread(image).status, reread(image).size) == ('queued', None)
    assert lists(reread(image)) == ('', 'fast,cold', None)
    assert task_of(importing, task).message == 'not there'


def test_a_defect_of_a_plugin_ends_the_import(importing, ctx, queued, reread, monkeypatch):
    monkeypatch.setattr(importing.layers.importers['fetched'], 'fetch', raising(SystemExit(3)))
    image = queued()
    task = begin(importing, ctx, image, 'fetched')
    run(importing)

    assert reread(image).status == 'queued'
    assert task_of(importing, task).message == 'The server met an internal error.'


def test_data_over_the_quota_is_refused_while_it_comes(exchange_importing, ctx, queued, reread,
                                                       small_quota):
    core = exchange_importing(quota=small_quota(exchange_importing()).layers.quota)
    image = queued()
    task = begin(core, ctx, image, 'fetched')
    run(core)

    assert task_of(core, task).status == 'failure'
    assert 'larger than the 4 bytes' in task_of(core, task).message
    assert (reread(image).status, staged_data(core)) == ('queued', {})


def test_the_quota_counts_an_image_once(exchange_importing, ctx, queued, make_plugin, reread):
    core = exchange_importing(steps=[make_plugin(Reversed)])
    limits = make_plugin(Limits, user_storage_quota=str(len(DATA) + 1))
    limits.host = core.layers.host
    core = service.exchange(core, quota=limits)
    image = core.use_cases.stages.receive(ctx, queued().id, iter(CONTENT))
    task = begin(core, ctx, image)
    run(core)

    assert (reread(image).status, task_of(core, task).message) == ('active', '')


def test_a_source_that_brings_a_few_bytes_at_a_time_ends_the_import(
        importing, ctx, queued, reread, advance, monkeypatch):
    tries = []

    def fetch(job):
        tries.append(job.staged_size)
        job.append([b'x'])
        raise contract.Unavailable('broken')
    monkeypatch.setattr(importing.layers.importers['fetched'], 'fetch', fetch)
    image = queued()
    task = begin(importing, ctx, image, 'fetched')
    for _ in range(9):
        run(importing)
        advance(100)

    assert (tries, task_of(importing, task).status) == ([0, 1, 2], 'failure')
    assert (reread(image).status, staged_data(importing)) == ('queued', {})


def test_wrong_content_ends_the_import(importing, ctx, queued, reread):
    image = queued(disk_format='qcow2')
    task = begin(importing, ctx, image, 'fetched')
    run(importing)

    assert (reread(image).status, data_in(importing, 'fast')) == ('queued', {})
    assert 'qcow2' in task_of(importing, task).message


@pytest.mark.parametrize('moment', ['stored', 'recorded'])
def test_formats_that_change_while_data_is_stored_are_not_kept(
        importing, ctx, staged, reread, monkeypatch, moment):
    records = importing.layers.database.images
    driver, changed = importing.layers.stores['fast'].driver, []

    def change(update=records.update):
        if not changed:
            changed.append(update(reread(staged), {'disk_format': 'qcow2'}))

    def write(key, chunks, *, write=driver.write, **named):
        result = write(key, chunks, **named)
        if moment == 'stored':
            change()
        return result

    def update(image, changes, *, update=records.update, **named):
        written = update(image, changes, **named)
        if moment == 'recorded' and 'locations' in changes:
            change(update)
        return written
    monkeypatch.setattr(driver, 'write', write)
    monkeypatch.setattr(records, 'update', update)
    task = begin(importing, ctx, staged)
    run(importing)

    image = reread(staged)
    assert changed
    if moment == 'stored':
        assert image.status == 'uploading'
        assert 'formats of the image were changed' in task_of(importing, task).message
        assert data_in(importing, 'fast') == {}
    else:
        assert (image.status, image.disk_format) == ('active', 'raw')


# --- taken over

def test_an_import_that_kills_each_process_ends(importing, ctx, queued, reread, advance,
                                               monkeypatch):
    class Died(BaseException):
        """The process does not exist any more."""

    image = queued()
    task = begin(importing, ctx, image, 'fetched')
    with monkeypatch.context() as patch:
        patch.setattr(importing.layers.importers['fetched'], 'fetch',
                      lambda job: job.append([b'data']))
        patch.setattr(ImportJob, 'append', raising(Died()))
        patch.setattr(border, 'check_error', lambda plugin, error: None)
        for _ in range(30):
            run(importing)
            advance(100)

    assert (reread(image).status, task_of(importing, task).status) == ('queued', 'failure')
    assert 'without progress' in task_of(importing, task).message
    assert task_of(importing, task).attempt == 25     # 20, 3 tries, the first and the last


def test_a_cancelled_import_whose_process_has_died_leaves_nothing_in_stores(
        importing, ctx, staged, reread, advance, monkeypatch):
    task = begin(importing, ctx, staged)
    with monkeypatch.context() as patch:
        patch.setattr(importing.use_cases.work, '_handle', lambda claim: None)
        run(importing)      # it has died
    importing.layers.stores['fast'].driver.write(reread(staged).key, iter([b'a part']))
    importing.use_cases.tasks.cancel(ctx, task.id)
    advance(100)
    run(importing)
    assert (task_of(importing, task).status, reread(staged).status) == ('failure', 'uploading')

    advance(1000)
    importing.use_cases.recovery.sweep()
    assert data_in(importing, 'fast') == {}
    advance(1000)
    importing.use_cases.recovery.sweep()
    assert rules.staged_of(reread(staged).properties) == rules.staged_of(staged.properties)

    begin(importing, ctx, staged)
    run(importing)

    assert read_data(importing, ctx, reread(staged)) == DATA


def test_a_journal_that_cannot_be_read_ends_the_task(importing, ctx, queued):
    task = begin(importing, ctx, queued(), 'fetched')
    importing.layers.database.tasks.update(task, {'journal': {'version': 1}})
    run(importing)

    assert task_of(importing, task).status == 'failure'


def test_a_process_that_ends_hands_its_task_back(importing, ctx, queued, reread, monkeypatch):
    fetching = threading.Event()

    def fetch(job):
        job.append([CONTENT[0]])
        fetching.set()
        while True:
            job.check()
    fetched = importing.layers.importers['fetched']
    original = fetched.fetch
    monkeypatch.setattr(fetched, 'fetch', fetch)
    image = queued()
    task = begin(importing, ctx, image, 'fetched')
    worker = threading.Thread(target=importing.use_cases.work.run)
    worker.start()
    assert fetching.wait(10)
    importing.use_cases.work.close()
    worker.join(10)
    assert task_of(importing, task).holder is None

    monkeypatch.setattr(fetched, 'fetch', original)
    other = service.exchange(importing, options=Options())
    run(other)

    assert (reread(image).status, read_data(other, ctx, reread(image))) == ('active', DATA)
    assert staged_data(importing) == {}


def test_a_cancelled_import_is_undone(importing, ctx, staged, reread):
    task = begin(importing, ctx, staged)
    importing.use_cases.tasks.cancel(ctx, task.id)
    run(importing)

    assert (task_of(importing, task).status, task_of(importing, task).message) == (
        'failure', 'The task was cancelled.')
    assert (reread(staged).status, lists(reread(staged))[2]) == ('uploading', None)


def test_a_cancelled_import_ends_without_workers(importing, ctx, staged, reread):
    task = begin(importing, ctx, staged)
    importing.use_cases.tasks.cancel(ctx, task.id)

    importing.use_cases.recovery.sweep_parts()

    assert task_of(importing, task).message == 'The task was cancelled.'
    assert (reread(staged).status, lists(reread(staged))[2]) == ('uploading', None)


@pytest.mark.parametrize(('node', 'cancelled', 'text'), [
    (None, False, 'The task waits for a process that runs tasks.'),
    ('another', False, 'The task waits for a process on the node that has the staged data.'),
    (None, True, 'The task was cancelled, and ends as soon as a process runs tasks.')])
def test_a_task_says_what_it_waits_for(importing, ctx, admin, staged, advance,
                                       node, cancelled, text):
    tasks, records = importing.use_cases.tasks, importing.layers.database.tasks
    task = records.update(begin(importing, ctx, staged), {'node': node})
    if cancelled:
        tasks.cancel(ctx, task.id)
    shown = [tasks.get(admin, task.id).message]
    advance(11)

    shown += [tasks.get(admin, task.id).message, tasks.of_image(ctx, staged.id)[0].message,
              tasks.list(admin, TaskQuery(importing.layers.host.now())).items[0].message]
    claimed = records.claim(holder='one', node=node or 'one', seconds=30, types=[task.type])
    shown.append(tasks.get(admin, claimed.id).message)

    assert shown == ['', text, text, text, '']


def test_what_an_active_image_has_stays_when_the_rest_is_cancelled(importing, ctx, staged, reread,
                                                                  monkeypatch):
    """With the data, users would lose what they run already."""
    task = begin(importing, ctx, staged, stores=['fast', 'cold'], all_stores_must_succeed=False)

    monkeypatch.setattr(importing.layers.stores['cold'].driver, 'write',
                        raising(contract.Unavailable('away')))
    run(importing)
    assert (reread(staged).status, lists(reread(staged))[0]) == ('active', 'cold')
    importing.use_cases.tasks.cancel(ctx, task.id)
    run(importing)

    image = reread(staged)
    assert (image.status, lists(image)) == ('active', ('', 'cold', None))
    assert read_data(importing, ctx, image) == DATA
    assert rules.STAGED not in image.properties
    assert (task_of(importing, task).status, staged_data(importing)) == ('failure', {})


def test_data_that_another_service_has_uploaded_stays(importing, ctx, queued, reread):
    """Glance on the same database does not look at the lock."""
    image = queued()
    task = begin(importing, ctx, image, 'fetched')
    location, size = importing.layers.stores.write('fast', image.id, iter([b'theirs']), size=6,
                                                   ctx=ctx)
    importing.layers.database.images.update(reread(image), {
        'status': 'active', 'size': size, 'locations': (location,)})
    run(importing)

    done = reread(image)
    assert (task_of(importing, task).status, done.status, done.size) == ('failure', 'active', 6)
    assert read_data(importing, ctx, done) == b'theirs'
    assert lists(done)[2] is None


def test_a_failed_import_is_retried_on_request(importing, ctx, staged, reread, monkeypatch):
    failing_once(importing.layers.stores['fast'].driver, contract.TooLarge('full'), monkeypatch)
    task = begin(importing, ctx, staged)
    run(importing)
    assert task_of(importing, task).status == 'failure'

    importing.use_cases.tasks.retry(ctx, task.id)
    run(importing)

    assert (task_of(importing, task).status, reread(staged).status) == ('success', 'active')


def test_only_a_failed_task_is_retried(importing, ctx, staged):
    task = begin(importing, ctx, staged)

    with pytest.raises(contract.Conflict):
        importing.use_cases.tasks.retry(ctx, task.id)


def test_the_task_of_another_project_is_not_found(importing, ctx, context, staged):
    task = begin(importing, ctx, staged)

    with pytest.raises(contract.NotFound):
        importing.use_cases.tasks.cancel(context('other'), task.id)




def test_the_import_of_a_node_that_is_away_is_ended(importing, ctx, staged, reread, advance,
                                                    monkeypatch):
    task = begin(importing, ctx, staged)
    monkeypatch.setattr(importing.layers.host, 'node', 'another')
    run(importing)
    importing.use_cases.recovery.sweep_parts()
    assert task_of(importing, task).status == 'pending'
    advance(4000)
    importing.use_cases.recovery.sweep_parts()

    assert (task_of(importing, task).status, task_of(importing, task).message) == (
        'failure', 'The node that has the staged data is away.')
    assert (reread(staged).status, lists(reread(staged))[2]) == ('queued', None)


def test_the_import_of_a_busy_node_waits_for_it(importing, ctx, staged, advance, monkeypatch):
    task = begin(importing, ctx, staged)
    host, records = importing.layers.host, importing.layers.database.tasks
    records.add(Task('6f1c1a53-8a0c-4d7a-9f53-2f4b1d3c9e10', 'import'))
    records.claim(holder=f'{host.node}/1', node=host.node, seconds=9000, types=['import'])
    advance(4000)
    monkeypatch.setattr(host, 'node', 'another')
    importing.use_cases.recovery.sweep_parts()
    assert task_of(importing, task).status == 'pending'
    advance(9000)
    importing.use_cases.recovery.sweep_parts()

    assert task_of(importing, task).status == 'failure'


def test_expired_tasks_are_removed(importing, ctx, staged, advance):
    task = begin(importing, ctx, staged)
    run(importing)
    advance(49 * 3600)
    importing.use_cases.recovery.sweep_parts()

    with pytest.raises(contract.NotFound):
        task_of(importing, task)


def test_a_staging_area_that_refuses_to_delete_does_not_keep_the_task(
        importing, ctx, staged, reread, monkeypatch, caplog):
    monkeypatch.setattr(importing.layers.staging._store.driver, 'delete',
                        raising(contract.Forbidden('read-only')))
    task = begin(importing, ctx, staged)
    run(importing)

    assert (reread(staged).status, task_of(importing, task).status) == ('active', 'success')
    assert 'cannot be deleted: read-only' in caplog.text


def test_the_newest_tasks_of_an_image_are_shown(importing, ctx, queued, monkeypatch):
    monkeypatch.setattr(tasks_module, 'MOST_SHOWN', 2)
    image = queued()
    importing.layers.importers['fetched'].fetch = raising(contract.Invalid('wrong'))
    made = []
    for _ in range(3):
        made.append(begin(importing, ctx, image, 'fetched').id)
        run(importing)

    shown = importing.use_cases.tasks.of_image(ctx, image.id)
    assert [task.id for task in shown] == [made[2], made[1]]


def test_a_staging_area_that_is_away_at_the_end_is_cleared_later(importing, ctx, staged, reread,
                                                                advance, monkeypatch):
    task = begin(importing, ctx, staged)
    with monkeypatch.context() as patch:
        patch.setattr(importing.layers.staging._store.driver, 'delete',
                      raising(contract.Unavailable('away')))
        run(importing)
    assert (reread(staged).status, task_of(importing, task).status) == ('active', 'processing')
    advance(100)
    run(importing)

    assert (staged_data(importing), task_of(importing, task).status) == ({}, 'success')
    assert task_of(importing, task).message == ''


@pytest.mark.parametrize('stores', [['cold'], ['fast', 'cold']])
def test_an_image_that_no_store_has_got_is_not_active(importing, ctx, staged, reread, monkeypatch,
                                                      stores):
    for name in stores:
        failing_once(importing.layers.stores[name].driver, contract.TooLarge('full'), monkeypatch)
    task = begin(importing, ctx, staged, stores=stores, all_stores_must_succeed=False)
    run(importing)

    image = reread(staged)

    assert (image.status, image.locations) == ('uploading', ())
    assert sorted(lists(image)[1].split(',')) == sorted(stores)
    assert task_of(importing, task).status == 'failure'
    assert 'full' in task_of(importing, task).message
