"""``glancelite-manage db``: the version of the database schema; see ``metadefs`` for the rest."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from glancelite.cmd.manage import metadefs
from glancelite.cmd.manage.core import add_timeout, ask, open_database


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        'db', help='Manage the database schema and metadata definitions.')
    steps = parser.add_subparsers(dest='step', required=True)
    for name, run, text in (
            ('sync', sync, 'Upgrade the schema to this version.'),
            ('version', version, 'Print the version of the schema.'),
            ('check', check, 'Exit with 0 if the schema is up to date, otherwise with 3.')):
        step = steps.add_parser(name, help=text)
        add_timeout(step)
        step.set_defaults(run=run)
    metadefs.add_steps(steps)


def sync(conf: cfg.ConfigOpts) -> int:
    with open_database(conf) as database:
        ask(conf, database.version)    # it answers; the work may take longer
        print(database.sync())
    return 0


def version(conf: cfg.ConfigOpts) -> int:
    with open_database(conf) as database:
        print(ask(conf, database.version) or 'none yet; run: glancelite-manage db sync')
    return 0


def check(conf: cfg.ConfigOpts) -> int:
    with open_database(conf) as database:
        behind = ask(conf, database.behind)
    print('not up to date; run: glancelite-manage db sync' if behind else 'up to date')
    return 3 if behind else 0
