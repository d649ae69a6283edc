"""The layer ``middleware``: WSGI middleware around the API."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from glancelite.contract.plugin import Plugin

#: key in ``environ`` of the caller's ``Context``, for middleware in ``[pipeline] extra``.
#: A middleware may replace the value; the API then uses the new context.
CONTEXT_KEY = 'glancelite.caller'
WSGIApp = Callable[[MutableMapping[str, Any], Callable[..., Any]], Iterable[bytes]]


class Middleware(Plugin):
    """A WSGI wrapper.  The configuration lists the outermost one first.

    Both of its sides conform to WSGI (PEP 3333).  Status, headers and body of a response pass
    through: each chunk at once, so that no download is buffered, and so do exceptions of the
    application.  If the server closes a response, that of the application is closed.
    """

    LAYER = 'middleware'

    @abc.abstractmethod
    def wrap(self, app: WSGIApp) -> WSGIApp:
        """Return ``app`` wrapped; request bodies must stay unread.

        May be called for several applications, which do not affect each other.
        """
