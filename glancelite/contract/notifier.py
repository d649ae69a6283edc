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
        """Pass the event on, without delaying the request for long: do not wait for a network.

        Every type in ``EVENTS`` may come, in many threads at once.  Neither the token of the
        caller nor the catalog belongs in a log.

        All notifiers share the event: do not change its payload.  An exception is
        logged; it never reaches the caller of the API.
        """
