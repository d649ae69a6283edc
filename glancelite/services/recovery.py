"""Recovery: finishes or undoes work that processes left unfinished.

A sweep finds images whose lease has expired, and deletions that are due.  For each status,
the use case that sets it registers a handler.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from glancelite import contract
from glancelite.contract import Context, Image
from glancelite.services.layers import Layers
from glancelite.services.periodic import Periodic

LOG = logging.getLogger(__name__)

#: images that a sweep reads at once
PAGE = 100

#: the changes that bring an image back to the status without data
REQUEUED: Mapping[str, object] = MappingProxyType(
    {'status': 'queued', 'size': None, 'virtual_size': None, 'lease_until': None})

#: returns True if the image is in order now, False if another process was faster
Handler = Callable[[Image], bool]


class Recovery:
    """Looks for unfinished work and passes it to the handler of the image's status."""

    def __init__(self, layers: Layers):
        self._layers = layers
        self._handlers: dict[str, Handler] = {}
        self._last: Image | None = None     # where the next sweep continues
        self._sweeps = Periodic(self.sweep, layers.leases.interval, 'recovery')

    def register(self, statuses: Iterable[str], handler: Handler) -> None:
        """Let ``handler`` recover images in these statuses.

        :raises ValueError: a status has a handler already.
        """
        for status in statuses:
            if status in self._handlers:
                raise ValueError(f'two handlers for the status {status}')
            self._handlers[status] = handler

    def sweep(self) -> int:
        """Recover images for about one interval.

        An image that cannot be recovered now, for example because its store does not
        answer, does not delay others: the next sweep continues behind it.

        :returns: how many images were recovered.
        """
        layers = self._layers
        end, count = time.monotonic() + layers.leases.interval, 0
        while True:
            images = layers.database.images.unfinished(
                now=layers.host.now(), deleted_before=layers.retention.due_before(),
                limit=PAGE, after=self._last)
            for image in images:
                # where to go on; without what may be large
                self._last = dataclasses.replace(image, properties={}, tags=(), locations=())
                count += self._recover(image)
                if self._sweeps.stopping or time.monotonic() > end:
                    return count
            if not images:      # fewer than PAGE may be as many as the database reads at once
                self._last = None
                return count

    def _recover(self, image: Image) -> bool:
        try:
            return self._handlers[image.status](image)
        except contract.Error as error:
            LOG.warning('image %s cannot be recovered yet: %s', image.id, error)
        except Exception:
            LOG.exception('image %s cannot be recovered', image.id)
        return False

    def start(self) -> None:
        """Sweep regularly from now on."""
        self._sweeps.start()

    def close(self) -> None:
        """Stop sweeping."""
        self._sweeps.close()


def owner_context(image: Image) -> Context:
    """Return a context for work without a caller: it names the owner and has no token.

    Stores with an account for each project find the data by it.
    """
    return Context(project=image.owner)


def discard_leftovers(layers: Layers, image: Image) -> None:
    """Discard what failed uploads left under the former keys of a live image.

    A service may have put data under such a key since, and added its location: it stays.

    :raises Unavailable: a store does not answer.
    """
    for key in image.keys[:-1]:
        name = re.compile(rf'(?<![\w.-]){re.escape(key)}(?![\w.-])')
        if not any(name.search(location.url) for location in image.locations):
            layers.stores.discard(key, ctx=owner_context(image))
