"""Bringing back an image that was deleted, as long as its data is kept."""

from __future__ import annotations

import datetime

from glancelite import contract
from glancelite.contract import Image
from glancelite.services.layers import Layers

#: no lease is as old
_BEFORE_ALL = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def restore(layers: Layers, image_id: str) -> Image:
    """Make a deleted image active again, whatever it was, with all that belonged to it.

    :returns: the image.
    :raises NotFound: no deleted image of this id waits for the removal of its data.
    :raises Gone: data is not kept here, its time is over, or some of it is not there any more.
    :raises Unavailable: a store cannot be asked whether the data is there.
    """
    if not layers.leases.delayed:
        raise contract.Gone('The data of deleted images is not kept: delayed_delete is not set.')
    image = _waiting(layers, image_id)
    _check_time(layers, image)
    try:
        sizes = {layers.stores.size(location) for location in image.locations}
    except contract.NotFound:
        sizes = set()
    if sizes != {image.size}:
        raise contract.Gone(f'The data of image {image_id} is not there any more, or not all '
                            'of it.')
    _check_time(layers, image)      # stores may take long to answer
    return layers.database.images.undelete(image)


def _check_time(layers: Layers, image: Image) -> None:
    """Leave alone what is the sweep's, or may be in a moment: it may be losing its bytes."""
    assert image.deleted_at is not None
    if image.deleted_at < layers.leases.safe_after():
        raise contract.Gone(f'Image {image.id} was deleted at {image.deleted_at:%F %T} UTC; its '
                            'data is being removed. With a longer scrub_time, for all services '
                            'and for this command, it would be kept longer.')


def _waiting(layers: Layers, image_id: str) -> Image:
    """The image as it was removed."""
    last = None
    while found := layers.database.images.unfinished(
            now=_BEFORE_ALL, deleted_before=layers.host.now(), after=last):
        for image in found:
            if image.id == image_id:
                return image
        last = found[-1]
    raise contract.NotFound(f'No deleted image {image_id} waits for the removal of its data.')
