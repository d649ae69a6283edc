"""Cross-origin requests: what a browser asks before it lets a page in."""

from oslo_middleware import cors

from glancelite import contract

ALLOW_METHODS = ('GET', 'PUT', 'POST', 'DELETE', 'PATCH')
ALLOW_HEADERS = ('Content-MD5', 'X-Image-Meta-Checksum', 'X-Storage-Token', 'Accept-Encoding',
                 'X-Auth-Token', 'X-Identity-Status', 'X-Roles', 'X-Service-Catalog',
                 'X-User-Id', 'X-Tenant-Id', 'X-OpenStack-Request-ID')
EXPOSE_HEADERS = ('X-Image-Meta-Checksum', 'X-Auth-Token', 'X-Subject-Token',
                  'X-Service-Token', 'X-OpenStack-Request-ID')


def _register(conf):
    conf.register_opts(cors.OPTS, group='cors')
    conf.set_default('allow_methods', list(ALLOW_METHODS), group='cors')
    conf.set_default('allow_headers', list(ALLOW_HEADERS), group='cors')
    conf.set_default('expose_headers', list(EXPOSE_HEADERS), group='cors')


class CORS(contract.Middleware):
    """oslo.middleware's CORS; ``OPTIONS`` on any path is answered here, with 200.

    Without ``[cors] allowed_origin`` no answer gets a CORS header.
    """

    LIBRARY_OPTS = (_register,)

    def wrap(self, app):
        decorated = cors.CORS(app, self.conf)
        preflight = cors.CORS(_nothing, self.conf)
        shared = bool(self.conf.cors.allowed_origin)

        def crossed(environ, start_response):
            if environ['REQUEST_METHOD'] == 'OPTIONS':
                return preflight(environ, start_response)
            # The library would cost every request an object of its own.
            if shared and 'HTTP_ORIGIN' in environ:
                return decorated(environ, start_response)
            return app(environ, start_response)

        return crossed


def _nothing(environ, start_response):
    start_response('200 OK', [('Content-Length', '0')])
    return []
