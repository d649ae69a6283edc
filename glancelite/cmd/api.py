"""``glancelite-api``: the Image API with its own HTTP server."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, MutableMapping, Sequence
from typing import Any, NoReturn, cast

from oslo_config import cfg

from glancelite import assembly, config, loader
from glancelite.api.app import make_app
from glancelite.cmd import checks, repeated
from glancelite.cmd.ending import end
from glancelite.contract import Authenticator, Error, Misconfigured
from glancelite.contract.middleware import WSGIApp
from glancelite.server import serve


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Serve until SIGTERM or SIGINT."""
    argv = sys.argv[1:] if argv is None else argv
    # until the server handles it: the first process of a container ignores it by default
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    try:
        conf = configuration(argv)
        config.set_up_logging(conf)
        with repeated.recorded() as lines:
            check(conf)
        code = serve(lambda: configuration(argv), functools.partial(application, logged=lines),
                     config.set_up_logging, is_transfer)
    except (Misconfigured, Error) as error:
        print(f'glancelite-api: {error}', file=sys.stderr)
        code = 1
    end(code)


def is_transfer(path: str) -> bool:
    """Whether requests for this path transfer the data of an image."""
    return path.rstrip('/').endswith(('/file', '/stage'))


def configuration(argv: Sequence[str]) -> cfg.ConfigOpts:
    """Read the configuration: at the start, and at every SIGHUP.

    :raises Misconfigured: it is invalid, or the service would accept everyone from anywhere.
    """
    conf = config.load(argv)
    auth = cast(type[Authenticator], loader.find('auth', assembly.auth_name(conf)).kind)
    checks.address(conf, is_open=auth.OPEN)
    return conf


def application(conf: cfg.ConfigOpts, logged: Collection[repeated.Line] = ()) -> WSGIApp:
    """The WSGI application of one worker process, with a method ``close``.

    :param logged: what the start of the service has logged about its plugins.
    """
    config.set_up_logging(conf)
    with repeated.left_out(logged):
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
        if checks.is_loopback(environ.get('REMOTE_ADDR', '')):
            return app(environ, start_response)
        body = b'Without authentication this service accepts local requests only.\n'
        start_response('403 Forbidden', [('Content-Type', 'text/plain; charset=UTF-8'),
                                         ('Content-Length', str(len(body)))])
        return [body]

    return guarded


def check(conf: cfg.ConfigOpts, *, single: bool = False) -> None:
    """Build the whole service once, as a check before any worker starts.

    :param single: another program sets the number of workers: do not check it, and do not
        wait for a database that is starting.
    :raises Misconfigured: the service cannot start with this configuration.
    :raises Unavailable: the database does not answer.
    """
    core = assembly.build(conf, announce=True)
    try:
        if not single:
            checks.workers(conf, core)
        # a WSGI server calls this in a request, which should not wait
        checks.service(conf, core, wait=not single)
    finally:
        core.close()


if __name__ == '__main__':
    main()
