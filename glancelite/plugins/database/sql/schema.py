"""Creates and upgrades the tables, and reports their version."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import sqlalchemy as sa

from glancelite import contract
from glancelite.plugins.database.sql import collation
from glancelite.plugins.database.sql.engine import Engine

#: our own sequence of revisions; that of Glance is in ``alembic_version``
VERSION_TABLE = 'glancelite_version'
MIGRATIONS = pathlib.Path(__file__).with_name('migrations')
#: key of the database lock that concurrent calls of ``sync`` wait for; any constant
LOCK = 7_276_551


class Schema:

    def __init__(self, engine: Engine):
        self._engine = engine

    def sync(self) -> str:
        """Create the tables, or change those of Glance, which can still use them.

        Of two concurrent calls, the second waits and then finds nothing to do.

        :raises Misconfigured: the tables are those of an older Glance.
        """
        # imported now, because it is slow, and starting the service does not need it
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option('script_location', str(MIGRATIONS))
        config.set_main_option('path_separator', 'os')
        head = revisions()[-1]
        with self._locked_connection() as connection:
            before = self._revision(connection)
            config.attributes['connection'] = connection
            if before != head:
                command.upgrade(config, 'head')
            converted = collation.convert(connection)
        self._engine.tables_changed()
        if before == head:
            done = f'the database is at {head} already'
        else:
            done = f'the database was upgraded to {head}' + (f' from {before}' if before else '')
        return done + (f'; texts are compared exactly now, in {", ".join(converted)}'
                       if converted else '')

    def version(self) -> str:
        with self._engine.translate_errors(), self._engine.sqlalchemy_connection() as connection:
            return self._revision(connection)

    def behind(self) -> bool:
        """Return whether ``sync`` is needed; an unknown revision is that of a newer release."""
        with self._engine.translate_errors(), self._engine.sqlalchemy_connection() as connection:
            present = self._revision(connection)
            return (not present or present in revisions()[:-1]
                    or bool(collation.inexact_tables_of(connection)))

    def _revision(self, connection: sa.Connection) -> str:
        if not sa.inspect(connection).has_table(VERSION_TABLE):
            return ''
        table = sa.table(VERSION_TABLE, sa.column('version_num', sa.String))
        return connection.scalar(sa.select(table.c.version_num)) or ''

    @contextlib.contextmanager
    def _locked_connection(self) -> Iterator[sa.Connection]:
        """Open a connection that holds the lock for changing the tables."""
        with (self._engine.translate_errors(),
              self._engine.sqlalchemy_connection(write=True) as connection):
            backend = connection.dialect.name
            try:
                if backend == 'postgresql':
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                elif backend in ('mysql', 'mariadb'):
                    acquired = connection.execute(
                        sa.select(sa.func.get_lock(f'glancelite-{LOCK}', 600))).scalar()
                    if not acquired:
                        raise contract.Unavailable(
                            'another process has been changing the tables for ten minutes')
                yield connection
                connection.commit()
            finally:
                if backend in ('mysql', 'mariadb'):
                    connection.execute(sa.select(sa.func.release_lock(f'glancelite-{LOCK}')))


def revisions() -> list[str]:
    """Return the names of all revisions, oldest first: the files are numbered."""
    return sorted(path.stem.partition('_')[0]
                  for path in (MIGRATIONS / 'versions').glob('expand*.py'))
