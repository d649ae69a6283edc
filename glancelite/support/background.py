"""Calls that take their time, beside a caller who goes on meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar('Item')


class BackgroundCalls(Generic[Item]):
    """Calls a function in a thread of its own, in order, one at a time.

    What a call raises comes out of the next ``call`` or ``finish``, and no further call is
    made. Whoever makes one of these also calls ``abandon``, however it ends.

    :param name: of the thread.
    :param ahead: calls that the caller does not wait for, the one under way among them.
    """

    def __init__(self, function: Callable[[Item], object], name: str, *, ahead: int = 1):
        self._queue: queue.SimpleQueue[tuple[Item] | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(ahead)
        self._error: BaseException | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, args=(function,),
                                        name=name, daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[Item], object]) -> None:
        while (call := self._queue.get()) is not None:
            try:
                if self._error is None and not self._given_up:
                    function(*call)
            except BaseException as error:  # it belongs to the caller, not to this thread
                self._error = error
            finally:
                del call    # nobody needs it any more, and it may be large
                self._free.release()

    def call(self, item: Item) -> None:
        """Have the next call made; wait while there are as many as may be ahead."""
        self._free.acquire()
        self._begin(item)

    def offer(self, item: Item) -> bool:
        """As ``call``, but only if nobody has to wait; is it going to be made?"""
        free = self._free.acquire(blocking=False)
        if free:
            self._begin(item)
        return free

    def _begin(self, item: Item) -> None:
        if self._error is not None:
            self._free.release()
            raise self._error
        self._queue.put((item,))

    def finish(self) -> None:
        """Wait for the last call."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Wait for the call under way, if there is one; fine after ``finish``."""
        self._given_up = True
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
