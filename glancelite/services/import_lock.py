"""The lock of an image, as others than its import see it."""

from __future__ import annotations

import datetime
import logging

from glancelite import contract
from glancelite.contract import Image
from glancelite.domain import imports
from glancelite.services.layers import Layers

LOG = logging.getLogger(__name__)

#: a lock of Glance whose task did not change for so long is broken, as Glance does
FOREIGN_LOCK_TIME = {'processing': datetime.timedelta(minutes=60),
                     'pending': datetime.timedelta(minutes=120)}
#: a request locks the image, and records the task a moment later; after this time it has died
RECORD_TIME = datetime.timedelta(seconds=60)


def holder_of(layers: Layers, image: Image) -> str | None:
    """Return the id of the task that has locked an image; None if no living one has."""
    task_id = imports.lock_of(image.properties)
    if task_id is None:
        return None
    now = layers.host.now()
    try:
        task = layers.database.tasks.get(task_id)
    except contract.NotFound:
        is_young = image.updated_at is not None and now - image.updated_at < RECORD_TIME
        return task_id if is_young else None
    if task.is_finished:
        return None
    foreign = 'version' not in task.journal
    if foreign and task.updated_at is not None and (
            now - task.updated_at > FOREIGN_LOCK_TIME[task.status]):
        LOG.warning('image %s was locked by task %s of another service, which did not '
                    'change since %s', image.id, task_id, task.updated_at)
        return None
    return task_id


def check(layers: Layers, image: Image) -> dict[str, str]:
    """Check that no import has locked an image.

    :returns: its properties, without the lock of a task that is gone.
    :raises Conflict: one has.
    """
    task_id = holder_of(layers, image)
    if task_id is not None:
        raise contract.Conflict(f'Image {image.id} is being imported by task {task_id}.')
    return imports.unlocked(image.properties)
