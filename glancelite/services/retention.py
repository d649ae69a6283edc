"""How long the data of deleted images is kept, and when the recovery may delete it."""

from __future__ import annotations

import datetime

from glancelite import contract


class Retention:
    """
    :param lease: how long a lease lasts.
    :param delay: seconds for which deleted data is kept (``scrub_time``); None if requests
        delete data at once (no ``delayed_delete``).
    """

    def __init__(self, host: contract.Host, lease: datetime.timedelta, *,
                 delay: float | None = None):
        self._host = host
        self._lease = lease
        #: True if the recovery deletes the data, not the request
        self.delayed = delay is not None
        # a deletion that is as old as this is not in progress in another process
        self._age = max(2.5 * lease, datetime.timedelta(seconds=delay or 0))

    def due(self) -> datetime.datetime:
        """Return when the recovery deletes what is marked for deletion now."""
        return self._host.now() + self._age

    def due_before(self) -> datetime.datetime:
        """Return the time such that the recovery deletes what was marked before it."""
        return self._host.now() - self._age

    def undeletable_after(self) -> datetime.datetime:
        """Return the time such that images deleted after it can be undeleted safely."""
        return self.due_before() + self._lease
