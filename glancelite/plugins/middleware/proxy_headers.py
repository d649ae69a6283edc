"""Behind a reverse proxy: the scheme, host and address that the client used."""

import types

from oslo_middleware import http_proxy_to_wsgi

from glancelite import contract

HEADERS = frozenset({'HTTP_FORWARDED', 'HTTP_X_FORWARDED_PROTO', 'HTTP_X_FORWARDED_HOST',
                     'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PREFIX'})


def _register(conf):
    conf.register_opts(http_proxy_to_wsgi.OPTS, group='oslo_middleware')


class ProxyHeaders(contract.Middleware):
    """Believes ``Forwarded`` and ``X-Forwarded-*`` if the operator says so.

    ``[oslo_middleware] enable_proxy_headers_parsing`` must stay off where
    clients reach the service directly: they could pretend anything.
    """

    LIBRARY_OPTS = (_register,)

    def wrap(self, app):
        if not self.conf.oslo_middleware.enable_proxy_headers_parsing:
            return app
        parser = http_proxy_to_wsgi.HTTPProxyToWSGI(app, self.conf)

        def proxied(environ, start_response):
            if not HEADERS.isdisjoint(environ):
                # The library looks at nothing of a request but its environ.
                parser.process_request(types.SimpleNamespace(environ=environ))
            return app(environ, start_response)

        return proxied
