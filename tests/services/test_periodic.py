"""Work that is repeated in a thread."""

import logging
import threading
import time

import pytest

from glancelite.services.periodic import Periodic


@pytest.fixture
def periodic():
    """Build a Periodic, which is closed in the end."""
    built = []

    def build(work, interval=0.01):
        built.append(Periodic(work, interval, 'the work'))
        return built[-1]
    yield build
    for each in built:
        each.close()


def test_the_first_call_is_made_at_once(periodic):
    called = threading.Event()

    periodic(called.set, interval=1000).start()

    assert called.wait(5)


def test_an_exception_is_logged_and_the_next_call_is_made(periodic, caplog):
    calls = threading.Semaphore(0)

    def work():
        calls.release()
        raise ZeroDivisionError('a fault')

    with caplog.at_level(logging.ERROR):
        periodic(work).start()
        for _ in range(3):
            assert calls.acquire(timeout=5)

    assert 'the work failed; the next try is in 0.01 s' in caplog.text
    assert 'ZeroDivisionError: a fault' in caplog.text


def test_close_waits_for_the_call_in_progress(periodic):
    started, ended = threading.Event(), []

    def work():
        started.set()
        while not thread.stopping:
            time.sleep(0.001)
        ended.append(True)

    thread = periodic(work, interval=10)
    thread.start()
    started.wait(5)

    thread.close()

    assert ended == [True]
    assert not thread._thread.is_alive()


def test_close_waits_for_one_interval_at_most(periodic):
    started, release = threading.Event(), threading.Event()

    def work():
        started.set()
        release.wait(5)

    thread = periodic(work)
    thread.start()
    started.wait(5)

    thread.close()

    assert thread._thread.is_alive()
    release.set()


def test_no_call_is_made_after_close(periodic):
    calls = []
    thread = periodic(lambda: calls.append(1))
    thread.start()
    thread.close()
    thread._thread.join(5)
    count = len(calls)

    assert not threading.Event().wait(0.05)
    assert len(calls) == count


def test_the_work_can_see_that_it_should_stop(periodic):
    thread = periodic(lambda: None)
    assert not thread.stopping

    thread.close()

    assert thread.stopping


def test_close_before_start_does_not_wait(periodic):
    periodic(lambda: None, interval=1000).close()
