"""Restores scheme, host and address of the client behind a reverse proxy."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from oslo_middleware import http_proxy_to_wsgi

from glancelite import contract
from glancelite.contract.middleware import WSGIApp

HEADERS = frozenset({'HTTP_FORWARDED', 'HTTP_X_FORWARDED_PROTO', 'HTTP_X_FORWARDED_HOST',
                     'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PREFIX'})


def _register(conf: Any) -> None:
    conf.register_opts(http_proxy_to_wsgi.OPTS, group='oslo_middleware')


class ProxyHeaders(contract.Middleware):
    """Uses ``Forwarded`` and ``X-Forwarded-*`` if the option is set.

    ``[oslo_middleware] enable_proxy_headers_parsing`` must be off if clients can connect
    to the service directly, since they could forge these headers.
    """

    LIBRARY_OPTS = (_register,)

    def wrap(self, app: WSGIApp) -> WSGIApp:
        if not self.conf.oslo_middleware.enable_proxy_headers_parsing:
            return app
        parser = http_proxy_to_wsgi.HTTPProxyToWSGI(app, self.conf)

        def with_proxy_headers(environ: MutableMapping[str, Any],
                               start_response: Callable[..., Any]) -> Iterable[bytes]:
            if not HEADERS.isdisjoint(environ):
                # the library uses the environ of a request only
                parser.process_request(types.SimpleNamespace(environ=environ))
            return app(environ, start_response)

        return with_proxy_headers
