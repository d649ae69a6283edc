"""Connections to the database, and statements that run on them.

SQLAlchemy builds the statements and opens the connections, as oslo.db has
configured it.  A request then uses the driver's own cursor: a statement is
compiled once, a connection stays in autocommit mode and is not asked whether
it lives before each use.  That takes a read from 200 to 65 microseconds.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from oslo_db import exception as oslo_exception
from oslo_db.sqlalchemy import enginefacade

from glancelite import contract
from glancelite.plugins.database.sql.dialects import KINDS, Dialect

LOG = logging.getLogger(__name__)
T = TypeVar('T')

#: backend -> driver of SQLAlchemy, module, extra of this package
DRIVERS = {'postgresql': ('psycopg', 'psycopg', 'postgresql'),
           'mysql': ('pymysql', 'pymysql', 'mysql'),
           'mariadb': ('pymysql', 'pymysql', 'mysql'),
           'sqlite': ('pysqlite', 'sqlite3', '')}
#: a connection that has been idle for so many seconds is asked whether it lives
TRUSTED = 5
#: how often a transaction is tried when others are in its way
ATTEMPTS = 12
#: the options of oslo.db that its engine takes over as they are
_OPTIONS = ('mysql_sql_mode', 'mysql_wsrep_sync_wait', 'connection_recycle_time',
            'max_pool_size', 'max_overflow', 'sqlite_synchronous',
            'connection_debug', 'connection_trace', 'connection_parameters')


class Refused(contract.Conflict):
    """The rows do not fit to those that are there: a key is taken."""


def address(connection: str | None) -> sa.URL:
    """The URL with the driver that we use.

    :raises Misconfigured: it cannot be used; the text repeats no secret of it.
    """
    if not connection:
        raise contract.Misconfigured(
            '[database] connection must be set, such as '
            'postgresql://user:password@host/glance or sqlite:////var/lib/glance/glance.sqlite')
    try:
        url = sa.make_url(connection)
    except sa.exc.ArgumentError:
        raise contract.Misconfigured(
            '[database] connection is no URL such as '
            'postgresql://user:password@host/database') from None
    backend = url.get_backend_name()
    if backend not in DRIVERS:
        raise contract.Misconfigured(
            f'[database] connection: {backend} is not supported; '
            f'{", ".join(sorted(DRIVERS))} are')
    driver, module, extra = DRIVERS[backend]
    try:
        importlib.import_module(module)
    except ImportError:
        raise contract.Misconfigured(
            f'[database] connection: {backend} needs the library {module}: '
            f'install glancelite[{extra}]') from None
    if '+' in url.drivername and url.drivername != f'{backend}+{driver}':
        LOG.info('[database] connection: %s is used in place of %s', driver, url.drivername)
    url = url.set(drivername=f'{backend}+{driver}')
    if module == 'pymysql':
        url = url.update_query_dict({'charset': 'utf8mb4'})
    return url


def in_memory(url: sa.URL) -> bool:
    """An SQLite database that lives in one connection."""
    return url.get_backend_name() == 'sqlite' and (
        url.database in (None, '', ':memory:') or url.query.get('mode') == 'memory')


class Statement:
    """A statement as the driver takes it; constants of its parameters are in it."""

    __slots__ = ('_defaults', '_names', 'sql')

    def __init__(self, clause: Any, dialect: Any):
        compiled = clause.compile(dialect=dialect)
        self.sql = str(compiled)
        self._names = compiled.positiontup if compiled.positional else None
        self._defaults = {name: bind.effective_value for name, bind in compiled.binds.items()
                          if not bind.required}

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Parameters for the driver."""
        if self._defaults:
            values = {**self._defaults, **values}
        if self._names is None:
            return values
        return tuple([values[name] for name in self._names])


class Link:
    """One connection to the database."""

    __slots__ = ('born', 'connection', 'cursor', 'raw', 'used')

    def __init__(self, connection: Any):
        self.connection = connection
        self.raw = connection.driver_connection
        self.cursor = self.raw.cursor()
        self.born = self.used = time.monotonic()

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        """Every statement of a request goes through here or ``execute_many``."""
        self.cursor.execute(sql, parameters)
        return self.cursor

    def execute_many(self, sql: str, parameters: list[Any]) -> None:
        self.cursor.executemany(sql, parameters)

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        return self.execute(statement.sql, statement.bind(values)).fetchall()

    def run(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """:returns: how many rows were concerned."""
        return self.execute(statement.sql, statement.bind(values)).rowcount

    def run_each(self, statement: Statement, values: Iterable[Mapping[str, Any]]) -> None:
        """The same with each of some values."""
        bound = [statement.bind(each) for each in values]
        if len(bound) == 1:
            self.execute(statement.sql, bound[0])
        elif bound:
            self.execute_many(statement.sql, bound)


class Engine:
    """Runs statements; what fails comes out as an error of the contract."""

    def __init__(self, options: Any):
        """:param options: the section ``[database]`` as oslo.db defines it."""
        self.url = address(options.connection)
        self.dialect: Dialect = KINDS[self.url.get_backend_name()]()
        self._options = options
        self._limit = 1 if in_memory(self.url) else (
            (options.max_pool_size or 5) + (options.max_overflow or 0))
        self._keep = min(self._limit, options.max_pool_size or 5)
        self._free = threading.Semaphore(self._limit)
        self._idle: collections.deque[Link] = collections.deque()
        self._starting = threading.Lock()
        #: SQLite has one writer at a time: in line here, rather than knocking again and again
        self._writing = (threading.Lock() if self.url.get_backend_name() == 'sqlite'
                         else contextlib.nullcontext())
        self._engine: sa.Engine | None = None
        self._pid = os.getpid()
        self._statements: dict[Any, Statement] = {}
        self._learnt = False

    # --- statements

    def statement(self, key: Any, build: Callable[[Dialect], Any]) -> Statement:
        """The compiled statement called ``key``; built when it is first needed."""
        found = self._statements.get(key)
        if found is None:
            self.known()
            if len(self._statements) > 1000:    # odd filters by the thousand
                self._statements.clear()
            assert self._engine is not None
            found = Statement(build(self.dialect), self._engine.dialect)
            self._statements[key] = found
        return found

    def known(self) -> Dialect:
        """The dialect, once it knows the tables."""
        if not self._learnt:
            def ask(link: Link) -> None:
                self.dialect.learn(lambda sql: link.execute(sql).fetchall())
            self._repeat(ask, begin=False)
            self._learnt = True
        return self.dialect

    def forget(self) -> None:
        """Learn the tables anew: they have changed."""
        self._statements.clear()
        self._learnt = False

    # --- running them

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        """What a statement finds; it reads only."""
        link = self._take()
        try:
            found = link.rows(statement, values)
        except BaseException as error:
            self._failed(link, error)
            return self._repeat(lambda link: link.rows(statement, values), begin=False)
        self._give(link)
        return found

    def run(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """One statement that writes, a transaction by itself.

        :returns: how many rows were concerned.
        """
        return self._repeat(lambda link: link.run(statement, values), begin=False, once=True)

    def transaction(self, work: Callable[[Link], T]) -> T:
        """``work`` as one transaction; it may run several times before it is done."""
        return self._repeat(work, begin=True)

    def _repeat(self, work: Callable[[Link], T], *, begin: bool, once: bool = False) -> T:
        """Run ``work``, again if others were in the way or the connection was dead.

        :param once: a lost connection leaves open whether it was done: do not try again.
        """
        reconnects = 0 if once else 2
        for attempt in range(ATTEMPTS):
            with self._writing if begin or once else contextlib.nullcontext():
                link = self._take()
                settled = False
                try:
                    if begin:
                        link.execute(self.dialect.BEGIN)
                    result = work(link)
                    if begin:
                        settled = True
                        link.execute('COMMIT')
                except BaseException as error:
                    lost = self._failed(link, error, begin=begin)
                    if lost and (settled or not reconnects):
                        raise self._unavailable(error) from None
                    reconnects -= lost
                    last = error
                else:
                    self._give(link)
                    return result
            time.sleep(random.uniform(0, min(0.2, 0.002 * 2 ** attempt)))  # noqa: S311
        raise self._unavailable(last) from None

    def _failed(self, link: Link, error: BaseException, *, begin: bool = False) -> bool:
        """Clean up after an error; return if another attempt makes sense, else raise.

        :returns: whether the connection was lost.
        """
        dialect = self._engine.dialect  # type: ignore[union-attr]
        driver = dialect.dbapi
        if isinstance(error, driver.Error) and dialect.is_disconnect(
                error, link.raw, link.cursor):
            self._drop(link)
            self._drop_idle()
            return True
        if isinstance(error, (contract.Error, driver.Error, UnicodeError, TypeError)):
            try:
                if begin:
                    link.execute('ROLLBACK')
            except Exception:
                # MariaDB and SQLite may have rolled back already; whoever cannot is given up
                self._drop(link)
            else:
                self._give(link)
        else:
            self._drop(link)            # interrupted: nobody knows in what state it is
        if isinstance(error, (UnicodeError, driver.DataError)):
            raise contract.Invalid('the database cannot keep this value') from error
        if isinstance(error, driver.IntegrityError):
            raise Refused('the database has another such record') from error
        if not isinstance(error, driver.Error):
            raise error
        if self.dialect.code(error) in self.dialect.RETRY:
            return False
        LOG.error('the database refuses a statement', exc_info=error)
        raise contract.Unavailable('the database refuses what we ask of it') from None

    def _unavailable(self, error: BaseException) -> contract.Unavailable:
        first, *_ = str(error).splitlines() or ['']
        LOG.error('the database does not answer: %s: %s', type(error).__name__, first)
        return contract.Unavailable('the database does not answer')

    # --- connections

    @contextlib.contextmanager
    def connection(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """A connection of SQLAlchemy's for rare work, in a transaction of its own."""
        if in_memory(self.url):
            with self._borrowed() as connection:
                yield connection
            return
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        if self.url.get_backend_name() == 'sqlite':
            begin = self.dialect.BEGIN if write else 'BEGIN'

            @sa.event.listens_for(engine, 'connect')
            def by_hand(raw, record):
                raw.isolation_level = None
                raw.execute('PRAGMA busy_timeout = 60000')

            @sa.event.listens_for(engine, 'begin')
            def begun(connection):
                connection.exec_driver_sql(begin)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[sa.Connection]:
        """The one connection of a database in memory."""
        link = self._take()
        try:
            with self._started().connect() as connection:
                yield connection
        finally:
            self._give(link)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Failures of ``connection`` as errors of the contract."""
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InterfaceError, oslo_exception.DBConnectionError,
                OSError) as error:
            raise self._unavailable(error) from None

    def server(self) -> str:
        """Name and version of the database."""
        def ask(link: Link) -> Any:
            return link.execute(
                'SELECT sqlite_version()' if self.url.get_backend_name() == 'sqlite'
                else 'SELECT version()').fetchone()[0]
        answer = str(self._repeat(ask, begin=False))
        name = self.dialect.server(answer)
        return answer if answer.startswith(name) else f'{name} {answer}'

    def _take(self) -> Link:
        if self._pid != os.getpid():
            self._after_fork()
        if not self._free.acquire(timeout=self._options.pool_timeout or 30):
            raise contract.Unavailable('all connections to the database are busy')
        try:
            now = time.monotonic()
            while self._idle:
                try:
                    link = self._idle.pop()
                except IndexError:      # somebody was faster
                    break
                if self._lives(link, now):
                    link.used = now
                    return link
                link.connection.invalidate()
            return self._open()
        except BaseException:
            self._free.release()
            raise

    def _lives(self, link: Link, now: float) -> bool:
        if now - link.used < TRUSTED:
            return True
        if now - link.born > self._options.connection_recycle_time > 0:
            return False
        try:
            return bool(self._engine.dialect.do_ping(link.raw))  # type: ignore[union-attr]
        except Exception:
            return False

    def _open(self) -> Link:
        try:
            connection = self._started().raw_connection()
            raw = connection.driver_connection
            if self.url.get_backend_name() != 'sqlite':      # there oslo.db has seen to it
                self._engine.dialect.set_isolation_level(raw, 'AUTOCOMMIT')  # type: ignore
            link = Link(connection)
            for statement in self.dialect.HELLO:
                link.execute(statement)
        except Exception as error:      # drivers, oslo.db and the system have many for this
            raise self._unavailable(error) from None
        return link

    def _started(self) -> sa.Engine:
        if self._engine is None:
            with self._starting:
                if self._engine is None:
                    facade = enginefacade.transaction_context()
                    facade.configure(
                        connection=self.url.render_as_string(hide_password=False),
                        sqlite_fk=True, max_retries=0, thread_checkin=False,
                        **{name: self._options[name] for name in _OPTIONS})
                    self._engine = facade.writer.get_engine()
        return self._engine

    def _give(self, link: Link) -> None:
        if len(self._idle) < self._keep:
            self._idle.append(link)
        else:
            link.connection.close()
        self._free.release()

    def _drop(self, link: Link) -> None:
        with contextlib.suppress(Exception):
            link.connection.invalidate()
        self._free.release()

    def _drop_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().connection.invalidate()

    def _after_fork(self) -> None:
        """The connections are the parent's; closing them here would end them there."""
        with self._starting:
            if self._pid != os.getpid():
                self._inherited = (self._idle, self._engine)    # never collected, so not closed
                self._idle = collections.deque()
                self._free = threading.Semaphore(self._limit)
                self._engine = None
                self._pid = os.getpid()

    def close(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().connection.close()
        if self._engine is not None:
            self._engine.dispose()
