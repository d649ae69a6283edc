"""Ends the waits for a database server that does not answer.

A server whose processes are frozen keeps its connections, and so does a network that
drops all packets: nothing but a clock ends a wait.  PostgreSQL's driver has none, and a
request that waits holds a thread of the service.  So a thread looks at all waits.  After
some seconds without any answer it opens a connection of its own; if that fails too, it
ends all waits, and requests fail at once until the server answers again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from glancelite.plugins.database.sql.failures import SILENT, reason

LOG = logging.getLogger(__name__)
#: seconds without any answer after which the server is asked for a sign of life
SILENCE = 2.0
#: seconds between two looks at the waits
PERIOD = 0.5


class Wait:
    """What a thread waits for: a connection, or the answer to a statement.

    :ivar since: the time of the last question.
    :ivar limit: seconds that an answer may take.
    :ivar ended: it was ended here.
    """

    __slots__ = ('_socket', 'ended', 'limit', 'since')

    def __init__(self, limit: float):
        self.since = time.monotonic()
        self.limit = limit
        self.ended = False
        self._socket: socket.socket | None = None

    def watch(self, descriptor: int) -> None:
        """Set the connection.

        A duplicate of the descriptor is kept: the driver may close its own at any time, and
        the number would become that of another file.
        """
        self._socket = socket.socket(fileno=os.dup(descriptor))

    def end(self) -> None:
        """End it, if the connection is known: the driver sees that the server hung up."""
        self.ended = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class Watch:
    """The waits for one server.

    :param probe: asks the server for a sign of life, or raises an error.
    :ivar waits: the waits now.
    :ivar answered_at: when the server has answered last.
    :ivar down: why no request needs to ask the server; '' while it answers.
    """

    def __init__(self, probe: Callable[[], Any]):
        self._probe = probe
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self.waits: set[Wait] = set()
        self.answered_at = time.monotonic()
        self.down = ''

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(
                    target=self._run, name='database-watch', daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(PERIOD):
            try:
                self._look()
            except Exception:       # the thread must not end
                LOG.exception('the database cannot be watched')

    def _look(self) -> None:
        now = time.monotonic()
        waits = list(self.waits)
        for wait in waits:
            if now - wait.since > wait.limit:
                wait.end()
        oldest = min((wait.since for wait in waits), default=now)
        if self.down or max(oldest, self.answered_at) < now - SILENCE:
            self._ask()

    def _ask(self) -> None:
        try:
            self._probe()
        except Exception as error:      # errors of the driver or of the system
            why = reason(error)
            if why.startswith(SILENT):
                self._set_down(why)
                return
            # an answer, such as too many connections
        self.answered_at = time.monotonic()
        if self.down:
            self.down = ''
            LOG.warning('the database answers again')

    def _set_down(self, why: str) -> None:
        if not self.down:
            LOG.error('%s; requests fail until it does', why)
        self.down = why
        for wait in list(self.waits):
            wait.end()
