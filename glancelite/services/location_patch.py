"""The changes of one JSON patch to the locations of an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import Context, Image, Location, QuotaRequest
from glancelite.domain import digests, status
from glancelite.domain.patch import Operation
from glancelite.services import import_lock, location_deletion
from glancelite.services.layers import Layers


class LocationPatch:
    """Applies the operations on ``/locations`` of one patch to one image.

    It writes nothing; ``changes`` returns what to write.

    :param sizes: URL -> bytes, as found by earlier tries of the same patch; extended here.
    :param algorithm: of ``os_hash_value`` in this service.
    """

    def __init__(self, layers: Layers, ctx: Context, image: Image, sizes: dict[str, int], *,
                 algorithm: str):
        self._layers = layers
        self._ctx = ctx
        self._image = image
        self._sizes = sizes
        self._algorithm = algorithm
        self._locations = list(image.active_locations)
        self._removed: list[Location] = []
        self._facts: dict[str, object] = {}
        self._touched = False

    def apply(self, step: Operation) -> None:
        """
        :raises Forbidden: the caller may not do this, or the change is not allowed.
        :raises Conflict: the status does not allow it, or the hashes differ.
        :raises Invalid: there is no such position, or no store reads this URL.
        :raises QuotaExceeded: too many locations.
        """
        self._touched = True
        if step.op == 'remove':
            self._remove(step.path[1])
            return
        self._layers.policy.enforce(self._ctx, 'set_image_location', self._image)
        status.check_operation('set_locations', self._image)
        if self._image.status == 'queued':
            import_lock.check(self._layers, self._image)
        self._facts.update(digests.new_hashes(
            self._image, [value['validation_data'] for value in step.value
                          if value.get('validation_data')], self._algorithm))
        if step.op == 'add':
            position = _position(step.path[1], len(self._locations))
            if position is None:
                raise contract.Invalid('Invalid position for adding a location.')
            self._insert(position, step.value[0])
        else:
            self._replace(step.value)
        self._layers.quota.check(self._ctx, QuotaRequest(
            'set_image_location', self._image.owner, locations=len(self._locations),
            image=self._image))

    def changes(self) -> Mapping[str, object]:
        """Return the changes for ``ImageRecords.update``."""
        if not self._touched:
            return {}
        pending = [location for location in self._image.locations
                   if location.status != 'active']
        changes: dict[str, object] = {'locations': (*self._locations, *pending), **self._facts}
        if self._removed:
            changes.update(location_deletion.mark(
                self._layers, (*self._locations, *pending, *self._removed), self._removed))
        if self._facts.get('size') == 0:
            changes['lease_until'] = self._layers.leases.until()    # the recovery reads the data
        if self._image.status == 'queued' and self._locations:
            changes.update(status.transition(self._image, 'active'))
        return changes

    @property
    def added_bytes(self) -> int:
        """By how many bytes the image counts more for the quota after the changes."""
        new = len(self._locations) + len(self._removed) - len(self._image.active_locations)
        size = self._facts.get('size', self._image.size)
        return new * size if isinstance(size, int) else 0

    @property
    def removed(self) -> Sequence[Location]:
        """The locations whose data is to be deleted after the changes are written."""
        return self._removed

    def _replace(self, value: list[Mapping[str, Any]]) -> None:
        if not value:
            raise contract.Forbidden('The locations of an image cannot be emptied.')
        if not self._locations:
            for each in value:
                self._insert(len(self._locations), each)
            return
        # old locations that differ only in their secrets are displayed alike
        remaining = [(location, self._layers.stores.for_display(location))
                     for location in self._locations]
        if sorted(each['url'] for each in value) != sorted(shown.url for _, shown in remaining):
            raise contract.Invalid('Locations can only be replaced by the same locations in '
                                   'another order, or with other metadata.')
        self._locations = []
        for each in value:
            pair = next(pair for pair in remaining if pair[1].url == each['url'])
            remaining.remove(pair)
            self._locations.append(self._described(*pair, each))

    def _described(self, location: Location, shown: Location,
                   value: Mapping[str, Any]) -> Location:
        """Return the location with the metadata of ``value``, but with the real store."""
        metadata = dict(value.get('metadata') or {})
        metadata.pop('store', None)
        if shown.store is not None:
            metadata['store'] = shown.store
        return dataclasses.replace(location, metadata=metadata)

    def _insert(self, position: int, value: Mapping[str, Any]) -> None:
        metadata = dict(value.get('metadata') or {})
        name = metadata.pop('store', None) or metadata.pop('backend', None)
        if name is not None and not isinstance(name, str):
            raise contract.Invalid("'store' in the metadata of a location must be a name.")
        stores = self._layers.stores
        location = stores.adopt(value['url'], name=name, metadata=metadata, ctx=self._ctx)
        if any(other.url == location.url and other.status != 'active'
               for other in self._image.locations):
            raise contract.Invalid('The data at this location is being deleted.')
        if any(other.url == location.url
               for other in (*self._image.locations, *self._locations)):
            raise contract.Invalid('The image has this location already.')
        size = self._size(location)
        known = self._facts.get('size', self._image.size) if self._locations else None
        if known and size and size != known:    # 0 is an unknown size
            raise contract.Conflict(f'There are {size} bytes at this location; the image '
                                    f'has {known}.')
        if not self._locations:
            self._facts['size'] = size
        self._locations.insert(position, location)

    def _size(self, location: Location) -> int:
        size = self._sizes.get(location.url)
        if size is None:
            try:
                size = self._layers.stores.size(location, ctx=self._ctx)
            except contract.NotFound:
                raise contract.Invalid('There is no data at this location.') from None
            self._sizes[location.url] = size
        # some web servers say only with the data how long it is
        if not size and not self._layers.stores.is_public(location.url):
            raise contract.Invalid('The data at this location is empty.')
        return size

    def _remove(self, text: str) -> None:
        self._layers.policy.enforce(self._ctx, 'delete_image_location', self._image)
        status.check_operation('remove_location', self._image)
        if len(self._locations) < 2:
            raise contract.Forbidden('The last location of an image cannot be removed.')
        position = _position(text, len(self._locations) - 1)
        if position is None:
            raise contract.Invalid('Invalid position for removing a location.')
        removed = self._locations.pop(position)
        if removed in self._image.locations:
            self._removed.append(removed)


def _position(text: str, last: int) -> int | None:
    """Return the position that ends a path, a number or ``-``; None if it is invalid."""
    if text == '-':
        return last
    # Python refuses to parse numbers with thousands of digits
    if text.isascii() and text.isdecimal() and len(text) <= len(str(last)) and (
            int(text) <= last):
        return int(text)
    return None
