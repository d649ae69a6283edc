"""The service inside a WSGI container instead of its own server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oslo_log import log

from glancelite import config
from glancelite.cmd import api


class KnownLength:
    """Refuses bodies of which the container cannot tell the end.

    Some, uWSGI among them, hand a chunked body to the application as an
    empty one: an image would be stored without its data.
    """

    def __init__(self, app: Any):
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get('HTTP_TRANSFER_ENCODING') and not environ.get('wsgi.input_terminated'):
            start_response('411 Length Required', [('Content-Length', '0')])
            return [b'']
        return self._app(environ, start_response)


def build() -> KnownLength:
    """The application, with the configuration files of this machine."""
    conf = config.load()
    log.setup(conf, 'glancelite')
    api.prove(conf)
    return KnownLength(api.application(conf))
