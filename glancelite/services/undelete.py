"""Undeletes an image whose data is still kept."""

from __future__ import annotations

import datetime

from glancelite import contract
from glancelite.contract import Image
from glancelite.contract.query import id_forms
from glancelite.services.layers import Layers

#: before any lease
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def undelete(layers: Layers, image_id: str) -> Image:
    """Make a deleted image active again, with all that belonged to it.

    :raises NotFound: no deleted image with this id has data that is still kept.
    :raises Gone: data is not kept here, is about to be deleted, or is missing.
    :raises Unavailable: a store does not answer.
    """
    if not layers.retention.delayed:
        raise contract.Gone('The data of deleted images is not kept: delayed_delete is not set.')
    image = _pending(layers, image_id)
    _check_time(layers, image)
    try:
        sizes = {layers.stores.size(location) for location in image.locations}
    except contract.NotFound:
        sizes = set()
    if len(sizes) != 1 or image.size not in (None, *sizes):
        raise contract.Gone(f'The data of image {image_id} is missing or incomplete.')
    _check_time(layers, image)      # stores may take long to answer
    return layers.database.images.undelete(image)


def _check_time(layers: Layers, image: Image) -> None:
    """Refuse an image whose data the recovery may be deleting, now or in a moment."""
    assert image.deleted_at is not None
    if image.deleted_at < layers.retention.undeletable_after():
        raise contract.Gone(f'Image {image.id} was deleted at {image.deleted_at:%F %T} UTC; its '
                            'data is being deleted. A longer scrub_time, set for all services '
                            'and for this command, keeps data longer.')


def _pending(layers: Layers, image_id: str) -> Image:
    """Return the image as it was deleted."""
    last = None
    while images := layers.database.images.unfinished(
            now=_EPOCH, deleted_before=layers.host.now(), after=last):
        for image in images:
            if image.id in id_forms(image_id):
                return image
        last = images[-1]
    raise contract.NotFound(f'There is no deleted image {image_id} whose data is still kept.')
