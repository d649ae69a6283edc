"""Cross-origin resource sharing (CORS) for browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from oslo_middleware import cors

from glancelite import contract
from glancelite.contract.middleware import WSGIApp

ALLOW_METHODS = ('GET', 'PUT', 'POST', 'DELETE', 'PATCH')
ALLOW_HEADERS = ('Content-MD5', 'X-Image-Meta-Checksum', 'X-Storage-Token', 'Accept-Encoding',
                 'X-Auth-Token', 'X-Identity-Status', 'X-Roles', 'X-Service-Catalog',
                 'X-User-Id', 'X-Tenant-Id', 'X-OpenStack-Request-ID')
EXPOSE_HEADERS = ('X-Image-Meta-Checksum', 'X-Auth-Token', 'X-Subject-Token',
                  'X-Service-Token', 'X-OpenStack-Request-ID')


def _register(conf: Any) -> None:
    cors.set_defaults(allow_methods=list(ALLOW_METHODS), allow_headers=list(ALLOW_HEADERS),
                      expose_headers=list(EXPOSE_HEADERS))
    conf.register_opts(cors.OPTS, group='cors')


class CORS(contract.Middleware):
    """The CORS middleware of oslo.middleware; it answers ``OPTIONS`` on any path with 200.

    Without ``[cors] allowed_origin`` no response gets a CORS header.
    """

    LIBRARY_OPTS = (_register,)

    def wrap(self, app: WSGIApp) -> WSGIApp:
        decorated: WSGIApp = cors.CORS(app, self.conf)
        preflight: WSGIApp = cors.CORS(_empty_app, self.conf)
        has_origins = bool(self.conf.cors.allowed_origin)

        def with_cors(environ: MutableMapping[str, Any],
                      start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ['REQUEST_METHOD'] == 'OPTIONS':
                return preflight(environ, start_response)
            # the library creates an object for each request
            if has_origins and 'HTTP_ORIGIN' in environ:
                return decorated(environ, start_response)
            return app(environ, start_response)

        return with_cors


def _empty_app(environ: MutableMapping[str, Any],
               start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response('200 OK', [('Content-Length', '0')])
    return []
