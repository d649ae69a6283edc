"""Recovery: finishes or undoes work that processes left unfinished.

A sweep finds images whose lease has expired, and deletions that are due.  For each status,
the use case that sets it registers a handler.

All processes share the sweeps: the images are divided into parts, and a process claims the part
that it sweeps, as it claims a task.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from glancelite import contract
from glancelite.contract import Context, Image, Task
from glancelite.services.layers import Layers
from glancelite.services.periodic import Periodic

LOG = logging.getLogger(__name__)

#: images that a sweep reads at once
PAGE = 100
#: parts into which the images are divided
PARTS = 4
#: type of the tasks of the sweeps; users do not see them
TYPE = 'sweep'
_NAMES = uuid.UUID('6f1c1a53-8a0c-4d7a-9f53-2f4b1d3c9e10')

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
        self._chores: list[Callable[[], None]] = []
        #: part, or None for all -> the image behind which the next sweep continues
        self._last: dict[int | None, Image] = {}
        self._sweeps = Periodic(self.sweep_parts, layers.leases.interval, 'recovery')

    def register(self, statuses: Iterable[str], handler: Handler) -> None:
        """Let ``handler`` recover images in these statuses.

        :raises ValueError: a status has a handler already.
        """
        for status in statuses:
            if status in self._handlers:
                raise ValueError(f'two handlers for the status {status}')
            self._handlers[status] = handler

    def register_chore(self, chore: Callable[[], None]) -> None:
        """Let one process at a time call ``chore`` regularly."""
        self._chores.append(chore)

    def sweep_parts(self) -> int:
        """Sweep the parts that no other process sweeps now, or has swept a moment ago.

        :returns: how many images were recovered.
        """
        layers, tasks, count = self._layers, self._layers.database.tasks, 0
        interval = layers.leases.interval
        for part in range(PARTS):
            if self._sweeps.stopping:
                break
            task_id = str(uuid.uuid5(_NAMES, f'{TYPE} {part}'))
            # A sweep lasts an interval and the recovery of one image.  If this lasts longer,
            # two processes sweep the part, which does no harm.
            claimed = self._claim(task_id, 3 * interval)
            if claimed is None:
                continue
            try:
                count += self.sweep(part)
                for chore in self._chores if part == 0 else ():
                    chore()
            finally:
                # half an interval: the calls of each process are one interval apart
                with contextlib.suppress(contract.Conflict, contract.NotFound):
                    tasks.update(claimed, {}, release=True, pause=interval / 2)
        return count

    def _claim(self, task_id: str, seconds: float) -> Task | None:
        """Claim the task of a part; add it first if there is none yet."""
        host, tasks = self._layers.host, self._layers.database.tasks

        def claim() -> Task | None:
            return tasks.claim(holder=f'{host.node}/{os.getpid()}', node=host.node,
                               seconds=seconds, types=(TYPE,), task_id=task_id)

        claimed = claim()
        if claimed is not None:
            return claimed
        try:
            tasks.get(task_id)
        except contract.NotFound:
            with contextlib.suppress(contract.Conflict):
                tasks.add(Task(task_id, TYPE))
            return claim()
        return None

    def sweep(self, part: int | None = None) -> int:
        """Recover images for about one interval.

        :param part: of the images; None for all.

        An image that cannot be recovered now, for example because its store does not
        answer, does not delay others: the next sweep continues behind it.

        :returns: how many images were recovered.
        """
        layers = self._layers
        end, count = time.monotonic() + layers.leases.interval, 0
        while True:
            images = layers.database.images.unfinished(
                now=layers.host.now(), deleted_before=layers.retention.due_before(),
                limit=PAGE, after=self._last.get(part))
            for image in images:
                # where to go on; without what may be large
                self._last[part] = dataclasses.replace(
                    image, properties={}, tags=(), locations=())
                if part in (None, zlib.crc32(image.id.encode()) % PARTS):
                    count += self._recover(image)
                if self._sweeps.stopping or time.monotonic() > end:
                    return count
            if not images:      # fewer than PAGE may be as many as the database reads at once
                self._last.pop(part, None)
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
    """Discard what failed uploads and imports left under the former keys of a live image.

    A service may have put data under such a key since, and added its location: it stays.

    :raises Unavailable: a store does not answer.
    """
    stores = layers.stores
    for key in image.keys[:-1]:
        name = re.compile(rf'(?<![\w.-]){re.escape(key)}(?![\w.-])')
        used = {store.name if (store := stores.find(location)) else None
                for location in image.locations if name.search(location.url)}
        if not used:
            stores.discard(key, ctx=owner_context(image))
        elif None not in used:
            for store_name in stores.names:
                if store_name not in used:
                    stores.discard(key, store=store_name, ctx=owner_context(image))
