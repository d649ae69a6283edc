"""Large images of all threads together use a limited amount of memory."""

import concurrent.futures
import contextlib

import pytest

from glancelite.contract import Unavailable
from glancelite.support.memory import Budget, HoldingProperties


@pytest.fixture
def other():
    """Calls a function in a new thread."""
    with contextlib.ExitStack() as stack:
        yield lambda *call: stack.enter_context(
            concurrent.futures.ThreadPoolExecutor(1)).submit(*call)


def test_a_thread_waits_until_another_needs_its_image_no_more(other):
    budget = Budget(10)
    image = HoldingProperties({'k': 'v'}, budget.take(6))

    waiting = other(budget.take, 5)
    with pytest.raises(concurrent.futures.TimeoutError):
        waiting.result(0.1)
    del image

    assert waiting.result(60)


def test_what_fits_is_taken_at_once(other):
    budget = Budget(10, timeout=0)
    first = budget.take(6)
    second = other(budget.take, 4).result(60)
    assert first is not second

    with pytest.raises(Unavailable, match='try again'):
        other(budget.take, 1).result(60)


def test_an_image_larger_than_all_is_read_alone(other):
    budget = Budget(10, timeout=0)
    huge = budget.take(100)

    with pytest.raises(Unavailable):
        other(budget.take, 1).result(60)
    del huge
    assert other(budget.take, 100).result(60)


def test_a_thread_does_not_wait_for_itself():
    budget = Budget(10, timeout=0)
    first = budget.take(10)

    assert budget.take(10) is not first


def test_an_image_that_is_kept_long_does_not_delay_others(other):
    budget = Budget(10, longest=0.05, timeout=60)
    kept = budget.take(10)

    assert other(budget.take, 10).result(60) is not kept


def test_waiting_ends_for_one_thread_after_the_other():
    budget, used, most = Budget(10), [], []

    def work(_):
        held = budget.take(5)
        used.append(held)
        most.append(len(used))
        used.remove(held)
        del held
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        assert all(executor.map(work, range(200)))
    assert max(most) <= 2
