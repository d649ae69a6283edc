"""What must be right for the service beyond the plugins: address, processes, database, TLS."""

from __future__ import annotations

import functools
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator

from oslo_config import cfg

from glancelite import assembly, config, contract, loader
from glancelite.contract import Misconfigured, Plugin
from glancelite.server.application import CannotStart, check_tls
from glancelite.time_limit import Call

LOG = logging.getLogger(__name__)

#: what is checked, and a function that returns a text if it is right
Check = tuple[str, Callable[[], str]]
#: seconds that the start of a worker waits for these checks
TIMEOUT = 10.0


@functools.lru_cache
def is_loopback(address: str) -> bool:
    """Whether only this machine can connect to the address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return bool((getattr(parsed, 'ipv4_mapped', None) or parsed).is_loopback)


def address(conf: cfg.ConfigOpts, *, is_open: bool) -> str:
    """Return the address to listen on.

    :param is_open: whether the auth plugin accepts everyone.
    :raises Misconfigured: the service would accept everyone from anywhere.
    """
    if (is_open and not conf.layers.allow_insecure_bind and conf.bind_host != 'localhost'
            and not is_loopback(conf.bind_host)):
        raise Misconfigured(
            f'[layers] auth = {assembly.auth_name(conf)} accepts everyone, so the service must '
            'listen on loopback only: set bind_host = 127.0.0.1, or [layers] '
            'allow_insecure_bind = true')
    return f'{conf.bind_host}:{conf.bind_port}'


def can_listen(conf: cfg.ConfigOpts) -> None:
    """Check that this machine has the address; the port may be in use by the service.

    :raises Misconfigured: the server could not listen on it.
    """
    try:
        found = socket.getaddrinfo(conf.bind_host, 0, type=socket.SOCK_STREAM)
        with socket.socket(*found[0][:2]) as probe:
            probe.bind(found[0][4])
    except OSError as error:
        raise Misconfigured(
            f'cannot listen on bind_host = {conf.bind_host}: {error.strerror}') from error


def service(conf: cfg.ConfigOpts, core: assembly.Core, *, wait: bool = True) -> None:
    """Log what the configuration asks for in vain; check the database.

    :param wait: wait for a database that is starting.
    :raises Misconfigured: its schema is not up to date.
    :raises Unavailable: the database does not answer.
    """
    for text in (*config.missing(conf), *assembly.notices(conf)):
        LOG.warning('%s', text)
    for text in config.notices(conf):
        LOG.info('%s', text)
    for name in config.unused(conf):
        LOG.warning('not used by glancelite: %s', name)
    if wait:
        core.layers.database.wait()
    check_schema(core)


def check_schema(core: assembly.Core) -> None:
    """
    :raises Misconfigured: the schema of the database is not up to date.
    :raises Unavailable: the database does not answer.
    """
    if core.layers.database.behind():
        raise Misconfigured('the database schema is not up to date; '
                            'run: glancelite-manage db sync')


def runs_tasks(core: assembly.Core) -> None:
    """Check that a worker process can run tasks of the service.

    :raises Misconfigured: it would have data of its own, or gets no tasks.
    """
    volatile = _volatile(core)
    if volatile:
        raise Misconfigured(f'{volatile}: this process would have its own data; a worker needs '
                            'those that all processes share')
    executor = core.layers.executor
    if not executor.POLLS:
        raise Misconfigured(f'[layers] executor = {executor.name} runs no tasks in worker '
                            'processes; set it to external, threads or celery')


def workers(conf: cfg.ConfigOpts, core: assembly.Core) -> str:
    """Return how many processes there will be.

    :raises Misconfigured: each of them would have data of its own.
    """
    volatile = _volatile(core)
    if volatile and conf.workers not in (0, 1):
        raise Misconfigured(f'{volatile}: each process would have its own '
                            'data; set [DEFAULT] workers = 1')
    return 'one for each CPU' if conf.workers is None else str(max(1, conf.workers))


def _volatile(core: assembly.Core) -> str:
    """Return the plugins whose data ends with the process, as words."""
    return ' and '.join(f'{plugin.LAYER} {plugin.name}' for plugin in core.plugins
                        if getattr(plugin, 'VOLATILE', False))


def tls(conf: cfg.ConfigOpts) -> str:
    """Return whether the server uses TLS.

    :raises Misconfigured: the certificates cannot be loaded.
    """
    try:
        check_tls(conf)
    except CannotStart as error:
        raise Misconfigured(str(error)) from error
    return f'certificate {conf.cert_file}' if conf.cert_file else 'no certificate, plain HTTP'


def of_files(core: assembly.Core) -> Iterator[Check]:
    """Where a process must have files that runs imports."""
    if core.layers.steps:
        yield 'work_dir', core.use_cases.imports.check_work_dir
    if any(importer.STAGES for importer in core.layers.importers.values()):
        yield 'staging area', core.layers.staging.health


def log_failures_of_imports(conf: cfg.ConfigOpts, core: assembly.Core) -> None:
    """Log why imports fail that this process runs."""
    plugins: Iterable[Plugin] = (*core.layers.importers.values(), *core.layers.steps)
    found = [(f'{plugin.LAYER} {plugin.name}', plugin.health) for plugin in plugins]
    for subject, passed, text in run(conf, TIMEOUT, time.monotonic() + TIMEOUT,
                                     (*found, *of_files(core))):
        if not passed:
            LOG.error('imports fail on this node: %s: %s', subject, text)


def run(conf: cfg.ConfigOpts, seconds: float, until: float, checks: Iterable[Check],
        ) -> Iterator[tuple[str, bool, str]]:
    """Run all checks at once; yield what was checked, whether it passed, and its text.

    :param seconds: the limit that the text of a check names.
    :param until: when it is reached; if plugins that did not start have used the time up,
        the others have one second.
    """
    calls = [(subject, Call(check)) for subject, check in checks]
    until = max(until, time.monotonic() + 1)
    for subject, call in calls:
        try:
            passed, text = True, call.result('the check did not return',
                                             until - time.monotonic(), seconds)
        except (Misconfigured, contract.Error) as error:
            passed, text = False, str(error)
        except BaseException as error:  # a plugin of another package may raise anything
            passed, text = False, loader.described(error)
        yield subject, passed, loader.one_line(loader.without_secrets(conf, str(text)))
