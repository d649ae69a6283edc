"""The connections to the database: opened, kept while idle, lent to one thread each."""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import queue
import threading
import time
from typing import Any

import sqlalchemy as sa
from oslo_db.sqlalchemy import enginefacade

from glancelite import contract
from glancelite.plugins.database.sql.connection import Connection
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.failures import SILENT, reason
from glancelite.plugins.database.sql.urls import is_in_memory
from glancelite.plugins.database.sql.watch import Wait, Watch

LOG = logging.getLogger(__name__)

#: seconds of idleness after which a connection is pinged before it is used
PING_AFTER = 5
#: seconds to wait for a free connection, unless [database] pool_timeout is set
POOL_TIMEOUT = 30
#: seconds beyond ``statement_timeout`` for the server to report that it has ended a statement
GRACE = 2
#: the options of oslo.db that are passed to its engine unchanged
_ENGINE_OPTIONS = ('mysql_sql_mode', 'mysql_wsrep_sync_wait', 'connection_recycle_time',
                   'max_pool_size', 'max_overflow', 'sqlite_synchronous',
                   'connection_debug', 'connection_trace', 'connection_parameters')


def unavailable(error: BaseException, otherwise: str = SILENT) -> contract.Unavailable:
    """Log why the database cannot be used; return the error for the caller."""
    first_line, *_ = str(error).splitlines() or ['']
    why = reason(error, otherwise)
    LOG.error('%s: %s: %s', why, type(error).__name__, first_line)
    return contract.Unavailable(why)


class Pool:

    def __init__(self, url: sa.URL, dialect: Dialect, settings: Any, limits: Any):
        """
        :param settings: the section ``[database]`` as oslo.db defines it.
        :param limits: has ``connect_timeout`` and ``statement_timeout``.
        """
        self._url = url
        self._dialect = dialect
        self._settings = settings
        self._limits = limits
        self._timeout = settings.pool_timeout or POOL_TIMEOUT
        self._max_open = 1 if is_in_memory(url) else (
            (settings.max_pool_size or 5) + (settings.max_overflow or 0))
        self._max_idle = min(self._max_open, settings.max_pool_size or 5)
        self._engine_lock = threading.Lock()
        self._connecting = threading.local()
        self._set_up()

    def _set_up(self) -> None:
        # a queue of as many marks as connections may be lent: faster than a semaphore
        self._slots: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(self._max_open):
            self._slots.put(None)
        self._idle: collections.deque[Connection] = collections.deque()
        self._engine: sa.Engine | None = None
        self._watch = Watch(self._probe)
        self._pid = os.getpid()

    # --- lending

    def acquire(self) -> Connection:
        """Return a connection that belongs to the caller until ``release`` or ``discard``.

        :raises Unavailable: all are busy for too long, or the database does not answer.
        """
        if self._pid != os.getpid():
            self._after_fork()
        try:
            self._slots.get(timeout=self._timeout)
        except queue.Empty:
            raise contract.Unavailable('all connections to the database are busy') from None
        try:
            if self._watch.down:
                raise contract.Unavailable(self._watch.down)
            return self._pop_idle() or self._connect()
        except BaseException:
            self._slots.put(None)
            raise

    def release(self, connection: Connection) -> None:
        wait = connection.wait
        self._watch.waits.discard(wait)
        self._watch.answered_at = time.monotonic()
        if wait.ended or len(self._idle) >= self._max_idle:
            self._close(connection)
        else:
            self._idle.append(connection)
        self._slots.put(None)

    def discard(self, connection: Connection) -> None:
        """Take back a connection that must not be used any more."""
        self._watch.waits.discard(connection.wait)
        self._close(connection)
        self._slots.put(None)

    def discard_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._close(self._idle.pop())

    def is_overdue(self, connection: Connection) -> bool:
        """Return whether a failed statement has taken too long, or the server is down."""
        return connection.wait.ended or (
            time.monotonic() - connection.wait.since >= self._limits.statement_timeout)

    def _close(self, connection: Connection) -> None:
        connection.wait.close()
        with contextlib.suppress(Exception):
            connection.pooled.invalidate()

    def _pop_idle(self) -> Connection | None:
        while self._idle:
            now = time.monotonic()
            try:
                connection = self._idle.pop()
            except IndexError:      # another thread took the last one
                break
            idle_for, connection.wait.since = now - connection.wait.since, now
            self._watch.waits.add(connection.wait)
            if idle_for < PING_AFTER or self._is_alive(connection, now):
                return connection
            self._watch.waits.discard(connection.wait)
            self._close(connection)
        return None

    def _is_alive(self, connection: Connection, now: float) -> bool:
        if now - connection.opened_at > self._settings.connection_recycle_time > 0:
            return False
        connection.wait.limit = self._limits.connect_timeout
        try:
            return bool(self.engine().dialect.do_ping(connection.raw))
        except Exception:
            if connection.wait.ended:
                self.discard_idle()     # probably they are dead as well
            return False
        finally:
            connection.wait.limit = self._limits.statement_timeout + GRACE

    # --- opening

    def _connect(self) -> Connection:
        wait = self._connecting.wait = Wait(self._limits.statement_timeout + GRACE)
        self._watch.waits.add(wait)
        try:
            engine = self.engine()
            if self._dialect.IS_SERVER:
                self._watch.start()
            pooled = engine.raw_connection()
            if self._dialect.IS_SERVER:      # for SQLite oslo.db sets it
                raw: Any = pooled.driver_connection
                engine.dialect.set_isolation_level(raw, 'AUTOCOMMIT')
            connection = Connection(pooled, wait)
            for statement in self._dialect.session_setup(self._limits.statement_timeout):
                connection.execute(statement)
        except BaseException as error:
            self._watch.waits.discard(wait)
            wait.close()
            if not isinstance(error, Exception):
                raise
            raise unavailable(error) from None  # of the driver, of oslo.db or of the system
        return connection

    def _on_connect(self, raw: Any, record: Any) -> None:
        self._dialect.prepare(raw)
        self._connecting.wait.watch(self._dialect.descriptor(raw))

    def _probe(self) -> None:
        """Open a connection and ask for an answer; raise an error after ``connect_timeout``."""
        engine = self.engine()
        dialect: Any = engine.dialect
        arguments, more = dialect.create_connect_args(engine.url)
        raw = dialect.connect(*arguments, **more)
        wait = Wait(self._limits.connect_timeout)
        timer = threading.Timer(self._limits.connect_timeout, wait.end)
        try:
            wait.watch(self._dialect.descriptor(raw))
            timer.start()
            dialect.do_ping(raw)
        finally:
            timer.cancel()
            wait.close()
            with contextlib.suppress(Exception):
                raw.close()

    def engine(self) -> sa.Engine:
        """Return the engine of oslo.db, which opens the connections."""
        if self._engine is None:
            with self._engine_lock:
                if self._engine is None:
                    facade = enginefacade.transaction_context()
                    facade.configure(
                        connection=self._url.render_as_string(hide_password=False),
                        sqlite_fk=True, max_retries=0, thread_checkin=False,
                        **{name: self._settings[name] for name in _ENGINE_OPTIONS})
                    engine = facade.writer.get_engine()
                    if self._dialect.IS_SERVER:
                        sa.event.listen(engine, 'connect', self._on_connect, insert=True)
                    self._engine = engine
        return self._engine

    # --- the ends

    def _after_fork(self) -> None:
        """Start anew; closing the parent's connections would close them there."""
        with self._engine_lock:
            if self._pid != os.getpid():
                # keep a reference: garbage collection would close the connections
                self._inherited = (self._idle, self._engine, self._watch)
                self._set_up()

    def close(self) -> None:
        self._watch.close()
        self.discard_idle()
        if self._engine is not None:
            self._engine.dispose()
