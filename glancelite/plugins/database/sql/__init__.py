"""The database ``sql``: PostgreSQL, MariaDB/MySQL or SQLite, with the tables of Glance."""

from __future__ import annotations

import time
from typing import Any

from oslo_config import cfg
from oslo_db import options as oslo_options

from glancelite import contract
from glancelite.plugins.database.sql.engine import Engine
from glancelite.plugins.database.sql.images import SQLImages
from glancelite.plugins.database.sql.members import SQLMembers
from glancelite.plugins.database.sql.metadefs import SQLMetadefs
from glancelite.plugins.database.sql.schema import Schema
from glancelite.plugins.database.sql.tasks import SQLTasks
from glancelite.plugins.database.sql.urls import is_in_memory


def _register(conf: Any) -> None:
    """Register the options of oslo.db, in its own section ``[database]``."""
    conf.register_opts(oslo_options.database_opts, 'database')


class SQLDatabase(contract.Database):

    SECTION = 'database'
    OPTS = (
        cfg.IntOpt('connect_timeout', default=5, min=1,
                   help='Seconds to wait for a new connection to the database.'),
        cfg.IntOpt('statement_timeout', default=30, min=1,
                   help='Seconds that a statement may take, waits for locks included. '
                        'Requests end with 503 after that time; earlier, if the database does '
                        'not answer new connections either.'),
    )
    LIBRARY_OPTS = (_register,)

    def __init__(self, options: Any, host: contract.Host, **kwargs: Any):
        super().__init__(options, host, **kwargs)
        self._engine = Engine(self.conf.database, self.options)
        self._schema = Schema(self._engine)
        self._images = SQLImages(self._engine, host)
        self._members = SQLMembers(self._engine, host)
        self._tasks = SQLTasks(self._engine, self._images, host)
        self._metadefs = SQLMetadefs(self._engine, host)
        self.VOLATILE = is_in_memory(self._engine.url)  # type: ignore[misc]
        if self.VOLATILE:
            self.sync()         # no other process can do it

    @property
    def images(self) -> SQLImages:
        return self._images

    @property
    def members(self) -> SQLMembers:
        return self._members

    @property
    def tasks(self) -> SQLTasks:
        return self._tasks

    @property
    def metadefs(self) -> SQLMetadefs:
        return self._metadefs

    def sync(self) -> str:
        return self._schema.sync()

    def version(self) -> str:
        return self._schema.version()

    def behind(self) -> bool:
        return self._schema.behind()

    def wait(self) -> None:
        settings = self.conf.database
        retries = settings.max_retries
        while True:
            try:
                self._schema.version()
                return
            except contract.Unavailable:
                if retries == 0:
                    raise
                retries -= 1
                time.sleep(settings.retry_interval)

    def health(self) -> str:
        return self._engine.server_version()

    def close(self) -> None:
        self._engine.close()
