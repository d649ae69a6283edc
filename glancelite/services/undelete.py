"""Undeletes an image whose data is still kept."""

from __future__ import annotations

from glancelite import contract
from glancelite.contract import Image
from glancelite.domain import imports
from glancelite.services import location_deletion, optimistic
from glancelite.services.layers import Layers

#: statuses of images that have no data of their own: their locations, if any, were left by
#: imports that failed, and leave
_WITHOUT_DATA = frozenset({'queued', 'uploading'})
#: statuses in which a request or a task writes data; its deletion has ended that work
_IN_PROGRESS = frozenset({'saving', 'importing'})


def undelete(layers: Layers, image_id: str) -> Image:
    """Give a deleted image the status that it had, with all that belonged to it.

    :raises NotFound: no deleted image with this id has data that is still kept.
    :raises Gone: data is not kept here, is about to be deleted, is missing, or was not complete.
    :raises Unavailable: a store does not answer.
    """
    if not layers.retention.delayed:
        raise contract.Gone('The data of deleted images is not kept: delayed_delete is not set.')
    records = layers.database.images
    try:
        image, status = records.pending_deletion(image_id)
    except contract.NotFound:
        raise contract.NotFound(f'There is no deleted image {image_id} whose data is still '
                                'kept.') from None
    _check_time(layers, image)
    _check_data(layers, image, status)
    _check_time(layers, image)      # stores may take long to answer
    undeleted = records.undelete(image)
    if status in _WITHOUT_DATA:
        location_deletion.restore_marks(layers, image)
    return _without_dead_lock(layers, undeleted)


def _check_time(layers: Layers, image: Image) -> None:
    """Refuse an image whose data the recovery may be deleting, now or in a moment."""
    assert image.deleted_at is not None
    if image.deleted_at < layers.retention.undeletable_after():
        raise contract.Gone(f'Image {image.id} was deleted at {image.deleted_at:%F %T} UTC; its '
                            'data is being deleted. A longer scrub_time, set for all services '
                            'and for this command, keeps data longer.')


def _check_data(layers: Layers, image: Image, status: str) -> None:
    """Refuse an image that lacks the data that belongs to its status."""
    is_locked = imports.lock_of(image.properties) is not None
    if status in _IN_PROGRESS or (status == 'uploading' and (
            is_locked or not imports.is_staged(image.properties))):
        raise contract.Gone(f'Image {image.id} was deleted while its data was written, which '
                            'ended then: there is no complete data.')
    if status in _WITHOUT_DATA:
        return
    try:
        sizes = {layers.stores.size(location) for location in image.locations}
    except contract.NotFound:
        sizes = set()
    if len(sizes) != 1 or image.size not in (None, *sizes):
        raise contract.Gone(f'The data of image {image.id} is missing or incomplete.')


def _without_dead_lock(layers: Layers, image: Image) -> Image:
    """Remove the lock of an import that the deletion has ended: nothing else would."""
    task_id = imports.lock_of(image.properties)
    if task_id is None:
        return image
    try:
        if not layers.database.tasks.get(task_id).is_finished:
            return image        # its process removes the lock
    except contract.NotFound:
        pass
    written = optimistic.update(layers.database.images, image.id, lambda present: (
        {'properties': imports.unlocked({**present.properties, imports.TO_STORES: ''})}
        if imports.lock_of(present.properties) == task_id else None))
    return written or image
