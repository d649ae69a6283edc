"""``glancelite-manage db``: the version of the database schema."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from oslo_config import cfg

from glancelite import assembly, loader
from glancelite.cmd.manage.core import add_timeout
from glancelite.contract import Database
from glancelite.time_limit import Call

T = TypeVar('T')


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser('db', help='Manage the database schema.')
    steps = parser.add_subparsers(dest='step', required=True)
    for name, run, text in (
            ('sync', sync, 'Upgrade the schema to this version.'),
            ('version', version, 'Print the version of the schema.'),
            ('check', check, 'Exit with 0 if the schema is up to date, otherwise with 3.')):
        step = steps.add_parser(name, help=text)
        add_timeout(step)
        step.set_defaults(run=run)


def sync(conf: cfg.ConfigOpts) -> int:
    with _database(conf) as database:
        _ask(conf, database.version)    # it answers; the work may take longer
        print(database.sync())
    return 0


def version(conf: cfg.ConfigOpts) -> int:
    with _database(conf) as database:
        print(_ask(conf, database.version) or 'none yet; run: glancelite-manage db sync')
    return 0


def check(conf: cfg.ConfigOpts) -> int:
    with _database(conf) as database:
        behind = _ask(conf, database.behind)
    print('not up to date; run: glancelite-manage db sync' if behind else 'up to date')
    return 3 if behind else 0


def _ask(conf: cfg.ConfigOpts, ask: Callable[[], T]) -> T:
    return Call(ask).result('the database did not answer', conf.verb.timeout)


@contextlib.contextmanager
def _database(conf: cfg.ConfigOpts) -> Iterator[Database]:
    """The configured database plugin alone, without the rest of the service."""
    database = loader.load(conf, assembly.ServiceHost(), 'database', conf.layers.database)
    assert isinstance(database, Database)
    with contextlib.closing(database):
        yield database
