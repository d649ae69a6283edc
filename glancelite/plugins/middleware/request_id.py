"""Every request has a name, in the answer and in the log."""

import uuid

import webob.exc
from oslo_config import cfg
from oslo_context import context

from glancelite import contract

KEY = 'openstack.request_id'
HEADER = 'x-openstack-request-id'


class RequestId(contract.Middleware):
    """Adopts the caller's request id, or makes one.

    Further inside it is ``environ['openstack.request_id']``.  An answer that
    carries an id already, such as one from another server, keeps it; 401 has
    none, as clients expect.  Log lines of this thread carry the id from here on.
    """

    SECTION = 'DEFAULT'
    OPTS = (
        cfg.IntOpt('max_request_id_length', default=64, min=0,
                   help='Most characters of a request id sent by a client; 0 for any number.'),
    )

    def wrap(self, app):
        longest = self.options.max_request_id_length

        def named(environ, start_response):
            name = environ.get('HTTP_X_OPENSTACK_REQUEST_ID', '').strip()
            if longest and len(name) > longest:
                refusal = webob.exc.HTTPRequestHeaderFieldsTooLarge(
                    f'X-Openstack-Request-ID has more than {longest} characters.',
                    [(HEADER, f'req-{uuid.uuid4()}')], body_template='${detail}')
                return refusal(environ, start_response)
            if not name:
                name = f'req-{uuid.uuid4()}'
            elif not name.startswith('req-'):
                name = f'req-{name}'
            environ[KEY] = name
            context.RequestContext(request_id=name)     # oslo.log reads it off the thread

            def start(status, headers, exc_info=None):
                if not status.startswith('401') and all(
                        key.lower() != HEADER for key, _ in headers):
                    headers = [*headers, (HEADER, name)]
                if exc_info is None:
                    return start_response(status, headers)
                return start_response(status, headers, exc_info)

            return app(environ, start)

        return named
