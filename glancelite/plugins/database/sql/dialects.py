"""What PostgreSQL, SQLite and MariaDB/MySQL each say in their own way."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

UTC = datetime.UTC
#: characters of a property's value that the index on PostgreSQL holds; its rows are limited
INDEXED = sa.literal_column('128')


class Dialect:
    """The common ground; a subclass a database.

    ``exact``: text compares by code point without further words, and may be any; Glance's
    tables on MariaDB and MySQL mind neither case nor blanks, and have no four-byte characters.
    ``fine``: times are kept with microseconds.
    """

    BEGIN = 'BEGIN'
    #: statements for each new connection
    HELLO: tuple[str, ...] = ()
    #: error codes: somebody was in the way, the same again may do
    RETRY: frozenset[Any] = frozenset()
    exact = True
    fine = True
    #: ``(a, b) < (x, y)`` uses an index on (a, b)
    row_values = True
    #: said of every column: the indexes for listings are made in this order, and that of
    #: Glance on the time alone, which looks good to the planner until all that it passes
    #: by is somebody else's, is not
    nulls_need_words = False
    array = sa.func.json_array
    list_of = sa.func.json_group_array
    object_of = sa.func.json_group_object
    insert = staticmethod(sa.insert)

    def storable(self, text: str) -> bool:
        """Could this text be in the database at all?"""
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
        return True

    def time_in(self, time: datetime.datetime | None) -> Any:
        return time and time.astimezone(UTC).replace(tzinfo=None)

    def time_out(self, time: Any) -> datetime.datetime | None:
        return time and time.replace(tzinfo=UTC)

    def cut(self, time: datetime.datetime) -> datetime.datetime:
        """``time`` as it will come back."""
        return time if self.fine else time.replace(microsecond=0)

    def code(self, error: BaseException) -> Any:
        """The database's own number of an error."""
        return error.args[0] if error.args else None

    def text(self, expression: Any) -> Any:
        """An expression that orders text by code point."""
        return expression

    def sortable(self, column: Any) -> Any:
        """``column`` as the order of a listing and the indexes for it have it."""
        return self.text(column) if isinstance(column.type, sa.String) else column

    def equal(self, column: Any, value: Any) -> Any:
        """Exactly equal, with the help of an index on ``column``."""
        return column == value

    def within(self, column: Any, values: list[Any]) -> Any:
        """Exactly equal to one of them, likewise."""
        return column.in_(values)

    def property_value(self, column: Any, value: Any) -> Any:
        return self.equal(column, value)

    def live(self, table: sa.Table) -> Any:
        """Rows of what belongs to an image that are not marked as deleted."""
        return table.c.deleted == sa.false()

    def by_id(self, column: Any) -> Any:
        """A column of ``images`` in a condition, where the rows are to be found by their id."""
        return self.aside(column)

    def aside(self, column: Any) -> Any:
        """A column in a condition whose index is not the one to use."""
        return column

    def json(self, expression: Any) -> Any:
        """A JSON expression as the text that reaches Python."""
        return expression

    def upsert(self, table: sa.Table, values: dict[str, Any], keys: list[str],
               changed: list[str]) -> Any:
        """Insert, or write ``changed`` if ``keys`` are there already."""
        statement = self.insert(table).values(values)
        return statement.on_conflict_do_update(
            index_elements=keys, set_={name: statement.excluded[name] for name in changed})

    def server(self, version: str) -> str:
        """Name of the server that calls itself so."""
        return type(self).__name__

    def learn(self, rows: Any) -> None:
        """Find out what differs from one server to another."""


class PostgreSQL(Dialect):
    #: serialization failure, deadlock
    RETRY = frozenset({'40001', '40P01'})
    nulls_need_words = True
    array = sa.func.json_build_array
    list_of = sa.func.json_agg
    object_of = sa.func.json_object_agg
    insert = staticmethod(postgresql.insert)

    def by_id(self, column):
        # of no use for an index on it
        return sa.cast(column, sa.Text) if column.name == 'visibility' else column

    def storable(self, text):
        return '\0' not in text and super().storable(text)

    def code(self, error):
        return getattr(error, 'sqlstate', None)

    def text(self, expression):
        return expression.collate('C')

    def property_value(self, column, value):
        return sa.and_(sa.func.left(column, INDEXED) == sa.func.left(value, INDEXED),
                       column == value)

    def json(self, expression):
        return sa.cast(expression, sa.Text)


class SQLite(Dialect):
    # A reader never waits in WAL mode.  The full sync of each commit stays on (unless
    # [database] sqlite_synchronous is off): a removal that a power failure takes back
    # would leave an image whose bytes are gone.
    HELLO = ('PRAGMA journal_mode = WAL', 'PRAGMA busy_timeout = 30000')
    # not BEGIN: two that read first and write then would find each other in the way
    BEGIN = 'BEGIN IMMEDIATE'
    RETRY = frozenset({'database is locked', 'database table is locked'})
    insert = staticmethod(sqlite.insert)

    def live(self, table):
        # the plus keeps SQLite from Glance's index on this column, which has half the table
        return sa.literal_column(f'+{table.name}.deleted') == sa.literal_column('0')

    def aside(self, column):
        return sa.literal_column(f'+{column.table.name}.{column.name}', column.type)

    def time_in(self, time):
        return time and time.astimezone(UTC).replace(tzinfo=None).isoformat(
            ' ', 'microseconds')

    def time_out(self, time):
        return time and datetime.datetime.fromisoformat(time).replace(tzinfo=UTC)


class MySQL(Dialect):
    """MariaDB and MySQL; tables that Glance has made compare text without case."""

    # JSON_ARRAYAGG of MariaDB cuts its result there
    HELLO = ('SET SESSION group_concat_max_len = 1073741824',)
    #: lock wait timeout, deadlock, and a conflict that Galera sees at the commit
    RETRY = frozenset({1205, 1213, 1020})
    row_values = False
    list_of = sa.func.json_arrayagg
    object_of = sa.func.json_objectagg
    insert = staticmethod(mysql.insert)

    def storable(self, text):
        return super().storable(text) and (self.exact or not text or max(text) <= '\uffff')

    def text(self, expression):
        return expression if self.exact else sa.cast(expression, sa.LargeBinary)

    def sortable(self, column):
        # an id is a UUID, and its index has the order of the table's collation
        return column if column.name == 'id' else super().sortable(column)

    def equal(self, column, value):
        if self.exact:
            return column == value
        return sa.and_(column == value, self.text(column) == self.text(value))

    def within(self, column, values):
        if self.exact:
            return column.in_(values)
        return sa.and_(column.in_(values),
                       self.text(column).in_([self.text(value) for value in values]))

    def upsert(self, table, values, keys, changed):
        statement = self.insert(table).values(values)
        return statement.on_duplicate_key_update(
            {name: statement.inserted[name] for name in changed})

    def server(self, version):
        return 'MariaDB' if 'MariaDB' in version else 'MySQL'

    def learn(self, rows):
        for precision, collation in rows(
                'SELECT c.datetime_precision, n.collation_name'
                ' FROM information_schema.columns c, information_schema.columns n'
                ' WHERE c.table_schema = DATABASE() AND n.table_schema = DATABASE()'
                " AND c.table_name = 'images' AND n.table_name = 'images'"
                " AND c.column_name = 'created_at' AND n.column_name = 'name'"):
            self.fine = precision == 6
            self.exact = collation in ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')


KINDS: dict[str, type[Dialect]] = {
    'postgresql': PostgreSQL, 'sqlite': SQLite, 'mysql': MySQL, 'mariadb': MySQL}
