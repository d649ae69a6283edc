"""Runs slow calls in order on one background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from glancelite.support import log_context

Item = TypeVar('Item')


class BackgroundCalls(Generic[Item]):
    """Calls a function in a thread of its own, in order, one call at a time.

    The first exception of a call ends the sequence: every later ``call``, ``try_call`` and
    ``finish`` raises it, and no further call is made.  The owner must end with ``cancel``,
    also after ``finish``.

    :param function: takes one item; its result is ignored.
    :param name: of the thread.
    :param ahead: number of pending calls, including the running one, before ``call`` blocks.
    """

    def __init__(self, function: Callable[[Item], object], name: str, *, ahead: int = 1):
        self._queue: queue.SimpleQueue[tuple[Item] | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(ahead)
        self._error: BaseException | None = None
        self._cancelled = False
        self._thread = threading.Thread(target=log_context.carried(self._run),
                                        args=(function,), name=name, daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[Item], object]) -> None:
        while (arguments := self._queue.get()) is not None:
            try:
                if self._error is None and not self._cancelled:
                    function(*arguments)
            except BaseException as error:  # raised in the owner's thread
                self._error = error
            finally:
                del arguments    # may be large; do not keep it until the next call
                self._free.release()

    def call(self, item: Item) -> None:
        """Schedule a call; block while ``ahead`` calls are pending."""
        self._free.acquire()
        self._enqueue(item)

    def try_call(self, item: Item) -> bool:
        """Schedule a call unless that would block; return whether it was scheduled."""
        free = self._free.acquire(blocking=False)
        if free:
            self._enqueue(item)
        return free

    def _enqueue(self, item: Item) -> None:
        if self._error is not None:
            self._free.release()
            raise self._error
        self._queue.put((item,))

    def finish(self) -> None:
        """Wait for all scheduled calls, and end the thread."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Skip the pending calls, wait for the running one, and end the thread.

        Does nothing after ``finish``.
        """
        self._cancelled = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
