"""Creates and upgrades the tables, and reports their version."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from glancelite import contract
from glancelite.plugins.database.sql.engine import Engine

#: our own sequence of revisions; that of Glance is in ``alembic_version``
VERSION_TABLE = 'glancelite_version'
#: key of the database lock that concurrent calls of ``sync`` wait for; any constant
LOCK = 7_276_551


class Schema:

    def __init__(self, engine: Engine):
        self._engine = engine

    def sync(self) -> str:
        """Create the tables, or add what is missing to those of Glance.

        Of two concurrent calls, the second waits and then finds nothing to do.

        :raises Misconfigured: the tables are those of an older Glance.
        """
        config = self._config()
        head = ScriptDirectory.from_config(config).get_current_head()
        with self._locked_connection() as connection:
            before = self._revision(connection)
            config.attributes['connection'] = connection
            if before != head:
                command.upgrade(config, 'head')
        self._engine.tables_changed()
        if before == head:
            return f'the database is at {head} already'
        return f'the database was upgraded to {head}' + (f' from {before}' if before else '')

    def version(self) -> str:
        with self._engine.translate_errors(), self._engine.sqlalchemy_connection() as connection:
            return self._revision(connection)

    def behind(self) -> bool:
        """Return whether ``sync`` is needed; an unknown revision is that of a newer release."""
        script = ScriptDirectory.from_config(self._config())
        known = [revision.revision for revision in script.walk_revisions()]
        present = self.version()
        return not present or (present in known and present != script.get_current_head())

    def _revision(self, connection: sa.Connection) -> str:
        return MigrationContext.configure(
            connection, opts={'version_table': VERSION_TABLE}).get_current_revision() or ''

    def _config(self) -> Config:
        config = Config()
        config.set_main_option(
            'script_location', str(pathlib.Path(__file__).with_name('migrations')))
        config.set_main_option('path_separator', 'os')
        return config

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


