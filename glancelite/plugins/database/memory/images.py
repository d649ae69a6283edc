"""Images in memory."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from glancelite import contract
from glancelite.contract import query as queries
from glancelite.contract.query import ImageQuery, Viewer
from glancelite.contract.values import Image, Page, Usage
from glancelite.plugins.database.memory.records import Records, image_not_found
from glancelite.support.memory import ORDINARY, Budget, holding

#: fields that ``update`` can change
_UPDATABLE = frozenset(contract.IMAGE_FIELDS) - {
    'id', 'revision', 'membership', 'created_at', 'updated_at', 'deleted_at'}
_DELETED_STATUSES = frozenset({'deleted', 'pending_delete', 'killed'})
#: statuses in which an image counts with its size before it has a location
_RESERVING = frozenset({'saving', 'importing'})
_UPLOAD_STATUSES = frozenset({'saving', 'uploading', 'importing'})


class MemoryImages(contract.ImageRecords):

    def __init__(self, records: Records, host: contract.Host):
        self._records = records
        self._host = host
        self._budget = Budget()

    def add(self, image: Image) -> Image:
        now = self._host.now()
        added = dataclasses.replace(
            image, **_canonical(image.tags, image.properties, image.locations),
            created_at=now, updated_at=now, deleted_at=None, revision=0, membership=None)
        records = self._records
        with records.lock:
            if image.id in records.images or image.id in records.deleted_images:
                raise contract.Conflict(f'the image id {image.id} is in use')
            records.images[image.id] = added
        return added

    def is_used(self, image_id: str) -> bool:
        records = self._records
        with records.lock:
            return any(form in records.images or form in records.deleted_images
                       for form in queries.id_forms(image_id))

    def withdraw(self, image: Image) -> None:
        with self._records.lock:
            if self._records.images.get(image.id) == image:
                del self._records.images[image.id]
                self._records.members.pop(image.id, None)
                return
        self.delete(image, pending=False)

    def get(self, image_id: str, *, viewer: Viewer | None) -> Image:
        with self._records.lock:
            found = (self._records.images.get(form) for form in queries.id_forms(image_id))
            image = next((image for image in found if image is not None), None)
            if image is not None and viewer is not None:
                image = self._with_membership_locked(image, viewer)
        if image is None or (viewer is not None and not viewer.may_see(image)):
            raise image_not_found(image_id)
        return self._page([image])[0]

    def _page(self, images: Sequence[Image]) -> tuple[Image, ...]:
        """Return the first images, as many as fit a page.

        They share the memory of the records; but each may become an answer of its size, so
        what large ones need is limited.
        """
        size, page = 0, list[Image]()
        for image in images:
            size += _size(image)
            if size > queries.PAGE_SIZE and page:
                break
            page.append(image)
        if size <= ORDINARY:
            return tuple(page)
        held = self._budget.take(size)
        return tuple([holding(image, held) for image in page])

    def list(self, query: ImageQuery) -> Page[Image]:
        with self._records.lock:
            images = [self._with_membership_locked(image, query.viewer)
                      for image in self._records.images.values()]
        images = queries.ordered(query, [i for i in images if queries.matches(query, i)])
        if query.after is not None:
            compare = functools.partial(queries.compare, query, query.after)
            images = [image for image in images if compare(image) < 0]
        page = self._page(images[:query.limit])
        return Page(page, more=len(images) > len(page))

    def _with_membership_locked(self, image: Image, viewer: Viewer) -> Image:
        membership = self._records.membership(image.id, viewer.project)
        return dataclasses.replace(image, membership=membership) if membership else image

    def update(self, image: Image, changes: Mapping[str, object], *,
               status: Collection[str] | None = None) -> Image:
        unknown = changes.keys() - _UPDATABLE
        if unknown:
            raise TypeError(f'update() cannot change {", ".join(sorted(unknown))}')
        now = self._host.now()
        records = self._records
        with records.lock:
            present = records.images.get(image.id)
            if present is None:
                raise image_not_found(image.id)
            if present.revision != image.revision or (
                    status is not None and present.status not in status):
                raise contract.Conflict(f'image {image.id} was changed in the meantime',
                                        status=present.status, revision=present.revision)
            values: dict[str, Any] = {**changes, **_canonical(
                changes.get('tags', present.tags),
                changes.get('properties', present.properties),
                changes.get('locations', present.locations))}
            written = dataclasses.replace(
                present, **values, updated_at=now, revision=present.revision + 1)
            records.images[image.id] = written
        return dataclasses.replace(written, membership=image.membership)

    def delete(self, image: Image, *, pending: bool) -> Image:
        now = self._host.now()
        status = 'pending_delete' if pending else 'deleted'
        records = self._records
        with records.lock:
            present = records.images.get(image.id)
            if present is None:
                raise image_not_found(image.id)
            if present.protected and not image.protected:
                raise contract.Conflict(f'image {image.id} is protected now')
            del records.images[image.id]
            deleted = dataclasses.replace(
                _with_status(present, status), updated_at=now, deleted_at=now,
                revision=present.revision + 1)
            records.deleted_images[image.id] = deleted
            if pending:
                records.statuses_before[image.id] = present.status
        return dataclasses.replace(deleted, membership=image.membership)

    def pending_deletion(self, image_id: str) -> tuple[Image, str]:
        records = self._records
        with records.lock:
            for form in queries.id_forms(image_id):
                image = records.deleted_images.get(form)
                if image is not None and image.status == 'pending_delete':
                    return image, records.statuses_before[image.id]
        raise image_not_found(image_id)

    def undelete(self, image: Image, *, status: str | None = None) -> Image:
        now = self._host.now()
        records = self._records
        with records.lock:
            deleted = self._pending_deletion_locked(image)
            if deleted is None:
                raise contract.Conflict(f'image {image.id} is not pending deletion')
            del records.deleted_images[image.id]
            before = records.statuses_before.pop(image.id)
            restored = dataclasses.replace(
                _with_status(deleted, 'active'), status=status or before, updated_at=now,
                deleted_at=None, revision=deleted.revision + 1)
            records.images[image.id] = restored
        return dataclasses.replace(restored, membership=image.membership)

    def complete_delete(self, image: Image) -> None:
        records = self._records
        with records.lock:
            deleted = self._pending_deletion_locked(image)
            if deleted is not None:
                records.deleted_images[image.id] = _with_status(deleted, 'deleted')
                del records.statuses_before[image.id]
                records.members.pop(image.id, None)

    def _pending_deletion_locked(self, image: Image) -> Image | None:
        """Return the record, if the deletion that returned ``image`` is still pending."""
        deleted = self._records.deleted_images.get(image.id)
        if (deleted is not None and deleted.status == 'pending_delete'
                and deleted.deleted_at == image.deleted_at):
            return deleted
        return None

    def renew_leases(self, image_ids: Collection[str], *, until: datetime.datetime) -> None:
        images = self._records.images
        with self._records.lock:
            for image_id in image_ids:
                image = images.get(image_id)
                if image is not None and image.lease_until is not None and (
                        image.lease_until < until):
                    images[image_id] = dataclasses.replace(image, lease_until=until)

    def unfinished(self, *, now: datetime.datetime, deleted_before: datetime.datetime,
                   limit: int = 100, after: Image | None = None) -> Sequence[Image]:
        with self._records.lock:
            images = list(self._records.images.values())
            deleted_images = list(self._records.deleted_images.values())
        expired = [i for i in images if i.lease_until is not None and i.lease_until <= now]
        pending = [i for i in deleted_images if i.status == 'pending_delete'
                   and i.deleted_at is not None and i.deleted_at < deleted_before]
        unfinished = sorted(expired + pending, key=_unfinished_order)
        if after is not None:
            unfinished = [i for i in unfinished
                          if _unfinished_order(i) > _unfinished_order(after)]
        return self._page(unfinished[:limit])

    def usage(self, project: str) -> Usage:
        with self._records.lock:
            images = [image for image in self._records.images.values()
                      if image.owner == project and image.status not in _DELETED_STATUSES]
        return Usage(
            images=len(images),
            bytes=sum((i.size or 0) * max(len(i.active_locations), i.status in _RESERVING)
                      for i in images),
            staged=sum(i.size or 0 for i in images if i.status in ('uploading', 'importing')),
            uploading=sum(i.status in _UPLOAD_STATUSES for i in images))


def _canonical(tags: Any, properties: Any, locations: Any) -> dict[str, Any]:
    """Return copies of collections that the caller cannot change afterwards."""
    return {'tags': tuple(sorted(set(tags))),
            'properties': MappingProxyType(dict(properties)),
            'locations': tuple(locations)}


def _unfinished_order(image: Image) -> Any:
    is_deleted = image.deleted_at is not None
    return is_deleted, image.deleted_at if is_deleted else image.lease_until, image.id


def _with_status(image: Image, status: str) -> Image:
    """Return ``image`` with this status, also of its locations."""
    return dataclasses.replace(image, status=status, locations=tuple(
        dataclasses.replace(location, status=status) for location in image.locations))


def _size(image: Image) -> int:
    """Return about how many bytes the properties, tags and locations of an image have."""
    return (sum(map(len, image.properties)) + sum(map(len, image.properties.values()))
            + sum(map(len, image.tags))
            + sum(len(location.url) + len(str(location.metadata)) for location in image.locations))
