"""``glancelite.wsgi:application`` for uWSGI, mod_wsgi, gunicorn and other WSGI servers."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, cast

from glancelite import contract

LOG = logging.getLogger(__name__)

_MISCONFIGURED = b'The service cannot start with its configuration; see its log.\n'
_LENGTH_REQUIRED = b'This server requires the header Content-Length for bodies.\n'


class Application:
    """Builds the service at the first request of each process.

    WSGI servers import this before they fork, and database connections do not survive
    a fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._app: Any = None

    def __call__(self, environ: MutableMapping[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get('HTTP_TRANSFER_ENCODING') and not environ.get('wsgi.input_terminated'):
            if environ.get('CONTENT_LENGTH'):
                # The web server in front has decoded the chunks but kept the header, as
                # nginx does for uWSGI.
                del environ['HTTP_TRANSFER_ENCODING']
            elif 'uwsgi.version' not in environ:
                # A WSGI server may present a chunked body as an empty one: an image would
                # be stored without its data. uWSGI does, but can return the chunks.
                return _text(start_response, '411 Length Required', _LENGTH_REQUIRED)
        if self._pid != os.getpid():
            try:
                self._build()
            except contract.Misconfigured as error:
                LOG.error('cannot start: %s', error)
                return _text(start_response, '500 Internal Server Error', _MISCONFIGURED)
        return cast(Iterable[bytes], self._app(environ, start_response))

    def _build(self) -> None:
        from glancelite import config
        from glancelite.cmd import api, repeated
        with self._lock:
            if self._pid != os.getpid():
                conf = config.load()
                config.set_up_logging(conf)
                with (repeated.recorded() as lines,
                      contextlib.suppress(contract.Unavailable)):   # callers get this error, too
                    api.check(conf, single=True)
                self._app = api.application(conf, logged=lines)
                self._pid = os.getpid()


def _text(start_response: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [('Content-Type', 'text/plain; charset=UTF-8'),
                            ('Content-Length', str(len(body)))])
    return [body]


application = Application()
