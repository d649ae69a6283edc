"""Calls with a time limit."""

import contextvars
import threading

import pytest

from glancelite import contract, time_limit
from glancelite.time_limit import Call

NAME = contextvars.ContextVar('name', default='')


def test_a_call_that_does_not_end_is_left_behind():
    end = threading.Event()
    call = Call(end.wait)

    with pytest.raises(time_limit.TooLate, match='the call did not return within'):
        call.result('the call did not return', 0.01)

    end.set()
    assert call.result('waiting', 10) is True


def test_a_late_call_counts_as_a_backend_that_does_not_answer():
    assert issubclass(time_limit.TooLate, contract.Unavailable)


@pytest.mark.parametrize('error', [RuntimeError(), SystemExit(), KeyboardInterrupt()],
                         ids=lambda error: type(error).__name__)
def test_an_exception_of_any_kind_is_raised_in_the_calling_thread(error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        Call(fail).result('failing', 10)


def test_the_call_sees_the_context_variables_of_its_caller():
    token = NAME.set('caller')

    assert Call(NAME.get).result('reading', 10) == 'caller'
    NAME.reset(token)
