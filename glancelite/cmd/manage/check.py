"""``glancelite-manage check``: builds the service and checks every backend."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any

from oslo_config import cfg

from glancelite import assembly, config, contract, loader
from glancelite.cmd import checks
from glancelite.cmd.manage.core import add_timeout, distinct_plugins, service_for_checks
from glancelite.contract import Database, Misconfigured
from glancelite.services.imports import lacks_token

#: exit code of ``--strict`` if all checks pass, but something is missing
MISSING = 3


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        'check', help='Load all plugins and check every backend; exit with 1 if a check '
                      'fails.')
    add_timeout(parser)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument('--wsgi', action='store_true',
                       help='Leave out the checks of bind_host, workers and cert_file, which '
                            'glancelite-api alone uses.')
    kinds.add_argument('--worker', action='store_true', dest='as_worker',
                       help='Check what glancelite-worker needs on this node, instead of '
                            'glancelite-api.')
    parser.add_argument('--strict', action='store_true',
                        help=f'Exit with {MISSING} if the configuration asks for something that '
                             'is missing here.')
    parser.set_defaults(run=run)


def run(conf: cfg.ConfigOpts) -> int:
    """Print one line per check; returns 1 if one failed."""
    failed = 0
    seconds = conf.verb.timeout
    until = time.monotonic() + seconds
    upgrades = conf.layers.sync_database
    try:
        with service_for_checks(conf, until) as core:
            elsewhere = _elsewhere(conf, core)
            for subject, passed, text in checks.run(conf, seconds, until,
                                                    _checks(conf, core, upgrades)):
                if not passed and subject in elsewhere:
                    print(f'note  workers need {subject}, which fails on this node: {text}')
                    continue
                failed += not passed
                print(f'{"ok  " if passed else "FAIL"}  {subject}: {text}', flush=True)
            missing = list(config.missing(conf))
            for text in (*missing, *_of_imports(conf, core, seconds, until),
                         *assembly.notices(conf), *config.notices(conf),
                         *(f'not used by glancelite: {name}' for name in config.unused(conf))):
                print(f'note  {text}')
    except (Misconfigured, contract.Error) as error:
        print(f'FAIL  configuration: {loader.without_secrets(conf, loader.one_line(error))}')
        return 1
    if missing:
        print(f'note  options that ask for what is missing here: {len(missing)}')
    if failed:
        return 1
    return MISSING if missing and conf.verb.strict else 0


def _checks(conf: cfg.ConfigOpts, core: assembly.Core,
            upgrades: bool) -> Iterator[checks.Check]:
    if conf.verb.as_worker:
        yield 'worker', lambda: _as_worker(core)
        yield from checks.of_files(core)
    elif not conf.verb.wsgi:
        yield 'address', lambda: _address(conf, is_open=core.authenticator.OPEN)
        yield 'processes', lambda: checks.workers(conf, core)
        yield 'TLS', lambda: checks.tls(conf)
    for plugin in distinct_plugins(core):
        yield f'{plugin.LAYER} {plugin.name}', plugin.health
    for store in core.layers.stores.not_built:
        yield f'store {store.name}', store.health
    yield 'database schema', lambda: _up_to_date(core.layers.database, upgrades)


def _elsewhere(conf: cfg.ConfigOpts, core: assembly.Core) -> Collection[str]:
    """The subjects of checks that may fail here, since workers alone run imports."""
    if conf.verb.as_worker or not core.layers.executor.RUNS_ELSEWHERE:
        return ()
    return {f'{plugin.LAYER} {plugin.name}' for plugin in distinct_plugins(core)
            if plugin.LAYER in ('importer', 'step')}


def _as_worker(core: assembly.Core) -> str:
    checks.runs_tasks(core)
    return f'runs tasks with the executor {core.layers.executor.name}'


def _of_imports(conf: cfg.ConfigOpts, core: assembly.Core, seconds: float,
                until: float) -> Iterator[str]:
    """What users would miss who import images."""
    for name, importer in core.layers.importers.items():
        if lacks_token(core.layers, importer):
            yield (f'{name} is not offered: it needs the token of the caller, and the executor '
                   f'{core.layers.executor.name} runs imports in other processes; use the '
                   'executor threads, or another import method')
    staging: list[checks.Check] = [('staging', lambda: _staging(core))]
    if conf.verb.as_worker or not any(each.STAGES for each in core.layers.importers.values()):
        staging.clear()
    for subject, passed, text in checks.run(
            conf, seconds, until, [*staging, ('tasks', lambda: _waiting(core))]):
        if subject == 'staging' and not passed:
            yield f'imports that stage data are not offered: {text}'
        # if the database does not answer, its own checks say why
        if subject == 'tasks' and passed and text:
            yield text


def _staging(core: assembly.Core) -> str:
    core.use_cases.imports.check_staging()
    return ''


def _waiting(core: assembly.Core) -> str:
    """Return how many tasks wait; '' for none, also if the database has no tasks yet."""
    waiting = [] if core.layers.database.behind() else [
        task.created_at for task in core.use_cases.work.waiting() if task.created_at]
    if not waiting:
        return ''
    return (f'{len(waiting)} tasks wait for a process that runs them; the oldest was created '
            f'at {min(waiting):%Y-%m-%d %H:%M:%S} UTC')


def _address(conf: cfg.ConfigOpts, *, is_open: bool) -> str:
    text = checks.address(conf, is_open=is_open)
    checks.can_listen(conf)
    return text


def _up_to_date(database: Database, upgrades: bool) -> str:
    if not database.behind():
        return 'up to date'
    if upgrades:
        return 'not up to date; the start upgrades it ([layers] sync_database)'
    raise Misconfigured('not up to date; run: glancelite-manage db sync')
