"""The database ``memory``: records in this process, gone with it."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from glancelite import contract
from glancelite.contract import query as queries
from glancelite.contract.query import ImageQuery, Viewer
from glancelite.contract.values import Image, Member, Page, Usage

#: what ``update`` may not write
_FIXED = frozenset({'id', 'revision', 'membership', 'created_at', 'updated_at', 'deleted_at'})
_FIELDS = frozenset(contract.IMAGE_FIELDS) - _FIXED
_GONE = frozenset({'deleted', 'pending_delete', 'killed'})


class MemoryDatabase(contract.Database):
    """For trials and tests: one process, nothing is kept."""

    VOLATILE = True

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        records = _Records()
        self._images = MemoryImages(records, host)
        self._members = MemoryMembers(records, host)

    @property
    def images(self) -> MemoryImages:
        return self._images

    @property
    def members(self) -> MemoryMembers:
        return self._members

    def health(self) -> str:
        return 'in memory'


class _Records:
    """What both halves share; whoever touches it holds the lock."""

    def __init__(self):
        self.lock = threading.Lock()
        self.images: dict[str, Image] = {}
        self.removed: dict[str, Image] = {}
        #: image id -> project -> member, in the order in which they came
        self.members: dict[str, dict[str, Member]] = {}

    def membership(self, image_id: str, project: str | None) -> str | None:
        member = self.members.get(image_id, {}).get(project)  # type: ignore[arg-type]
        return member.status if member else None


class MemoryImages(contract.ImageRecords):

    def __init__(self, records: _Records, host: contract.Host):
        self._records = records
        self._host = host

    def add(self, image):
        now = self._host.now()
        kept = dataclasses.replace(
            image, **_canonical(image.tags, image.properties, image.locations),
            created_at=now, updated_at=now, deleted_at=None, revision=0, membership=None)
        records = self._records
        with records.lock:
            if image.id in records.images or image.id in records.removed:
                raise contract.Conflict(f'the image id {image.id} is taken')
            records.images[image.id] = kept
        return kept

    def get(self, image_id, *, viewer):
        with self._records.lock:
            image = self._records.images.get(image_id)
            if image is not None and viewer is not None:
                image = self._seen(image, viewer)
        if image is None or (viewer is not None and not viewer.may_see(image)):
            raise _not_found(image_id)
        return image

    def list(self, query: ImageQuery) -> Page[Image]:
        with self._records.lock:
            found = [self._seen(image, query.viewer) for image in self._records.images.values()]
        found = queries.ordered(query, [i for i in found if queries.matches(query, i)])
        if query.after is not None:
            beyond = functools.partial(queries.compare, query, query.after)
            found = [image for image in found if beyond(image) < 0]
        if query.limit is None:
            return Page(tuple(found))
        return Page(tuple(found[:query.limit]), more=len(found) > query.limit)

    def _seen(self, image: Image, viewer: Viewer) -> Image:
        membership = self._records.membership(image.id, viewer.project)
        return dataclasses.replace(image, membership=membership) if membership else image

    def update(self, image, changes, *, status=None):
        unknown = changes.keys() - _FIELDS
        if unknown:
            raise TypeError(f'update() cannot write {", ".join(sorted(unknown))}')
        now = self._host.now()
        records = self._records
        with records.lock:
            present = records.images.get(image.id)
            if present is None:
                raise _not_found(image.id)
            if present.revision != image.revision or (
                    status is not None and present.status not in status):
                raise contract.Conflict(f'image {image.id} has changed meanwhile',
                                        status=present.status, revision=present.revision)
            kept = dataclasses.replace(
                present, **{**changes, **_canonical(
                    changes.get('tags', present.tags),
                    changes.get('properties', present.properties),
                    changes.get('locations', present.locations))},
                updated_at=now, revision=present.revision + 1)
            records.images[image.id] = kept
        return dataclasses.replace(kept, membership=image.membership)

    def delete(self, image, *, pending):
        now = self._host.now()
        status = 'pending_delete' if pending else 'deleted'
        records = self._records
        with records.lock:
            present = records.images.get(image.id)
            if present is None:
                raise _not_found(image.id)
            if present.protected and not image.protected:
                raise contract.Conflict(f'image {image.id} is protected by now')
            del records.images[image.id]
            kept = dataclasses.replace(
                _with_status(present, status), updated_at=now, deleted_at=now,
                revision=present.revision + 1)
            records.removed[image.id] = kept
        return dataclasses.replace(kept, membership=image.membership)

    def undelete(self, image, *, status='active'):
        now = self._host.now()
        records = self._records
        with records.lock:
            removed = records.removed.get(image.id)
            if (removed is None or removed.status != 'pending_delete'
                    or removed.deleted_at != image.deleted_at):
                raise contract.Conflict(f'image {image.id} does not await its removal')
            del records.removed[image.id]
            kept = dataclasses.replace(
                _with_status(removed, 'active'), status=status, updated_at=now,
                deleted_at=None, revision=removed.revision + 1)
            records.images[image.id] = kept
        return dataclasses.replace(kept, membership=image.membership)

    def complete_delete(self, image):
        records = self._records
        with records.lock:
            removed = records.removed.get(image.id)
            if (removed is not None and removed.status == 'pending_delete'
                    and removed.deleted_at == image.deleted_at):
                records.removed[image.id] = _with_status(removed, 'deleted')
                records.members.pop(image.id, None)

    def renew_leases(self, image_ids, *, until):
        images = self._records.images
        with self._records.lock:
            for image_id in image_ids:
                image = images.get(image_id)
                if image is not None and image.lease_until is not None and (
                        image.lease_until < until):
                    images[image_id] = dataclasses.replace(image, lease_until=until)

    def unfinished(self, *, now, deleted_before, limit=100, after=None):
        with self._records.lock:
            images = list(self._records.images.values())
            removed = list(self._records.removed.values())
        late = [i for i in images
                if i.lease_until is not None and i.lease_until <= now]
        waiting = [i for i in removed
                   if i.status == 'pending_delete' and i.deleted_at < deleted_before]
        found = sorted(late + waiting, key=_unfinished_order)
        if after is not None:
            found = [i for i in found if _unfinished_order(i) > _unfinished_order(after)]
        return tuple(found[:limit])

    def usage(self, project):
        with self._records.lock:
            images = [image for image in self._records.images.values()
                      if image.owner == project and image.status not in _GONE]
        return Usage(
            images=len(images),
            bytes=sum((i.size or 0) * max(len(i.active_locations), i.status == 'saving')
                      for i in images),
            staged=sum(i.size or 0 for i in images if i.status in ('uploading', 'importing')),
            uploading=sum(i.status in ('saving', 'uploading', 'importing') for i in images))


class MemoryMembers(contract.MemberRecords):

    def __init__(self, records: _Records, host: contract.Host):
        self._records = records
        self._host = host

    def add(self, image_id, member, *, status='pending'):
        now = self._host.now()
        with self._records.lock:
            if image_id not in self._records.images:
                raise _not_found(image_id)
            members = self._records.members.setdefault(image_id, {})
            if member in members:
                raise contract.Conflict(f'{member} is a member of image {image_id} already')
            members[member] = added = Member(image_id, member, status, now, now)
        return added

    def list(self, image_id):
        with self._records.lock:
            return tuple(self._of(image_id).values())

    def update(self, image_id, member, *, status):
        now = self._host.now()
        with self._records.lock:
            members = self._of(image_id)
            if member not in members:
                raise _no_member(image_id, member)
            members[member] = changed = dataclasses.replace(
                members[member], status=status, updated_at=now)
        return changed

    def remove(self, image_id, member):
        now = self._host.now()
        with self._records.lock:
            removed = self._of(image_id).pop(member, None)
        if removed is None:
            raise _no_member(image_id, member)
        return dataclasses.replace(removed, updated_at=now, deleted_at=now)

    def _of(self, image_id: str) -> dict[str, Member]:
        """The members of a live image: those of a removed one wait for ``restore``."""
        if image_id not in self._records.images:
            return {}
        return self._records.members.get(image_id, {})


def _canonical(tags: Iterable[str], properties: Any, locations: Iterable[Any]) -> dict[str, Any]:
    """Collections as they are kept: nobody who holds the originals can change them."""
    return {'tags': tuple(sorted(set(tags))),
            'properties': MappingProxyType(dict(properties)),
            'locations': tuple(locations)}


def _unfinished_order(image):
    removed = image.deleted_at is not None
    return removed, image.deleted_at if removed else image.lease_until, image.id


def _with_status(image: Image, status: str) -> Image:
    """``image`` and its locations in another status."""
    return dataclasses.replace(image, status=status, locations=tuple(
        dataclasses.replace(location, status=status) for location in image.locations))


def _not_found(image_id: str) -> contract.NotFound:
    return contract.NotFound(f'there is no image {image_id}')


def _no_member(image_id: str, member: str) -> contract.NotFound:
    return contract.NotFound(f'{member} is no member of image {image_id}')
