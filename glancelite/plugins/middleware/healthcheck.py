"""``/healthcheck``, for load balancers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from oslo_config import cfg
from oslo_middleware import healthcheck, opts
from oslo_middleware.healthcheck import opts as healthcheck_opts

from glancelite import contract
from glancelite.contract.middleware import WSGIApp

PATHS = frozenset({'/healthcheck', '/healthcheck/'})


def _register(conf: Any) -> None:
    cfg.set_defaults(healthcheck_opts.HEALTHCHECK_OPTS, backends=['disable_by_file'])
    cfg.set_defaults(healthcheck_opts.DISABLE_BY_FILE_OPTS,
                     disable_by_file_path='/etc/glance/healthcheck_disable')
    for group, options in opts.list_opts_healthcheck():
        conf.register_opts(options, group=group)


class Healthcheck(contract.Middleware):
    """The health check of oslo.middleware, without authentication.

    To take a server out of the rotation, create the file of ``[healthcheck]
    disable_by_file_path``.
    """

    LIBRARY_OPTS = (_register,)

    def wrap(self, app: WSGIApp) -> WSGIApp:
        check: WSGIApp = healthcheck.Healthcheck(app, self.conf)

        def with_healthcheck(environ: MutableMapping[str, Any],
                             start_response: Callable[..., Any]) -> Iterable[bytes]:
            # the library creates an object for each request
            if environ.get('PATH_INFO') in PATHS:
                return check(environ, start_response)
            return app(environ, start_response)

        return with_healthcheck
