"""Imports: into several stores, with failures, cancelled, and taken over."""

import hashlib
import threading

import pytest

from glancelite import contract
from glancelite.contract import Importer, Step
from glancelite.domain import imports as rules
from glancelite.services.importing import ImportOptions
from glancelite.services.imports import ImportRequest
from glancelite.services.use_cases import Options
from glancelite.testing import service
from glancelite.testing.fakes import Recorder
from tests.services.conftest import raising, read_data

CONTENT = [b'first ' * 1000, b'second ' * 1000, b'third ' * 1000]
DATA = b''.join(CONTENT)


class Fetched(Importer):
    """Fetches ``CONTENT`` in chunks, from where it has stopped."""

    def fetch(self, job):
        start = len(CONTENT) if job.staged_size >= len(DATA) else [
            sum(map(len, CONTENT[:n])) for n in range(len(CONTENT))].index(job.staged_size)
        job.append(iter(CONTENT[start:]), total=len(DATA))


class Direct(Importer):
    STARTS_FROM = 'uploading'


class Copy(Importer):
    STARTS_FROM = 'active'
    ACTION = 'copy_image'
    STAGES = False


class Reversed(Step):
    """Replaces the data by its reverse."""

    def run(self, job):
        job.replace([b''.join(job.read())[::-1]])
        job.change(properties={'reversed': 'yes'}, min_disk=3)


class Waiting(contract.Executor):
    """Leaves the tasks to the test."""

    def start(self, work, *, serves):
        pass

    def submit(self, task):
        pass


@pytest.fixture
def exchange(core, make_plugin):
    """Return the core with the importers above and tasks that the test runs."""
    def make(**blocks):
        importers = {'fetched': make_plugin(Fetched), 'glance-direct': make_plugin(Direct),
                     'copy-image': make_plugin(Copy)}
        return service.exchange(core, **{
            'importers': importers, 'executor': make_plugin(Waiting), 'steps': (), **blocks},
            options=Options(imports=ImportOptions(retries=3)))
    core.layers.staging.part_size = 10
    return make


@pytest.fixture
def importing(exchange):
    return exchange()


@pytest.fixture
def staged(importing, ctx, queued):
    """An image whose data is staged."""
    return importing.use_cases.stages.receive(ctx, queued().id, iter(CONTENT))


def begin(core, ctx, image, name='glance-direct', **request):
    return core.use_cases.imports.begin(
        ctx, image.id, ImportRequest({'name': name}, **request))


def run(core):
    while core.use_cases.work.run():
        pass


def data_in(core, name):
    """The objects of a store: key -> data."""
    return {key: b''.join(data) for key, data in core.layers.stores[name].driver._data.items()}


def staged_data(core):
    return dict(core.layers.staging._store.driver._data)


def lists(image):
    return (image.properties.get(rules.TO_STORES), image.properties.get(rules.FAILED),
            image.properties.get(rules.LOCK))


def task_of(core, task):
    return core.layers.database.tasks.get(task.id)


# --- the main road

def test_staged_data_is_imported_into_several_stores_from_one_read(
        importing, ctx, staged, reread, monkeypatch):
    reads, area = [], importing.layers.staging
    monkeypatch.setattr(area, 'read', lambda *args, read=area.read: reads.append(1) or read(*args))
    task = begin(importing, ctx, staged, stores=['fast', 'cold'])
    run(importing)

    image = reread(staged)

    assert (image.status, image.size) == ('active', len(DATA))
    assert image.os_hash_value == hashlib.sha512(DATA).hexdigest()
    assert image.checksum == hashlib.md5(DATA).hexdigest()
    assert {location.store for location in image.locations} == {'fast', 'cold'}
    assert data_in(importing, 'fast') == data_in(importing, 'cold') == {image.id: DATA}
    assert reads == [1]
    assert lists(image) == ('', '', None)
    assert rules.STAGED not in image.properties
    assert staged_data(importing) == {}
    assert task_of(importing, task).status == 'success'
    assert read_data(importing, ctx, image) == DATA


def test_an_image_is_locked_and_importing_until_all_stores_have_the_data(
        importing, ctx, staged, reread, monkeypatch):
    seen = []
    cold = importing.layers.stores['cold'].driver

    def write(key, chunks, *, write=cold.write, **named):
        while not reread(staged).locations:
            pass
        seen.append(reread(staged))
        return write(key, chunks, **named)
    monkeypatch.setattr(cold, 'write', lambda key, chunks, **named: write(
        key, iter(list(chunks)), **named))
    task = begin(importing, ctx, staged, stores=['fast', 'cold'])
    assert lists(reread(staged)) == (None, None, task.id)

    run(importing)

    assert (seen[0].status, lists(seen[0])) == ('importing', ('cold', '', task.id))


def test_data_is_fetched_changed_by_steps_and_stored(exchange, ctx, queued, reread, make_plugin):
    core = exchange(steps=[make_plugin(Reversed)])
    image = queued()
    begin(core, ctx, image, 'fetched')
    run(core)

    image = reread(image)

    assert read_data(core, ctx, image) == DATA[::-1]
    assert (image.status, image.min_disk, image.properties['reversed']) == ('active', 3, 'yes')
    assert staged_data(core) == {}


def test_an_active_image_is_copied_into_the_stores_that_lack_it(importing, ctx, admin, reread,
                                                               active):
    image = active()
    assert begin(importing, admin, image, 'copy-image', all_stores=True) is not None
    assert reread(image).status == 'active'
    run(importing)

    assert [location.store for location in reread(image).locations] == ['fast', 'cold']
    assert data_in(importing, 'cold') == {image.id: b'data'}
    assert begin(importing, admin, image, 'copy-image', all_stores=True) is None


def test_a_damaged_image_is_not_copied(importing, admin, active, reread):
    image = active()
    importing.layers.stores['fast'].driver._data[image.id] = (b'date',)
    task = begin(importing, admin, image, 'copy-image', stores=['cold'])
    run(importing)

    assert (reread(image).status, lists(reread(image))) == ('active', ('', 'cold', None))
    assert 'damaged' in task_of(importing, task).message
    assert data_in(importing, 'cold') == {}


def test_a_deleted_image_ends_its_import(importing, ctx, staged, advance):
    task = begin(importing, ctx, staged)
    importing.use_cases.images.delete(ctx, staged.id)
    run(importing)
    advance(1000)
    importing.use_cases.recovery.sweep()

    assert task_of(importing, task).status == 'failure'
    assert staged_data(importing) == data_in(importing, 'fast') == {}


def test_events_tell_of_an_import(importing, ctx, staged):
    recorder = Recorder()
    core = service.exchange(importing, notifiers=[recorder])
    begin(core, ctx, staged)
    run(core)

    assert recorder.types[-3:] == ['image.upload', 'image.activate', 'task.success']
    assert {'task.create', 'task.run', 'task.processing', 'image.prepare'} <= set(recorder.types)


# --- what is refused

@pytest.mark.parametrize(('request_', 'error'), [
    ({'stores': []}, contract.Invalid), ({'stores': ['none']}, contract.Conflict),
    ({'stores': 'fast'}, contract.Conflict), ({'stores': [1]}, contract.Conflict),
    ({'stores': ['fast'], 'all_stores': True}, contract.Invalid),
    ({'header_store': 'fast', 'all_stores': True}, contract.Invalid),
    ({'header_store': 'none'}, contract.Conflict),
    ({'stores': ['fast'], 'header_store': 'fast'}, contract.Invalid)])
def test_a_wrong_choice_of_stores_is_refused(importing, ctx, staged, reread, request_, error):
    with pytest.raises(error):
        begin(importing, ctx, staged, **request_)

    assert lists(reread(staged)) == (None, None, None)


def test_a_store_that_is_named_twice_is_written_once(importing, ctx, staged, reread):
    begin(importing, ctx, staged, stores=['cold', 'cold'])
    run(importing)

    assert [location.store for location in reread(staged).locations] == ['cold']


def test_of_two_imports_one_is_refused(importing, ctx, staged):
    begin(importing, ctx, staged)

    with pytest.raises(contract.Conflict, match='being imported'):
        begin(importing, ctx, staged)


def test_a_lock_without_a_task_is_broken(importing, ctx, staged, reread):
    image = importing.layers.database.images.update(
        staged, {'properties': rules.locked(staged.properties, 'gone')})
    begin(importing, ctx, image)
    run(importing)

    assert reread(staged).status == 'active'


@pytest.mark.parametrize('name', ['glance-direct', 'copy-image'])
def test_an_import_requires_the_right_status(importing, ctx, queued, name):
    with pytest.raises(contract.Conflict, match='queued'):
        begin(importing, ctx, queued(), name)


def test_an_import_requires_the_formats(importing, ctx, core):
    image = core.use_cases.images.create(ctx, core.schema.create({}))

    with pytest.raises(contract.Conflict, match='disk_format'):
        begin(importing, ctx, image, 'fetched')


def test_others_may_not_import(importing, context, queued):
    image = queued(visibility='community')

    with pytest.raises(contract.Forbidden):
        begin(importing, context('other'), image, 'fetched')


def test_a_method_that_does_not_work_is_not_offered(importing, ctx, queued, monkeypatch):
    broken = importing.layers.importers['fetched']
    monkeypatch.setattr(broken, 'health', raising(contract.Unavailable('no program')))

    assert 'fetched' not in importing.use_cases.imports.methods
    with pytest.raises(contract.Invalid, match='Unknown import method'):
        begin(importing, ctx, queued(), 'fetched')


# --- failures

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


def test_data_over_the_quota_is_refused_while_it_comes(exchange, ctx, queued, reread,
                                                       small_quota):
    core = exchange(quota=small_quota(exchange()).layers.quota)
    image = queued()
    task = begin(core, ctx, image, 'fetched')
    run(core)

    assert task_of(core, task).status == 'failure'
    assert 'larger than the 4 bytes' in task_of(core, task).message
    assert (reread(image).status, staged_data(core)) == ('queued', {})


def test_wrong_content_ends_the_import(importing, ctx, queued, reread):
    image = queued(disk_format='qcow2')
    task = begin(importing, ctx, image, 'fetched')
    run(importing)

    assert (reread(image).status, data_in(importing, 'fast')) == ('queued', {})
    assert 'qcow2' in task_of(importing, task).message


# --- taken over

def test_a_process_that_was_frozen_changes_nothing_any_more(importing, ctx, staged, reread,
                                                           advance, monkeypatch):
    frozen, go_on = threading.Event(), threading.Event()
    driver = importing.layers.stores['fast'].driver
    original = driver.write

    def write(key, chunks, **named):
        result = original(key, iter(list(chunks)), **named)
        if not frozen.is_set():
            frozen.set()
            assert go_on.wait(10)
        return result
    monkeypatch.setattr(driver, 'write', write)
    task = begin(importing, ctx, staged)
    zombie = threading.Thread(target=importing.use_cases.work.run)
    zombie.start()
    assert frozen.wait(10)
    advance(100)
    other = service.exchange(importing, options=Options())
    run(other)
    done = reread(staged)
    assert done.status == 'active'
    go_on.set()
    zombie.join(10)

    assert reread(staged) == done
    assert list(data_in(importing, 'fast').values()) == [DATA]
    assert (task_of(importing, task).status, task_of(importing, task).attempt) == ('success', 2)
    assert read_data(importing, ctx, done) == DATA


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


def test_expired_tasks_are_removed(importing, ctx, staged, advance):
    task = begin(importing, ctx, staged)
    run(importing)
    advance(49 * 3600)
    importing.use_cases.recovery.sweep_parts()

    with pytest.raises(contract.NotFound):
        task_of(importing, task)


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
