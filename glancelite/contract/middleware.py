"""The layer ``middleware``: what is around the API."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from glancelite.contract.plugin import Plugin

#: where a middleware of ``[pipeline] extra`` finds the ``Context`` of the caller in ``environ``;
#: another one that it puts there is the caller from then on
CALLER = 'glancelite.caller'
WSGIApp = Callable[[MutableMapping[str, Any], Callable[..., Any]], Iterable[bytes]]


class Middleware(Plugin):
    """A WSGI wrapper; the list in the configuration names the outermost first."""

    LAYER = 'middleware'

    @abc.abstractmethod
    def wrap(self, app: WSGIApp) -> WSGIApp:
        """``app`` with something around it; request bodies stay unread."""
