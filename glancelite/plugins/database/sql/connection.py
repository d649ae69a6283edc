"""One connection to the database, and the statements that run on it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glancelite.plugins.database.sql.watch import Wait


class Statement:
    """A compiled statement in the form of the driver, with constant parameters."""

    __slots__ = ('_defaults', '_names', 'sql')

    def __init__(self, clause: Any, dialect: Any):
        compiled = clause.compile(dialect=dialect)
        self.sql = str(compiled)
        self._names = compiled.positiontup if compiled.positional else None
        self._defaults = {name: bind.effective_value for name, bind in compiled.binds.items()
                          if not bind.required}

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Return the parameters in the form of the driver."""
        if self._defaults:
            values = {**self._defaults, **values}
        if self._names is None:
            return values
        return tuple([values[name] for name in self._names])


class Connection:
    """One connection to the database.

    :ivar pooled: the connection of SQLAlchemy's pool.
    :ivar raw: the connection of the driver.
    :ivar wait: that of the thread that uses it, from the last statement on.
    """

    __slots__ = ('cursor', 'opened_at', 'pooled', 'raw', 'wait')

    def __init__(self, pooled: Any, wait: Wait):
        self.pooled = pooled
        self.raw = pooled.driver_connection
        self.cursor = self.raw.cursor()
        self.opened_at = time.monotonic()
        self.wait = wait

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        """Execute a statement; requests use this method and ``execute_many`` only."""
        self.wait.since = time.monotonic()
        self.cursor.execute(sql, parameters)
        return self.cursor

    def execute_many(self, sql: str, parameters: list[Any]) -> None:
        self.wait.since = time.monotonic()
        self.cursor.executemany(sql, parameters)

    def rows(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Any]:
        return self.execute(statement.sql, statement.bind(values)).fetchall()

    def run(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """:returns: the number of rows affected."""
        return self.execute(statement.sql, statement.bind(values)).rowcount

    def run_each(self, statement: Statement, values: Iterable[Mapping[str, Any]]) -> None:
        """Run the statement with each of ``values``."""
        bound = [statement.bind(row) for row in values]
        if len(bound) == 1:
            self.execute(statement.sql, bound[0])
        elif bound:
            self.execute_many(statement.sql, bound)
