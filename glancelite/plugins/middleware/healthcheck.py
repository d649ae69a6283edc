"""``/healthcheck``, for load balancers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from oslo_config import cfg
from oslo_middleware import healthcheck, opts
from oslo_middleware.healthcheck import opts as healthcheck_opts
from stevedore import NamedExtensionManager

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

    def __init__(self, options: Any, host: contract.Host, **named: Any):
        super().__init__(options, host, **named)
        # the library only logs a name that it does not know
        manager: Any = NamedExtensionManager(healthcheck.Healthcheck.NAMESPACE, [])
        known = sorted(manager.entry_points_names())
        backends = self.conf.healthcheck.backends
        if {'disable_by_file', 'enable_by_files'} <= {*backends}:
            raise contract.Misconfigured('[healthcheck] backends: disable_by_file and '
                                         'enable_by_files cannot be used together')
        for name in backends:
            if name not in known:
                raise contract.Misconfigured(
                    f'[healthcheck] backends: there is no backend {name!r}; there are: '
                    f'{", ".join(known)}')
        try:
            healthcheck.Healthcheck(None, self.conf)
        except Exception as error:      # of a backend, or about another option
            raise contract.Misconfigured(f'[healthcheck] {error}') from error

    def wrap(self, app: WSGIApp) -> WSGIApp:
        check: WSGIApp = healthcheck.Healthcheck(app, self.conf)

        def with_healthcheck(environ: MutableMapping[str, Any],
                             start_response: Callable[..., Any]) -> Iterable[bytes]:
            # the library creates an object for each request
            if environ.get('PATH_INFO') in PATHS:
                return check(environ, start_response)
            return app(environ, start_response)

        return with_healthcheck
