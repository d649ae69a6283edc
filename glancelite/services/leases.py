"""Leases: while a process works on an image, it renews the image's lease.

When the process dies, the lease expires, and any process may take the work over (see
``recovery``).
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import threading
from collections.abc import Iterator

from glancelite import contract
from glancelite.contract import Image
from glancelite.services.periodic import Periodic


class Leases:
    """The leases that this process holds, and their renewal.

    :param seconds: how long a lease lasts; it is renewed four times as often.
    """

    def __init__(self, database: contract.Database, host: contract.Host, *,
                 seconds: float = 120):
        self._images = database.images
        self._host = host
        self.duration = datetime.timedelta(seconds=seconds)
        self._held: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._renewal = Periodic(self.renew, self.interval, 'renewal of leases')

    @property
    def interval(self) -> float:
        """Seconds between two renewals, and between two sweeps of the recovery."""
        return self.duration.total_seconds() / 4

    def until(self) -> datetime.datetime:
        """Return when a lease that is taken now expires."""
        return self._host.now() + self.duration

    @contextlib.contextmanager
    def hold(self, image: Image) -> Iterator[None]:
        """Renew the lease of ``image`` in the background."""
        with self._lock:
            self._held[image.id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[image.id] -= 1
                if not self._held[image.id]:
                    del self._held[image.id]

    def renew(self) -> None:
        """Renew every lease that is held here."""
        with self._lock:
            held = tuple(self._held)
        if held:
            self._images.renew_leases(held, until=self.until())

    def start(self) -> None:
        """Renew leases from now on."""
        self._renewal.start()

    def close(self) -> None:
        """Stop the renewal; leases that are still held expire."""
        self._renewal.close()
