"""``glancelite-manage db``: the version of the database schema."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from glancelite import assembly, loader
from glancelite.contract import Database


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser('db', help='Manage the database schema.')
    steps = parser.add_subparsers(dest='step', required=True)
    for name, run, text in (
            ('sync', sync, 'Upgrade the schema to this version.'),
            ('version', version, 'Print the version of the schema.'),
            ('check', check, 'Exit with 0 if the schema is up to date, otherwise with 3.')):
        steps.add_parser(name, help=text).set_defaults(run=run)


def sync(conf: cfg.ConfigOpts) -> int:
    with _database(conf) as database:
        print(database.sync())
    return 0


def version(conf: cfg.ConfigOpts) -> int:
    with _database(conf) as database:
        print(database.version() or 'none yet; run: glancelite-manage db sync')
    return 0


def check(conf: cfg.ConfigOpts) -> int:
    with _database(conf) as database:
        behind = database.behind()
    print('not up to date; run: glancelite-manage db sync' if behind else 'up to date')
    return 3 if behind else 0


@contextlib.contextmanager
def _database(conf: cfg.ConfigOpts) -> Iterator[Database]:
    """The configured database plugin alone, without the rest of the service."""
    database = loader.load(conf, assembly.ServiceHost(), 'database', conf.layers.database)
    assert isinstance(database, Database)
    with contextlib.closing(database):
        yield database
