"""The layer ``notifier``: who wants to know?"""

from __future__ import annotations

import abc

from glancelite.contract.event import Event
from glancelite.contract.plugin import Plugin


class Notifier(Plugin):
    """Is told what has happened; several may listen."""

    LAYER = 'notifier'

    @abc.abstractmethod
    def tell(self, event: Event) -> None:
        """Pass the event on, without holding up the request for long.

        The event is shared with other notifiers: its payload must not be changed.
        What is raised here is logged and never reaches the caller.
        """
