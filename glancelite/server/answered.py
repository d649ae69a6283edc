"""Connections that have been answered, but whose client still has to receive or to send.

The main thread serves them, so that no client holds a thread by doing nothing.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from glancelite.server.connection import Connection

UNSENT = 64 << 20       # bytes of unsent answers that one process keeps; the oldest are dropped
UNSENT_MAX = 2 * UNSENT         # the same before the main thread has dropped any
LINGER = 30.0           # seconds during which a client may send what is not read
LINGER_SILENCE = 5.0    # seconds of silence that end this
LINGER_STOPPING = 2.0   # as LINGER, when the server stops
LINGER_SIZE = 256 << 20         # bytes that end it
DISCARDED_AT_ONCE = 1 << 16     # small, because other connections wait

Drop = Callable[[Connection], None]


class Answers:
    """Answers whose clients read slowly: sends what the clients take.

    :param done: called with a connection when all is sent.
    :param drop: called with a connection that is lost.
    """

    def __init__(self, poller: selectors.BaseSelector, done: Drop, drop: Drop,
                 timeout: float):
        self._poller, self._done, self._drop = poller, done, drop
        self._timeout = timeout
        self._progress: dict[Connection, float] = {}    # when the client took something
        self._lock = threading.Lock()
        self._sizes: dict[Connection, int] = {}         # of all that is kept
        self._size = 0

    def keep(self, conn: Connection) -> bool:
        """Called in any thread, before `add` in the main thread; False if there is too much."""
        with self._lock:
            fits = self._size + conn.memory <= UNSENT_MAX
            if fits:
                self._sizes[conn] = conn.memory
                self._size += conn.memory
            return fits

    def add(self, conn: Connection) -> None:
        self._progress[conn] = time.monotonic()
        self._poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._send, conn))
        while self._size > UNSENT and self._progress:
            self._give_up(next(iter(self._progress)))

    def expire(self, now: float) -> None:
        """Give up clients that take nothing."""
        late = now - self._timeout
        for conn in [conn for conn, moved in self._progress.items() if moved < late]:
            self._give_up(conn)

    def _send(self, conn: Connection, sock: Any) -> None:
        before = len(conn.unsent)
        try:
            conn.send_unsent()
        except OSError:
            self._give_up(conn)
            return
        if len(conn.unsent) < before:
            self._progress[conn] = time.monotonic()
        if not conn.unsent:
            self._forget(conn)
            self._done(conn)

    def _give_up(self, conn: Connection) -> None:
        self._forget(conn)
        conn.reset()
        self._drop(conn)

    def _forget(self, conn: Connection) -> None:
        del self._progress[conn]
        with self._lock:
            self._size -= self._sizes.pop(conn)
        self._poller.unregister(conn.sock)


class Lingering:
    """Connections that are about to be closed: discards what their clients still send.

    :param drop: called with a connection when it is to be closed.
    """

    def __init__(self, poller: selectors.BaseSelector, drop: Drop):
        self._poller, self._drop = poller, drop
        self._buffer = bytearray(DISCARDED_AT_ONCE)
        self._states: dict[Connection, _Lingering] = {}

    def add(self, conn: Connection) -> None:
        self._states[conn] = _Lingering()
        self._poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, conn))

    def expire(self, now: float, stopping: bool) -> None:
        longest = LINGER_STOPPING if stopping else LINGER
        for conn in [conn for conn, state in self._states.items()
                     if now > min(state.began + longest, state.heard + LINGER_SILENCE)]:
            self._end(conn)

    def _discard(self, conn: Connection, sock: Any) -> None:
        try:
            size = conn.discard(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        state = self._states[conn]
        state.size += size
        state.heard = time.monotonic()
        if not size or state.size > LINGER_SIZE:
            self._end(conn)

    def _end(self, conn: Connection) -> None:
        del self._states[conn]
        self._poller.unregister(conn.sock)
        self._drop(conn)


class _Lingering:

    def __init__(self) -> None:
        self.began = self.heard = time.monotonic()
        self.size = 0
