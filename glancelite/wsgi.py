"""``glancelite.wsgi:application`` for uWSGI, mod_wsgi, gunicorn and other containers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

_UNENDING = b'This server needs to know the length of a body; send Content-Length.\n'


class Application:
    """Builds the service at the first request of each process.

    Containers import this before they fork, and database connections do not
    survive a fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._app: Any = None

    def __call__(self, environ: MutableMapping[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get('HTTP_TRANSFER_ENCODING') and not environ.get('wsgi.input_terminated'):
            if environ.get('CONTENT_LENGTH'):
                # Chunks no more: the web server in front has collected them, and says so
                # by the length only. nginx does, towards uWSGI.
                del environ['HTTP_TRANSFER_ENCODING']
            elif 'uwsgi.version' not in environ:
                # A container may hand a chunked body over as an empty one: an image would
                # be stored without its data. uWSGI does, but can be asked for the chunks.
                start_response('411 Length Required', [
                    ('Content-Type', 'text/plain; charset=UTF-8'),
                    ('Content-Length', str(len(_UNENDING)))])
                return [_UNENDING]
        if self._pid != os.getpid():
            self._build()
        return self._app(environ, start_response)

    def _build(self) -> None:
        from glancelite import config
        from glancelite.cmd import api
        with self._lock:
            if self._pid != os.getpid():
                self._app = api.application(config.load())
                self._pid = os.getpid()


application = Application()
