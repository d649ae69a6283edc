"""The form of the tables: bring it up to date, say where it stands."""

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

#: our own line of revisions, beside that of Glance in ``alembic_version``
VERSION_TABLE = 'glancelite_version'
#: what those who sync at the same time wait for; any number that is always the same
LOCK = 7_276_551


class Schema:

    def __init__(self, engine: Engine):
        self._engine = engine

    def sync(self) -> str:
        """Make the tables, or add what is missing to those of Glance.

        Two that do it at once: one waits, and finds it done.

        :raises Misconfigured: there are tables, but of an older Glance.
        """
        config = self._config()
        head = ScriptDirectory.from_config(config).get_current_head()
        with self._alone() as connection:
            before = self._revision(connection)
            config.attributes['connection'] = connection
            if before != head:
                command.upgrade(config, 'head')
        self._engine.forget()
        if before == head:
            return f'the database is at {head} already'
        return f'the database went from {before or "nothing of ours"} to {head}'

    def version(self) -> str:
        with self._engine.errors(), self._engine.connection() as connection:
            return self._revision(connection)

    def behind(self) -> bool:
        """A revision that we do not know is that of a newer release: it is ahead."""
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
    def _alone(self) -> Iterator[sa.Connection]:
        """A connection that nobody else migrates with."""
        with self._engine.errors(), self._engine.connection(write=True) as connection:
            backend = connection.dialect.name
            try:
                if backend == 'postgresql':
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                elif backend in ('mysql', 'mariadb'):
                    got = connection.execute(
                        sa.select(sa.func.get_lock(f'glancelite-{LOCK}', 600))).scalar()
                    if not got:
                        raise contract.Unavailable(
                            'somebody else has been changing the tables for ten minutes')
                yield connection
                connection.commit()
            finally:
                if backend in ('mysql', 'mariadb'):
                    connection.execute(sa.select(sa.func.release_lock(f'glancelite-{LOCK}')))


