"""Calls beside their caller: in order, one at a time, and none after a failure."""

import threading
import time
import weakref

import pytest

from glancelite.support.background import BackgroundCalls


class Gate:
    """A function that waits until it may go on."""

    def __init__(self):
        self.begun, self.go, self.seen = threading.Event(), threading.Event(), []

    def __call__(self, item):
        self.begun.set()
        assert self.go.wait(10)
        self.seen.append(item)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def beside(gate):
    calls = BackgroundCalls(gate, 'glancelite-test')
    yield calls
    gate.go.set()
    calls.abandon()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == 'glancelite-test']


def test_calls_are_made_in_order(gate, beside):
    gate.go.set()

    for item in range(100):
        beside.call(item)
    beside.finish()

    assert gate.seen == list(range(100))
    assert threads() == []


def test_the_caller_goes_on_while_one_call_is_under_way(gate, beside):
    beside.call(1)
    second = threading.Thread(target=beside.call, args=(2,))
    second.start()
    second.join(0.1)

    assert second.is_alive()
    gate.go.set()
    second.join()
    beside.finish()
    assert gate.seen == [1, 2]


def test_as_many_calls_as_wanted_are_ahead_of_the_caller(gate):
    beside = BackgroundCalls(gate, 'glancelite-test', ahead=2)
    for item in 1, 2:
        beside.call(item)
    third = threading.Thread(target=beside.call, args=(3,))
    third.start()
    third.join(0.1)

    assert third.is_alive()
    gate.go.set()
    third.join()
    beside.finish()
    assert gate.seen == [1, 2, 3]


def test_an_offer_is_declined_while_a_call_is_under_way(gate, beside):
    assert beside.offer(1)
    assert gate.begun.wait(10)

    assert not beside.offer(2)
    gate.go.set()
    beside.call(3)
    beside.finish()
    assert gate.seen == [1, 3]


def offered(calls, item):
    while not calls.offer(item):    # the one before is still under way
        time.sleep(0.001)


@pytest.mark.parametrize('end', [
    lambda calls: calls.call('second'), lambda calls: offered(calls, 'second'),
    lambda calls: calls.finish()], ids=['call', 'offer', 'finish'])
def test_a_failure_is_told_and_ends_it(end):
    seen = []

    def fails(item):
        seen.append(item)
        raise OSError(item)

    calls = BackgroundCalls(fails, 'glancelite-test')
    calls.call('first')
    for _ in range(2):      # whoever asks again is told again
        with pytest.raises(OSError, match='first'):
            end(calls)
    calls.abandon()

    assert seen == ['first']
    assert threads() == []


def test_whoever_gives_up_waits_for_the_call_under_way_alone(gate, beside):
    beside.call(1)
    assert gate.begun.wait(10)
    waiting = threading.Thread(target=beside.call, args=(2,))
    waiting.start()
    leaving = threading.Thread(target=beside.abandon)
    leaving.start()
    leaving.join(0.1)

    assert leaving.is_alive()
    gate.go.set()
    leaving.join()
    waiting.join()
    assert gate.seen == [1]


def test_nothing_is_held_that_is_done_with(gate, beside):
    class Large:
        pass

    gate.seen = Forgetful()
    item = Large()
    watched = weakref.ref(item)
    gate.go.set()
    beside.call(item)
    del item
    beside.finish()

    assert watched() is None


class Forgetful:
    def append(self, item):
        pass
