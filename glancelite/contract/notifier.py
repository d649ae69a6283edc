"""The layer ``notifier``: receives events."""

from __future__ import annotations

import abc

from glancelite.contract.event import Event
from glancelite.contract.plugin import Plugin


class Notifier(Plugin):
    """Receives every event; several notifiers may be configured."""

    LAYER = 'notifier'

    @abc.abstractmethod
    def notify(self, event: Event) -> None:
        """Pass the event on, without delaying the request for long.

        All notifiers share the event: do not change its payload.  An exception is
        logged; it never reaches the caller of the API.
        """
