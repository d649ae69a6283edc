"""Background calls run in order, one at a time, and none after a failure."""

import threading
import time
import weakref

import pytest

from glancelite.support.background import BackgroundCalls


class Gate:
    """A function that blocks until ``open`` is set."""

    def __init__(self):
        self.started, self.open, self.items = threading.Event(), threading.Event(), []

    def __call__(self, item):
        self.started.set()
        assert self.open.wait(10)
        self.items.append(item)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def calls(gate):
    calls = BackgroundCalls(gate, 'glancelite-test')
    yield calls
    gate.open.set()
    calls.cancel()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == 'glancelite-test']


def test_calls_are_made_in_order(gate, calls):
    gate.open.set()

    for item in range(100):
        calls.call(item)
    calls.finish()

    assert gate.items == list(range(100))
    assert threads() == []


def test_the_caller_waits_only_if_a_second_call_is_pending(gate, calls):
    calls.call(1)
    second = threading.Thread(target=calls.call, args=(2,))
    second.start()
    second.join(0.1)

    assert second.is_alive()
    gate.open.set()
    second.join()
    calls.finish()
    assert gate.items == [1, 2]


def test_the_number_of_pending_calls_can_be_chosen(gate):
    calls = BackgroundCalls(gate, 'glancelite-test', ahead=2)
    for item in 1, 2:
        calls.call(item)
    third = threading.Thread(target=calls.call, args=(3,))
    third.start()
    third.join(0.1)

    assert third.is_alive()
    gate.open.set()
    third.join()
    calls.finish()
    assert gate.items == [1, 2, 3]


def test_try_call_returns_false_while_a_call_is_running(gate, calls):
    assert calls.try_call(1)
    assert gate.started.wait(10)

    assert not calls.try_call(2)
    gate.open.set()
    calls.call(3)
    calls.finish()
    assert gate.items == [1, 3]


def retry_call(calls, item):
    while not calls.try_call(item):    # the previous call is still running
        time.sleep(0.001)


@pytest.mark.parametrize('end', [
    lambda calls: calls.call('second'), lambda calls: retry_call(calls, 'second'),
    lambda calls: calls.finish()], ids=['call', 'try_call', 'finish'])
def test_a_failure_is_raised_and_ends_the_calls(end):
    seen = []

    def fails(item):
        seen.append(item)
        raise OSError(item)

    calls = BackgroundCalls(fails, 'glancelite-test')
    calls.call('first')
    for _ in range(2):      # every later call raises it
        with pytest.raises(OSError, match='first'):
            end(calls)
    calls.cancel()

    assert seen == ['first']
    assert threads() == []


def test_cancel_waits_for_the_running_call_only(gate, calls):
    calls.call(1)
    assert gate.started.wait(10)
    waiting = threading.Thread(target=calls.call, args=(2,))
    waiting.start()
    cancelling = threading.Thread(target=calls.cancel)
    cancelling.start()
    cancelling.join(0.1)

    assert cancelling.is_alive()
    gate.open.set()
    cancelling.join()
    waiting.join()
    assert gate.items == [1]


def test_an_item_is_released_after_its_call(gate, calls):
    class Large:
        pass

    gate.items = Forgetful()
    item = Large()
    watched = weakref.ref(item)
    gate.open.set()
    calls.call(item)
    del item
    calls.finish()

    assert watched() is None


class Forgetful:
    def append(self, item):
        pass
