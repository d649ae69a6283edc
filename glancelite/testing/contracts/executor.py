"""The suite for executors.  Subclass ``ExecutorContract``; override ``executor`` and ``worker``.

Both fixtures build the plugin with the same options; ``executor`` is started as in a process
of the API, ``worker`` as in a worker process.  A short ``poll_interval`` makes the suite fast.
"""

from __future__ import annotations

import concurrent.futures
import threading

import pytest

from glancelite import contract
from glancelite.testing.fakes import FakeWork


def close(executor):
    """Close the executor; the fixture that built it does not close it again."""
    executor.close()
    executor.close = lambda: None


class SubmissionContract:
    """What any executor does, also one that only runs what is submitted."""

    @pytest.fixture
    def executor(self):
        raise NotImplementedError('override the `executor` fixture')

    @pytest.fixture
    def worker(self):
        raise NotImplementedError('override the `worker` fixture')

    @pytest.fixture
    def work(self):
        return FakeWork()

    @pytest.fixture
    def started(self, executor, worker, work):
        """The executor of the API; a worker process is running."""
        executor.start(work, serves=True)
        worker.start(work, serves=False)
        return executor

    def test_a_submitted_task_is_run(self, started, work):
        assert started.submit(work.add('one')) is None

        assert work.wait() == ['one']

    def test_a_task_that_is_submitted_often_is_run_once(self, started, work):
        task = work.add('one')

        for _ in range(20):
            started.submit(task)
        started.submit(work.add('two'))

        assert work.wait(2) == ['one', 'two']

    def test_many_can_submit_at_once(self, started, work):
        tasks = [work.add(f'task-{number:02}') for number in range(40)]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(started.submit, tasks))

        assert results == [None] * 40
        assert work.wait(40) == [task.id for task in tasks]

    def test_unknown_tasks_are_ignored(self, started, work):
        started.submit(contract.Task('unknown', 'import'))
        started.submit(work.add('one'))

        assert work.wait() == ['one']

    @pytest.mark.parametrize('error', [ValueError, contract.Unavailable, SystemExit])

    def test_an_unexpected_error_of_a_task_does_not_stop_the_others(self, started, work, error):
        def fail(task):
            if task.id.startswith('bad'):
                raise error('unexpected')

        work.action = fail
        for number in range(30):    # more than there are slots
            started.submit(work.add(f'bad-{number}'))
        started.submit(work.add('good'))

        assert 'good' in work.wait(31)

    def test_a_closed_executor_starts_no_task(self, started, worker, work):
        started.submit(work.add('one'))
        work.wait()
        close(worker)
        close(started)

        started.submit(work.add('two'))

        assert work.done == ['one']

    def test_an_executor_can_be_closed_without_a_start(self, executor):
        assert close(executor) is None

    def test_health_is_a_text(self, executor):
        assert isinstance(executor.health(), str)


class ExecutorContract(SubmissionContract):

    def test_a_task_that_was_not_submitted_is_run(self, started, work):
        work.add('one')

        assert work.wait() == ['one']

    def test_a_task_that_was_submitted_before_the_start_is_run(
            self, executor, worker, work):
        executor.submit(work.add('one'))
        executor.start(work, serves=True)
        worker.start(work, serves=False)

        assert work.wait() == ['one']

    def test_submit_does_not_wait_for_the_task(self, started, work):
        submitted = threading.Event()
        work.action = lambda task: submitted.wait(30)

        started.submit(work.add('one'))
        submitted.set()

        assert work.wait() == ['one']

    def test_a_database_that_does_not_answer_does_not_end_the_executor(
            self, started, work):
        work.failure = contract.Unavailable('the database does not answer')
        started.submit(work.add('one'))
        work.failure = None

        assert work.wait() == ['one']

    def test_close_returns_when_the_running_task_ends(self, started, worker, work):
        running, closing = threading.Event(), threading.Event()

        def run(task):
            running.set()
            closing.wait(30)

        work.action = run
        started.submit(work.add('one'))
        assert running.wait(30)

        closing.set()       # as the service does, before it closes the executor
        close(worker)
        close(started)

        assert work.done == ['one']
