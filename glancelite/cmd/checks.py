"""What must be right for the service beyond the plugins: address, processes, database, TLS."""

from __future__ import annotations

import functools
import ipaddress
import logging
import socket

from oslo_config import cfg

from glancelite import assembly, config
from glancelite.contract import Misconfigured
from glancelite.server.application import CannotStart, check_tls

LOG = logging.getLogger(__name__)


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
