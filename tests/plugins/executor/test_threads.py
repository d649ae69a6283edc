"""The executor ``threads`` keeps the contract."""

import threading

import pytest

from glancelite.plugins.executor import slots
from glancelite.plugins.executor.external import External
from glancelite.plugins.executor.inline import Inline
from glancelite.plugins.executor.threads import Threads
from glancelite.testing.contracts.executor import ExecutorContract, SubmissionContract
from glancelite.testing.fakes import FakeWork
from tests.servers import process


@pytest.fixture
def threads(make_plugin):
    """Builds a started executor with this number of slots."""
    def make(work, max_workers=4, kind=Threads, *, serves=True, **options):
        executor = make_plugin(kind, max_workers=max_workers,
                               **{'poll_interval': 0.02, **options})
        executor.start(work, serves=serves)
        return executor
    return make


def names():
    return [thread.name for thread in threading.enumerate()]


class TestThreads(ExecutorContract):

    @pytest.fixture
    def executor(self, make_plugin):
        return make_plugin(Threads, poll_interval=0.02)

    @pytest.fixture
    def worker(self, make_plugin):
        return make_plugin(Threads, poll_interval=0.02)


class TestExternal(ExecutorContract):

    @pytest.fixture
    def executor(self, make_plugin):
        return make_plugin(External, poll_interval=0.02)

    @pytest.fixture
    def worker(self, make_plugin):
        return make_plugin(External, poll_interval=0.02)


class TestInline(SubmissionContract):

    @pytest.fixture
    def executor(self, make_plugin):
        return make_plugin(Inline)

    @pytest.fixture
    def worker(self, make_plugin):
        return make_plugin(Inline)


def test_tasks_run_at_once_up_to_the_number_of_slots(threads):
    together = threading.Barrier(4)
    work = FakeWork(lambda task: together.wait(30))
    executor = threads(work, max_workers=4)

    for number in range(8):
        executor.submit(work.add(f'task-{number}'))

    assert len(work.wait(8)) == 8
    assert not together.broken


def test_no_more_tasks_run_than_there_are_slots(threads):
    most, running, lock = [], set(), threading.Lock()

    def run(task):
        with lock:
            running.add(task.id)
            most.append(len(running))
        work.waiting()
        with lock:
            running.remove(task.id)

    work = FakeWork(run)
    for number in range(50):
        work.add(f'task-{number}')
    threads(work, max_workers=2)

    assert len(work.wait(50)) == 50
    assert max(most) <= 2


def test_threads_of_tasks_end_when_there_are_none(threads):
    work = FakeWork()
    executor = threads(work, poll_interval=60)
    for number in range(9):
        executor.submit(work.add(f'task-{number}'))
    work.wait(9)

    assert process.until(lambda: 'task' not in names())
    executor.close()
    assert 'executor' not in names()


def test_tasks_of_other_nodes_do_not_open_all_slots(threads):
    calls = []

    class Work(FakeWork):
        def run(self, task_id=None):
            calls.append(threading.current_thread())
            return False

    work = Work()
    for number in range(50):
        work.add(f'task-{number}', node='another')
    polled = threading.Event()
    work.waiting = lambda waiting=work.waiting: polled.set() or waiting()
    executor = threads(work, max_workers=10, poll_interval=60)
    assert polled.wait(30)
    executor.close()

    assert len(calls) <= 1


def test_waiting_tasks_are_not_read_while_no_slot_is_free(threads, monkeypatch):
    running, polled, looks = threading.Event(), threading.Semaphore(0), []

    def run(task):
        running.set()
        for _ in range(5):
            assert polled.acquire(timeout=30)
        looks.append(sum(looked))
        looked.clear()

    looked = []
    work = FakeWork(run)
    work.waiting = lambda waiting=work.waiting: looked.append(running.is_set()) or waiting()
    monkeypatch.setattr(slots.random, 'uniform', lambda low, high: polled.release() or low)
    threads(work, max_workers=1)
    work.add('one')
    work.wait()

    assert looks == [0]


def test_a_task_is_found_without_submit_while_others_run(threads):
    other = threading.Event()
    work = FakeWork(lambda task: task.id == 'slow' and other.wait(30))
    threads(work).submit(work.add('slow'))

    work.add('one')
    assert work.wait() == ['one']

    other.set()
    assert work.wait(2) == ['one', 'slow']


def test_external_runs_nothing_in_the_api(threads):
    work = FakeWork()
    executor = threads(work, kind=External, serves=True)

    executor.submit(work.add('one'))

    assert 'executor' not in names()
    executor.close()
    assert work.done == []


def test_a_task_that_waiting_does_not_list_is_run(threads):
    work = FakeWork()
    work.waiting = list
    threads(work)

    work.add('one')

    assert work.wait() == ['one']


def test_a_task_that_does_not_end_does_not_keep_the_service(threads, caplog, monkeypatch):
    monkeypatch.setattr('glancelite.plugins.executor.slots.CLOSE_TIME', 0.05)
    running, end = threading.Event(), threading.Event()

    def run(task):
        running.set()
        end.wait(30)

    work = FakeWork(run)
    executor = threads(work)
    executor.submit(work.add('one'))
    assert running.wait(30)

    executor.close()
    end.set()

    assert '1 tasks have not ended within 0.05 s' in caplog.text
    assert work.wait() == ['one']


def test_inline_runs_the_task_in_the_caller(make_plugin):
    callers = []
    work = FakeWork(lambda task: callers.append(threading.current_thread()))
    executor = make_plugin(Inline)
    executor.start(work, serves=True)

    executor.submit(work.add('one'))

    assert callers == [threading.current_thread()]
