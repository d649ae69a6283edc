"""``glancelite-api``: the Image API with its own HTTP server."""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
import sys
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any, NoReturn, cast

from oslo_config import cfg

from glancelite import assembly, config, loader
from glancelite.api.app import make_app
from glancelite.contract import Authenticator, Error, Misconfigured
from glancelite.contract.middleware import WSGIApp
from glancelite.server import serve

LOG = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Serve until SIGTERM or SIGINT."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        conf = configuration(argv)
        config.set_up_logging(conf)
        check(conf)
        code = serve(lambda: configuration(argv), application, config.set_up_logging)
    except (Misconfigured, Error) as error:
        print(f'glancelite-api: {error}', file=sys.stderr)
        code = 1
    _end(code)


def _end(code: int) -> NoReturn:
    """End the process at once: without the slow teardown of all modules."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def configuration(argv: Sequence[str]) -> cfg.ConfigOpts:
    """Read the configuration: at the start, and at every SIGHUP.

    :raises Misconfigured: it is invalid, or the service would accept everyone from anywhere.
    """
    conf = config.load(argv)
    auth = cast(type[Authenticator], loader.find('auth', assembly.auth_name(conf)).kind)
    if auth.OPEN and not conf.layers.allow_insecure_bind:
        _check_loopback(conf)
    return conf


def application(conf: cfg.ConfigOpts) -> WSGIApp:
    """The WSGI application of one worker process, with a method ``close``."""
    config.set_up_logging(conf)
    core = assembly.build(conf)
    core.start()
    app: Any = make_app(core)
    if core.authenticator.OPEN and not conf.layers.allow_insecure_bind:
        app = loopback_only(app)
    app.close = core.close
    return cast(WSGIApp, app)


def loopback_only(app: WSGIApp) -> WSGIApp:
    """Reject requests from other hosts.

    The address may have been bound by systemd or a container, whatever ``bind_host`` is.
    """
    def guarded(environ: MutableMapping[str, Any],
                start_response: Callable[..., Any]) -> Iterable[bytes]:
        if _is_loopback(environ.get('REMOTE_ADDR', '')):
            return app(environ, start_response)
        body = b'Without authentication this service accepts local requests only.\n'
        start_response('403 Forbidden', [('Content-Type', 'text/plain; charset=UTF-8'),
                                         ('Content-Length', str(len(body)))])
        return [body]

    return guarded


@functools.lru_cache
def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return bool((getattr(parsed, 'ipv4_mapped', None) or parsed).is_loopback)


def check(conf: cfg.ConfigOpts, *, single: bool = False) -> None:
    """Build the whole service once, as a check before any worker starts.

    :param single: do not check the number of workers, because another program sets it.
    :raises Misconfigured: the service cannot start with this configuration.
    :raises Unavailable: the database does not answer.
    """
    core = assembly.build(conf)
    try:
        volatile = [f'{plugin.LAYER} {plugin.name}' for plugin in core.plugins
                     if getattr(plugin, 'VOLATILE', False)]
        if volatile and not single and conf.workers not in (0, 1):
            raise Misconfigured(f'{" and ".join(volatile)}: each process would have its own '
                                'data; set [DEFAULT] workers = 1')
        for name in config.unused(conf):
            LOG.warning('not used by glancelite: %s', name)
        if core.layers.database.behind():
            raise Misconfigured('the database schema is not up to date; '
                                'run: glancelite-manage db sync')
    finally:
        core.close()


def _check_loopback(conf: cfg.ConfigOpts) -> None:
    if conf.bind_host != 'localhost' and not _is_loopback(conf.bind_host):
        raise Misconfigured(
            f'[layers] auth = {assembly.auth_name(conf)} accepts everyone, so the service must '
            'listen on loopback only: set bind_host = 127.0.0.1, or [layers] '
            'allow_insecure_bind = true')


if __name__ == '__main__':
    main()
