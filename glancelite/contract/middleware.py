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
    """A WSGI wrapper.  The configuration lists the outermost one first."""

    LAYER = 'middleware'

    @abc.abstractmethod
    def wrap(self, app: WSGIApp) -> WSGIApp:
        """Return ``app`` wrapped; request bodies must stay unread."""
