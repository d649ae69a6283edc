"""Deletes the data of one location of an image that has others.

The location is marked first, with a lease: it is not read any more, and the recovery finds it
if this process dies.  Then the data is deleted, then the location is removed.  With delayed
deletion the recovery does everything after the mark.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Location
from glancelite.services import optimistic
from glancelite.services.layers import Layers
from glancelite.services.recovery import owner_context

LOG = logging.getLogger(__name__)


def is_pending(locations: Sequence[Location]) -> bool:
    """Return whether one of the locations is marked for deletion."""
    return any(location.status != 'active' for location in locations)


def mark(layers: Layers, locations: Sequence[Location],
         chosen: Collection[Location]) -> Mapping[str, object]:
    """Return the changes of an image that mark the ``chosen`` of its locations."""
    retention = layers.retention
    return {'lease_until': retention.due() if retention.delayed else layers.leases.until(),
            'locations': tuple(
                dataclasses.replace(location, status='pending_delete')
                if location in chosen else location for location in locations)}


def end_lease(locations: Sequence[Location]) -> Mapping[str, object]:
    """Return the change that ends the lease, unless the recovery needs it for a mark."""
    return {} if is_pending(locations) else {'lease_until': None}


def restore_marks(layers: Layers, before: Image) -> None:
    """Mark again the locations that were marked ``before``: undeleting an image unmarks all."""
    marked = {location.url for location in before.locations if location.status != 'active'}
    if marked:
        optimistic.update(layers.database.images, before.id, lambda present: {
            'locations': tuple(
                dataclasses.replace(location, status='pending_delete')
                if location.url in marked else location for location in present.locations)})


def complete(layers: Layers, ctx: Context, image: Image, chosen: Collection[Location]) -> Image:
    """Delete the data of the ``chosen`` locations, which are marked, and remove them.

    :param chosen: the locations as they were before they were marked.  Other marked ones
        belong to other requests, or to the recovery.
    :returns: the image without them.
    :raises InUse, Forbidden, Unavailable: as the store does; the location stays then.
    """
    if layers.retention.delayed:
        return image
    deleted, kept = set(), set()
    failure = None
    with layers.leases.hold(image):
        for location in chosen:
            try:
                layers.stores.delete(location, ctx=ctx)
                deleted.add(location.url)
            except contract.Error as error:
                kept.add(location.url)
                failure = error
        image = _record(layers, image, deleted, kept)
    if failure is not None:
        raise failure
    return image


def _record(layers: Layers, image: Image, deleted: Collection[str],
            kept: Collection[str]) -> Image:
    """Remove the locations with a URL in ``deleted``, and unmark those in ``kept``."""
    def change(present: Image) -> Mapping[str, object]:
        remaining = tuple(
            dataclasses.replace(location, status='active') if location.url in kept else location
            for location in present.locations if location.url not in deleted)
        return {'locations': remaining, **end_lease(remaining)}

    try:
        written = optimistic.update(layers.database.images, image.id, change)
    except contract.Conflict:
        LOG.warning('the deletion of a location of image %s is left to the recovery', image.id)
        return image
    if written is None:
        return image        # the image was deleted meanwhile
    return dataclasses.replace(written, membership=image.membership)


def recover(layers: Layers, image: Image) -> tuple[Location, ...]:
    """Delete the data of all marked locations, for the recovery.

    :returns: the remaining locations.  If a store refuses, the location is active again; it
        stays marked with delayed deletion, as the request has succeeded already.
    """
    remaining = []
    for location in image.locations:
        if location.status != 'active':
            try:
                layers.stores.delete(location, ctx=owner_context(image))
                continue
            except (contract.InUse, contract.Forbidden) as error:
                LOG.warning('a location of image %s cannot be deleted: %s', image.id, error)
                if not layers.retention.delayed:
                    location = dataclasses.replace(location, status='active')
        remaining.append(location)
    return tuple(remaining)
