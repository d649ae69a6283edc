"""``glancelite-api``: the Image API, served by itself."""

from __future__ import annotations

import ipaddress
import logging
import sys
from collections.abc import Sequence

from oslo_config import cfg
from oslo_log import log

from glancelite import assembly, config
from glancelite.api.app import make_app
from glancelite.contract import Error, Misconfigured
from glancelite.server import serve

LOG = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        conf = config.load(argv)
        log.setup(conf, 'glancelite')
        prove(conf)
        return serve(lambda: config.load(argv), application)
    except (Misconfigured, Error) as error:
        print(f'glancelite-api: {error}', file=sys.stderr)
        return 1


def application(conf: cfg.ConfigOpts):
    """The WSGI application of one worker; its ``close`` ends it."""
    core = assembly.build(conf)
    core.layers.leases.start()
    app = make_app(core)
    app.close = core.close
    return app


def prove(conf: cfg.ConfigOpts) -> None:
    """Build the whole service once before any worker starts.

    :raises Misconfigured: it cannot work like this.
    """
    core = assembly.build(conf)
    try:
        if core.authenticator.OPEN and not conf.layers.allow_insecure_bind:
            _only_loopback(conf)
        if core.layers.database.behind():
            raise Misconfigured('the database is not in the form of this version; '
                                'run: glancelite-manage db sync')
        for name in config.unused(conf):
            LOG.warning('not used by glancelite: %s', name)
    finally:
        core.close()


def _only_loopback(conf: cfg.ConfigOpts) -> None:
    host = conf.bind_host
    try:
        loopback = host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise Misconfigured(
            f'[layers] auth = {assembly.auth_name(conf)} lets everybody in, so it listens on '
            f'loopback only: set bind_host = 127.0.0.1, or [layers] allow_insecure_bind = true')


if __name__ == '__main__':
    sys.exit(main())
