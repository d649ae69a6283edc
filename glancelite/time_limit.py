"""Calls code of plugins in a thread of its own, with a time limit."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from glancelite.contract import Unavailable

T = TypeVar('T')


class TooLate(Unavailable):
    """The call has not returned in time; it goes on."""


class Call(Generic[T]):
    """A call that is running. If it never ends, it does not hold up the end of the program."""

    def __init__(self, function: Callable[[], T]):
        self._function = function
        self._ended = threading.Event()
        self._result: list[T] = []
        self._error: BaseException | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._function())
        except BaseException as error:  # of any kind: a thread would hide SystemExit
            self._error = error
        finally:
            self._ended.set()

    def has_ended(self, seconds: float) -> bool:
        """Wait for the end, at most so many seconds; return whether it came."""
        return self._ended.wait(max(0.0, seconds))

    def result(self, what: str, seconds: float, limit: float | None = None) -> T:
        """Return what the function returns, or raise what it raises.

        :param what: the first words of the error, such as 'the database did not answer'.
        :param seconds: how long to wait from now on.
        :param limit: the limit that the error names, if the call began earlier.
        :raises TooLate: the time is over.
        """
        if not self.has_ended(seconds):
            raise TooLate(f'{what} within '
                          f'{seconds if limit is None else limit:g} seconds')
        self._thread.join()     # before a fork, no thread is left
        if self._error is not None:
            raise self._error
        return self._result[0]
