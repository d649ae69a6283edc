"""Taking a copy away from an image that has others.

The copy is marked first, with a lease, so that nobody reads it any more and the
sweep finds it if we die; then its bytes go, and then what is recorded of it. Where
deletions are delayed, all that comes after the mark is the sweep's.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Location
from glancelite.services.layers import Layers
from glancelite.services.optimistic import persist

LOG = logging.getLogger(__name__)


def leaving(layers: Layers, locations: Sequence[Location],
            gone: Collection[Location]) -> Mapping[str, object]:
    """The changes after which nobody reads those copies that are ``gone``."""
    leases = layers.leases
    return {'lease_until': leases.until_swept() if leases.delayed else leases.until(),
            'locations': tuple(
                dataclasses.replace(one, status='pending_delete') if one in gone else one
                for one in locations)}


def without_lease(locations: Sequence[Location]) -> Mapping[str, object]:
    """The change that ends the lease, unless the sweep needs it for what is leaving."""
    return {'lease_until': None} if all(one.status == 'active' for one in locations) else {}


def mark(layers: Layers, before: Image) -> None:
    """Mark anew what was leaving ``before``, as a deletion that was taken back forgets it."""
    leaving = {one.url for one in before.locations if one.status != 'active'}
    if leaving:
        persist(layers.database.images, before.id, lambda present: {'locations': tuple(
            dataclasses.replace(one, status='pending_delete') if one.url in leaving else one
            for one in present.locations)})


def finish(layers: Layers, ctx: Context, image: Image, own: Collection[Location]) -> Image:
    """Remove the bytes of those copies of ``image`` that are leaving, then their records.

    :param own: the copies, as they were before they were marked. Others may be leaving as well:
        those are the business of whoever has marked them, or of the sweep.
    :returns: the image without them.
    :raises InUse, Forbidden, Unavailable: as the store says; the copy is as before then.
    """
    if layers.leases.delayed:
        return image
    gone, back = set(), set()
    failure = None
    with layers.leases.hold(image):
        for location in own:
            try:
                layers.stores.delete(location, ctx=ctx)
                gone.add(location.url)
            except contract.Error as error:
                back.add(location.url)
                failure = error
        image = _settle(layers, image, gone, back)
    if failure is not None:
        raise failure
    return image


def _settle(layers: Layers, image: Image, gone: Collection[str],
            back: Collection[str]) -> Image:
    def change(present: Image) -> Mapping[str, object]:
        left = tuple(
            dataclasses.replace(one, status='active') if one.url in back else one
            for one in present.locations if one.url not in gone)
        return {'locations': left, **without_lease(left)}

    try:
        written = persist(layers.database.images, image.id, change)
    except contract.Conflict:
        LOG.warning('the removal of a copy of image %s is left to the sweep', image.id)
        return image
    if written is None:
        return image        # deleted meanwhile, with all that belongs to it
    return dataclasses.replace(written, membership=image.membership)
