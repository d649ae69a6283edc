"""What several commands need: the built service, and the health of its plugins."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from oslo_config import cfg

from glancelite import assembly, contract, loader
from glancelite.cmd import checks
from glancelite.time_limit import Call

#: seconds for which a command waits for the backends
TIMEOUT = 10.0
T = TypeVar('T')


@contextlib.contextmanager
def service(conf: cfg.ConfigOpts) -> Iterator[assembly.Core]:
    """The built service; closed at the end of the block.

    :raises Misconfigured: the schema of the database is not up to date.
    """
    core = assembly.build(conf)
    try:
        checks.check_schema(core)
        yield core
    finally:
        core.close()


@contextlib.contextmanager
def open_database(conf: cfg.ConfigOpts) -> Iterator[contract.Database]:
    """The configured database plugin alone, without the rest of the service."""
    database = loader.load(conf, assembly.ServiceHost(), 'database', conf.layers.database)
    assert isinstance(database, contract.Database)
    with contextlib.closing(database):
        yield database


def ask(conf: cfg.ConfigOpts, question: Callable[[], T]) -> T:
    """Ask the database, for as long as ``--timeout`` says."""
    return Call(question).result('the database did not answer', conf.verb.timeout)


def distinct_plugins(core: assembly.Core) -> Iterable[contract.Plugin]:
    """The plugins of the service; once each, though others may have loaded them as well."""
    found: dict[tuple[str, str, str], contract.Plugin] = {}
    for plugin in core.plugins:
        found.setdefault((plugin.LAYER, plugin.name, core.plugins.section(plugin)), plugin)
    return found.values()


def add_timeout(parser: Any) -> None:
    """Add ``--timeout``, for `service_for_checks` and `checks.run`."""
    parser.add_argument('--timeout', metavar='SECONDS', type=_positive, default=TIMEOUT,
                        help='Seconds to wait for backends that do not answer; default: '
                             f'{TIMEOUT:g}.')


def _positive(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86400:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number of seconds')
    return seconds


@contextlib.contextmanager
def service_for_checks(conf: cfg.ConfigOpts, until: float) -> Iterator[assembly.Core]:
    """The built service, for checks that change nothing.

    :param until: when nothing waits for a plugin any more, by the monotonic clock.
    """
    conf.set_override('sync_database', False, group='layers')
    core = assembly.build(conf, until=until, looks_only=True)
    try:
        yield core
    finally:
        with contextlib.suppress(contract.Unavailable):     # the end does not wait for it
            Call(core.close).result('the plugins were not closed', until - time.monotonic())
