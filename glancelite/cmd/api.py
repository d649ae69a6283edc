"""``glancelite-api``: the Image API, served by itself."""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
import sys
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any, NoReturn

from oslo_config import cfg

from glancelite import assembly, config, loader
from glancelite.api.app import make_app
from glancelite.contract import Error, Misconfigured
from glancelite.contract.middleware import WSGIApp
from glancelite.server import serve

LOG = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Serve until told to stop."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        conf = configuration(argv)
        config.set_up_logging(conf)
        prove(conf)
        code = serve(lambda: configuration(argv), application, config.set_up_logging)
    except (Misconfigured, Error) as error:
        print(f'glancelite-api: {error}', file=sys.stderr)
        code = 1
    _end(code)


def _end(code: int) -> NoReturn:
    """Python would first take a thousand modules apart, which takes longer than all else."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def configuration(argv: Sequence[str]) -> cfg.ConfigOpts:
    """The configuration as it is now: at the start, and at every SIGHUP.

    :raises Misconfigured: it would let everybody in.
    """
    conf = config.load(argv)
    auth = loader.find('auth', assembly.auth_name(conf)).kind
    if auth.OPEN and not conf.layers.allow_insecure_bind:
        _only_loopback(conf)
    return conf


def application(conf: cfg.ConfigOpts):
    """The WSGI application of one worker; its ``close`` ends it."""
    config.set_up_logging(conf)
    core = assembly.build(conf)
    core.start()
    app: Any = make_app(core)
    if core.authenticator.OPEN and not conf.layers.allow_insecure_bind:
        app = for_this_machine(app)
    app.close = core.close
    return app


def for_this_machine(app: WSGIApp) -> WSGIApp:
    """Nobody from elsewhere gets in, whoever listens: systemd and containers do so too."""
    def guarded(environ: MutableMapping[str, Any],
                start_response: Callable[..., Any]) -> Iterable[bytes]:
        if _is_loopback(environ.get('REMOTE_ADDR', '')):
            return app(environ, start_response)
        body = b'Without authentication this service is for its own machine only.\n'
        start_response('403 Forbidden', [('Content-Type', 'text/plain; charset=UTF-8'),
                                         ('Content-Length', str(len(body)))])
        return [body]

    return guarded


@functools.lru_cache
def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, 'ipv4_mapped', None) or found).is_loopback


def prove(conf: cfg.ConfigOpts, *, alone: bool = False) -> None:
    """Build the whole service once before any worker starts.

    :param alone: there is one process, or another program minds how many there are.
    :raises Misconfigured: it cannot work like this.
    :raises Unavailable: the database does not say if it can.
    """
    core = assembly.build(conf)
    try:
        forgetful = [f'{plugin.LAYER} {plugin.name}' for plugin in core.plugins
                     if getattr(plugin, 'VOLATILE', False)]
        if forgetful and not alone and conf.workers not in (0, 1):
            raise Misconfigured(f'{" and ".join(forgetful)}: each process would have its own; '
                                'set [DEFAULT] workers = 1')
        for name in config.unused(conf):
            LOG.warning('not used by glancelite: %s', name)
        if core.layers.database.behind():
            raise Misconfigured('the database is not in the form of this version; '
                                'run: glancelite-manage db sync')
    finally:
        core.close()


def _only_loopback(conf: cfg.ConfigOpts) -> None:
    if conf.bind_host != 'localhost' and not _is_loopback(conf.bind_host):
        raise Misconfigured(
            f'[layers] auth = {assembly.auth_name(conf)} lets everybody in, so it listens on '
            f'loopback only: set bind_host = 127.0.0.1, or [layers] allow_insecure_bind = true')


if __name__ == '__main__':
    main()
