"""The locations of an image as one patch changes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import Context, Image, Location, QuotaRequest
from glancelite.domain import digests, status
from glancelite.domain.patch import Operation
from glancelite.services import location_deletion
from glancelite.services.layers import Layers


class Places:
    """Follows the operations on ``/locations`` of one patch of one image.

    Nothing is written: ``changes`` says what is to be.

    :param sizes: URL -> bytes, of what an earlier try of the same patch has looked at.
    :param algorithm: of ``os_hash_value`` in this service.
    """

    def __init__(self, layers: Layers, ctx: Context, image: Image, sizes: dict[str, int], *,
                 algorithm: str):
        self._layers = layers
        self._ctx = ctx
        self._image = image
        self._sizes = sizes
        self._algorithm = algorithm
        self._copies = list(image.active_locations)
        self._removed: list[Location] = []
        self._facts: dict[str, object] = {}
        self._touched = False

    def apply(self, step: Operation) -> None:
        """
        :raises Forbidden: not to this caller, or this must not be done.
        :raises Conflict: not in this status, or the hashes are others.
        :raises Invalid: no such place, or no store reads this URL.
        :raises QuotaExceeded: too many locations.
        """
        self._touched = True
        if step.op == 'remove':
            self._remove(step.path[1])
            return
        self._layers.policy.enforce(self._ctx, 'set_image_location', self._image)
        status.require('set_locations', self._image)
        self._facts.update(digests.news(
            self._image, [value['validation_data'] for value in step.value
                          if value.get('validation_data')], self._algorithm))
        if step.op == 'add':
            place = _position(step.path[1], len(self._copies))
            if place is None:
                raise contract.Invalid('Invalid position for adding a location.')
            self._insert(place, step.value[0])
        else:
            self._replace(step.value)
        self._layers.quota.check(self._ctx, QuotaRequest('set_image_location', self._image.owner,
                                                locations=len(self._copies)))

    def changes(self) -> Mapping[str, object]:
        """For ``ImageRecords.update``."""
        if not self._touched:
            return {}
        others = [one for one in self._image.locations if one.status != 'active']
        changes: dict[str, object] = {'locations': (*self._copies, *others), **self._facts}
        if self._removed:
            changes.update(location_deletion.leaving(
                self._layers, (*self._copies, *others, *self._removed), self._removed))
        if self._image.status == 'queued' and self._copies:
            changes.update(status.move(self._image, 'active'))
        return changes

    @property
    def added(self) -> int:
        """How many bytes more the image counts for when the changes are written."""
        new = len(self._copies) + len(self._removed) - len(self._image.active_locations)
        size = self._facts.get('size', self._image.size)
        return new * size if isinstance(size, int) else 0

    @property
    def removed(self) -> Sequence[Location]:
        """Whose bytes are to be removed when the changes are written."""
        return self._removed

    def _replace(self, value: list[Mapping[str, Any]]) -> None:
        if not value:
            raise contract.Forbidden('An image cannot be left without locations this way.')
        if not self._copies:
            for each in value:
                self._insert(len(self._copies), each)
            return
        # old ones that differ in their secrets only are shown alike
        left = [(one, self._layers.stores.placed(one)) for one in self._copies]
        if sorted(each['url'] for each in value) != sorted(shown.url for _, shown in left):
            raise contract.Invalid('The locations of an image that has some can only be put into '
                                   'another order, or get other metadata.')
        self._copies = []
        for each in value:
            pair = next(pair for pair in left if pair[1].url == each['url'])
            left.remove(pair)
            self._copies.append(self._described(*pair, each))

    def _described(self, kept: Location, shown: Location, value: Mapping[str, Any]) -> Location:
        """The same place with the metadata of ``value``; in which store it is, we know better."""
        metadata = dict(value.get('metadata') or {})
        metadata.pop('store', None)
        if shown.store is not None:
            metadata['store'] = shown.store
        return dataclasses.replace(kept, metadata=metadata)

    def _insert(self, position: int, value: Mapping[str, Any]) -> None:
        metadata = dict(value.get('metadata') or {})
        name = metadata.pop('store', None) or metadata.pop('backend', None)
        if name is not None and not isinstance(name, str):
            raise contract.Invalid("'store' in the metadata of a location is the name of one.")
        stores = self._layers.stores
        location = stores.adopt(value['url'], name=name, metadata=metadata, ctx=self._ctx)
        if any(one.url == location.url and one.status != 'active'
               for one in self._image.locations):
            raise contract.Invalid('The data at this location is being removed.')
        if any(one.url == location.url for one in (*self._image.locations, *self._copies)):
            raise contract.Invalid('The image has this location already.')
        size = self._size(location)
        known = self._facts.get('size', self._image.size) if self._copies else None
        if known is not None and size != known:
            raise contract.Conflict(f'There are {size} bytes at this location; the image '
                                    f'has {known}.')
        if not self._copies:
            self._facts['size'] = size
        self._copies.insert(position, location)

    def _size(self, location: Location) -> int:
        size = self._sizes.get(location.url)
        if size is None:
            try:
                size = self._layers.stores.size(location, ctx=self._ctx)
            except contract.NotFound:
                raise contract.Invalid('There is no data at this location.') from None
            self._sizes[location.url] = size
        if not size:
            raise contract.Invalid('The data at this location is empty.')
        return size

    def _remove(self, place: str) -> None:
        self._layers.policy.enforce(self._ctx, 'delete_image_location', self._image)
        status.require('remove_location', self._image)
        if len(self._copies) < 2:
            raise contract.Forbidden('The last location of an image cannot be removed.')
        position = _position(place, len(self._copies) - 1)
        if position is None:
            raise contract.Invalid('Invalid position for removing a location.')
        gone = self._copies.pop(position)
        if gone in self._image.locations:
            self._removed.append(gone)


def _position(place: str, last: int) -> int | None:
    """What the end of a path means, be it the number of a place or ``-``; None for nothing."""
    if place == '-':
        return last
    # a number of thousands of digits is one that Python refuses to read
    if place.isascii() and place.isdecimal() and len(place) <= len(str(last)) and (
            int(place) <= last):
        return int(place)
    return None
