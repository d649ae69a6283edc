"""The differences between PostgreSQL, SQLite and MariaDB/MySQL."""

from __future__ import annotations

import datetime
import functools
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from glancelite import contract
from glancelite.plugins.database.sql import collation

UTC = datetime.UTC
#: characters of a property's value in the index on PostgreSQL, which limits their length
INDEXED_LENGTH: Any = sa.literal_column('128')
#: seconds between two statements of a transaction, after which the server undoes it: a process
#: that is frozen must not keep its locks, or no other could continue its work
IDLE = 10
_MICROSECONDS: Any = sa.bindparam('microseconds', type_=sa.BigInteger())


class Dialect:
    """The common base; each database has a subclass.

    :ivar microseconds: times are stored with microseconds.
    """

    BEGIN = 'BEGIN'
    #: begin a transaction whose statements see the records of one moment
    SNAPSHOT: tuple[str, ...] = ('BEGIN',)
    #: connections lead to a server, which may fall silent
    IS_SERVER = True
    #: codes of errors caused by concurrent transactions: a retry may succeed
    RETRY: frozenset[Any] = frozenset()
    microseconds = True
    #: ``(a, b) < (x, y)`` uses an index on (a, b)
    row_values = True
    #: ORDER BY must state the position of NULL for every column.  The indexes for listings
    #: have this order; Glance's index on the time alone has not, so the planner avoids it
    #: (it would pass by the images of all other projects).
    explicit_null_order = False
    #: ``Connection.execute_many`` sends rows one by one; ``given_rows`` sends them at once
    one_by_one = False
    #: ``octets`` copies the text, which ``length``, the number of its characters, does not
    octets_are_costly = False
    array: Any = sa.func.json_array
    list_of: Any = sa.func.json_group_array
    object_of: Any = sa.func.json_group_object
    insert: Callable[..., Any] = staticmethod(sa.insert)

    def session_setup(self, seconds: int) -> tuple[str, ...]:
        """Return statements for each new connection.

        :param seconds: how long a statement may wait.
        """
        return ()

    def descriptor(self, raw: Any) -> int:
        """Return the descriptor of the socket of a connection."""
        return int(raw.fileno())

    def prepare(self, raw: Any) -> None:
        """Set up a new connection of the driver."""

    def storable(self, text: str) -> bool:
        """Return whether the database can store this text."""
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
        return True

    def bind_time(self, time: datetime.datetime | None) -> Any:
        return time and time.astimezone(UTC).replace(tzinfo=None)

    def parse_time(self, time: Any) -> datetime.datetime | None:
        return time and time.replace(tzinfo=UTC)

    def truncate(self, time: datetime.datetime) -> datetime.datetime:
        """Return ``time`` with the precision of the database."""
        return time if self.microseconds else time.replace(microsecond=0)

    def lease_clock(self, *, later: bool = False) -> Any:
        """Return the time by the clock with which leases of tasks are measured.

        :param later: the time in ``microseconds``, a parameter.
        """
        # one host has one clock
        return sa.bindparam('until' if later else 'now', type_=sa.DateTime())

    def error_code(self, error: BaseException) -> Any:
        """Return the database's code of an error."""
        return error.args[0] if error.args else None

    def text(self, expression: Any) -> Any:
        """Return an expression that orders and compares text by code point."""
        return expression

    def sortable(self, column: Any) -> Any:
        """Return ``column`` in the form of the indexes for listings, for ORDER BY."""
        return self.text(column) if isinstance(column.type, sa.String) else column

    def property_value(self, column: Any, value: Any) -> Any:
        """Compare, in a form that can use the index on values of properties."""
        return column == value

    def live(self, table: sa.Table) -> Any:
        """Match rows of a dependent table that are not marked as deleted."""
        return table.c.deleted == sa.false()

    def found_by_id(self, column: Any) -> Any:
        """Return a column of ``images`` in a condition on rows that are found by their id.

        It has a form for which the planner uses no other index.
        """
        return column

    def json(self, expression: Any) -> Any:
        """Return a JSON expression as text."""
        return expression

    def octets(self, text: Any) -> Any:
        """Return the number of bytes of a text."""
        return sa.func.octet_length(text)

    def upsert(self, table: sa.Table, values: dict[str, Any], keys: list[str],
               changed: list[str]) -> Any:
        """Insert, or update the columns ``changed`` if a row has the same ``keys``."""
        statement = self.insert(table).values(values)
        return statement.on_conflict_do_update(
            index_elements=keys, set_={name: statement.excluded[name] for name in changed})

    def given_rows(self, names: Iterable[str]) -> Any:
        """Return a table of texts with these columns: the JSON list in the parameter ``rows``."""
        raise NotImplementedError

    def only_writer(self, table: sa.Table) -> str:
        """Return a statement that makes the transaction the only one that writes to a table.

        It is '' where transactions that wait for each other are found at once, and retried.
        """
        return ''

    def server_name(self, version: str) -> str:
        """Return the name of the server that reports ``version``."""
        return type(self).__name__

    def inspect_tables(self, rows: Callable[[str], Any]) -> None:
        """Set what depends on how the tables were created.

        :param rows: executes a query and returns all rows.
        :raises Unavailable: the tables cannot be used like this.
        """


@functools.cache
def _one_by_one(cursor: Any) -> Any:
    """Return this class of cursors, with an ``executemany`` that uses no pipeline.

    The server does not count a client that is frozen in the middle of a pipeline as idle:
    it would keep the locks of the transaction for as long.
    """
    def executemany(self: Any, sql: str, parameters: Iterable[Any]) -> None:
        for each in parameters:
            self.execute(sql, each)

    return type(cursor.__name__, (cursor,), {'executemany': executemany})


class PostgreSQL(Dialect):
    SNAPSHOT = ('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY',)
    #: serialization failure, deadlock
    RETRY = frozenset({'40001', '40P01'})
    explicit_null_order = True
    one_by_one = True
    array = sa.func.json_build_array
    list_of = sa.func.json_agg
    object_of = sa.func.json_object_agg
    insert = staticmethod(postgresql.insert)

    def session_setup(self, seconds: int) -> tuple[str, ...]:
        # the server would go on with a statement that the client has given up
        return (f'SET statement_timeout = {seconds}000',
                f'SET idle_in_transaction_session_timeout = {min(seconds, IDLE)}000')

    def prepare(self, raw: Any) -> None:
        raw.cursor_factory = _one_by_one(raw.cursor_factory)

    def found_by_id(self, column: Any) -> Any:
        # the cast keeps the planner from the index on the visibility
        return sa.cast(column, sa.Text) if column.name == 'visibility' else column

    def storable(self, text: str) -> bool:
        return '\0' not in text and super().storable(text)

    def lease_clock(self, *, later: bool = False) -> Any:
        # statement_timestamp() would be too early after a wait for a lock
        now = sa.func.timezone('utc', sa.func.clock_timestamp(), type_=sa.DateTime())
        second: Any = sa.literal_column("interval '1 microsecond'")
        return now + _MICROSECONDS * second if later else now

    def given_rows(self, names: Iterable[str]) -> Any:
        rows = sa.cast(sa.bindparam('rows', type_=sa.Text()), postgresql.JSON)
        return sa.func.json_to_recordset(rows).table_valued(
            *(sa.column(name, sa.Text()) for name in names), name='given',
        ).render_derived(with_types=True)

    def only_writer(self, table: sa.Table) -> str:
        # the server looks for a deadlock after a second
        return f'LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE'

    def error_code(self, error: BaseException) -> Any:
        return getattr(error, 'sqlstate', None)

    def text(self, expression: Any) -> Any:
        return expression.collate('C')

    def property_value(self, column: Any, value: Any) -> Any:
        return sa.and_(
            sa.func.left(column, INDEXED_LENGTH) == sa.func.left(value, INDEXED_LENGTH),
            column == value)

    def json(self, expression: Any) -> Any:
        return sa.cast(expression, sa.Text)


class SQLite(Dialect):
    IS_SERVER = False
    # with BEGIN, two transactions that read and then write could not upgrade their locks
    BEGIN = 'BEGIN IMMEDIATE'
    RETRY = frozenset({'database is locked', 'database table is locked'})
    octets_are_costly = sqlite3.sqlite_version_info < (3, 43)
    insert = staticmethod(sqlite.insert)

    def session_setup(self, seconds: int) -> tuple[str, ...]:
        # Readers never wait in WAL mode.  Each commit is synced to disk (unless [database]
        # sqlite_synchronous is off): if a power failure undid a deletion, the image would be
        # back without its data.
        return 'PRAGMA journal_mode = WAL', f'PRAGMA busy_timeout = {seconds}000'

    def live(self, table: sa.Table) -> Any:
        # the plus keeps SQLite from Glance's index on this column, which is not selective
        return sa.literal_column(f'+{table.name}.deleted') == sa.literal_column('0')

    def found_by_id(self, column: Any) -> Any:
        return sa.literal_column(f'+{column.table.name}.{column.name}', column.type)

    def octets(self, text: Any) -> Any:
        if self.octets_are_costly:
            return sa.func.length(sa.cast(text, sa.LargeBinary))
        return sa.func.octet_length(text)

    def bind_time(self, time: datetime.datetime | None) -> Any:
        return time and time.astimezone(UTC).replace(tzinfo=None).isoformat(
            ' ', 'microseconds')

    def parse_time(self, time: Any) -> datetime.datetime | None:
        return time and datetime.datetime.fromisoformat(time).replace(tzinfo=UTC)


class MySQL(Dialect):
    """MariaDB and MySQL."""

    SNAPSHOT = ('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION READ ONLY')
    #: lock wait timeout, deadlock, and a conflict that Galera detects at the commit
    RETRY = frozenset({1205, 1213, 1020})
    row_values = False
    list_of = sa.func.json_arrayagg
    object_of = sa.func.json_objectagg
    insert = staticmethod(mysql.insert)

    def session_setup(self, seconds: int) -> tuple[str, ...]:
        # JSON_ARRAYAGG of MariaDB truncates its result to the first length.  The server would
        # go on with a statement that the client has given up; MySQL, for which the ends are
        # comments, can limit the waits for locks only.
        return ('SET SESSION group_concat_max_len = 1073741824,'
                f' innodb_lock_wait_timeout = {seconds}'
                f' /*M!100108 , max_statement_time = {seconds} */'
                f' /*M!100300 , idle_transaction_timeout = {min(seconds, IDLE)} */',)

    def descriptor(self, raw: Any) -> int:
        return int(raw._sock.fileno())

    def prepare(self, raw: Any) -> None:
        # PyMySQL limits the handshake with the same option as statements, which have a limit
        # of their own
        raw._read_timeout = raw._write_timeout = None

    def lease_clock(self, *, later: bool = False) -> Any:
        now = sa.func.utc_timestamp(sa.literal_column('6'), type_=sa.DateTime())
        return sa.func.timestampadd(sa.literal_column('microsecond'), _MICROSECONDS, now,
                                    type_=sa.DateTime()) if later else now

    def upsert(self, table: sa.Table, values: dict[str, Any], keys: list[str],
               changed: list[str]) -> Any:
        statement = self.insert(table).values(values)
        return statement.on_duplicate_key_update(
            {name: statement.inserted[name] for name in changed})

    def server_name(self, version: str) -> str:
        return 'MariaDB' if 'MariaDB' in version else 'MySQL'

    def inspect_tables(self, rows: Callable[[str], Any]) -> None:
        if inexact := collation.inexact_tables(rows):
            raise contract.Unavailable(
                f'the texts in {", ".join(inexact)} are compared without case, so records could '
                'get lost; run: glancelite-manage db sync')
        for precision, in rows(
                'SELECT datetime_precision FROM information_schema.columns'
                " WHERE table_schema = DATABASE() AND table_name = 'images'"
                " AND column_name = 'created_at'"):
            self.microseconds = precision == 6


DIALECTS: dict[str, type[Dialect]] = {
    'postgresql': PostgreSQL, 'sqlite': SQLite, 'mysql': MySQL, 'mariadb': MySQL}
