"""``glancelite-manage check``: builds the service and checks every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from oslo_config import cfg

from glancelite import assembly, config, contract
from glancelite.cmd.manage.core import health, service
from glancelite.contract import Database, Misconfigured


def add_parser(subparsers: Any) -> None:
    subparsers.add_parser(
        'check', help='Load all plugins and check every backend; exit with 1 if a check '
                      'fails.').set_defaults(run=run)


def run(conf: cfg.ConfigOpts) -> int:
    """Print one line per check; returns 1 if one failed."""
    failed = False
    try:
        with service(conf) as core:
            for subject, check in _checks(core):
                passed, text = health(check)
                failed |= not passed
                print(f'{"ok  " if passed else "FAIL"}  {subject}: {text}')
            for name in config.unused(conf):
                print(f'note  not used by glancelite: {name}')
    except (Misconfigured, contract.Error) as error:
        print(f'FAIL  configuration: {error}')
        return 1
    return 1 if failed else 0


def _checks(core: assembly.Core) -> Iterator[tuple[str, Callable[[], str]]]:
    for plugin in core.plugins:
        yield f'{plugin.LAYER} {plugin.name}', plugin.health
    for store in core.layers.stores.not_built:
        yield f'store {store.name}', store.health
    yield 'database schema', lambda: _up_to_date(core.layers.database)


def _up_to_date(database: Database) -> str:
    if database.behind():
        raise Misconfigured('not up to date; run: glancelite-manage db sync')
    return 'up to date'
