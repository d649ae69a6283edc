"""Gives every request an id, in the response and in the log."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import webob.exc
from oslo_config import cfg

from glancelite import contract
from glancelite.contract.middleware import WSGIApp
from glancelite.support import log_context

KEY = 'openstack.request_id'
HEADER = 'x-openstack-request-id'


class RequestId(contract.Middleware):
    """Uses the request id of the client, or creates one.

    It is in ``environ['openstack.request_id']`` and in all further log lines of the thread.
    A response that has an id already, such as one from another server, keeps it; 401 has
    none, as clients expect.
    """

    SECTION = 'DEFAULT'
    OPTS = (
        cfg.IntOpt('max_request_id_length', default=64, min=0,
                   help='Maximum length of a request id sent by a client; 0 for no limit.'),
    )

    def wrap(self, app: WSGIApp) -> WSGIApp:
        max_length = self.options.max_request_id_length

        def with_request_id(environ: MutableMapping[str, Any],
                            start_response: Callable[..., Any]) -> Iterable[bytes]:
            request_id = environ.get('HTTP_X_OPENSTACK_REQUEST_ID', '').strip()
            if max_length and len(request_id) > max_length:
                response = webob.exc.HTTPRequestHeaderFieldsTooLarge(
                    f'X-Openstack-Request-ID has more than {max_length} characters.',
                    [(HEADER, f'req-{uuid.uuid4()}')], body_template='${detail}')
                return response(environ, start_response)
            if not request_id:
                request_id = f'req-{uuid.uuid4()}'
            elif not request_id.startswith('req-'):
                request_id = f'req-{request_id}'
            environ[KEY] = request_id
            log_context.begin(request_id)

            def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                if not status.startswith('401') and all(
                        key.lower() != HEADER for key, _ in headers):
                    headers = [*headers, (HEADER, request_id)]
                if exc_info is None:
                    return start_response(status, headers)
                return start_response(status, headers, exc_info)

            return app(environ, start)

        return with_request_id
