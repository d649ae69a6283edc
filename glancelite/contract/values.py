"""Images, members, locations and other records, as frozen values.

A value never changes; a change is written by the database, which returns the new value.
All times are aware ``datetime`` in UTC.  All sizes are bytes, unless the name says
otherwise.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

T = TypeVar('T')

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return EMPTY


STATUSES = ('queued', 'saving', 'active', 'killed', 'deleted', 'uploading',
            'importing', 'pending_delete', 'deactivated')
VISIBILITIES = ('community', 'public', 'private', 'shared')
MEMBER_STATUSES = ('pending', 'accepted', 'rejected')
TASK_STATUSES = ('pending', 'processing', 'success', 'failure')


@dataclasses.dataclass(frozen=True, slots=True)
class Location:
    """Where one copy of an image's data is.

    Only the store that wrote the data interprets ``url``.  ``metadata`` is JSON-ready and
    names the store under ``store``.  ``status`` is ``active``, or ``pending_delete``
    until the data is deleted.
    """

    url: str
    metadata: Mapping[str, object] = dataclasses.field(default_factory=_empty)
    status: str = 'active'

    @property
    def store(self) -> str | None:
        """Name of the store that has the data, if recorded."""
        name = self.metadata.get('store')
        return name if isinstance(name, str) else None


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image as it was when it was read.

    ``revision`` counts writes; a write succeeds only on the revision it was based on.
    ``membership`` is the member status of the viewer's project, None if that is no member;
    it is the only field that depends on the viewer.  ``attempt`` counts uploads that were
    abandoned.  ``lease_until`` is when other processes take over the work in progress,
    such as an upload; None if there is none.
    """

    id: str
    name: str | None = None
    status: str = 'queued'
    visibility: str = 'shared'
    owner: str | None = None
    protected: bool = False
    os_hidden: bool = False
    min_disk: int = 0
    min_ram: int = 0
    disk_format: str | None = None
    container_format: str | None = None
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    deleted_at: datetime.datetime | None = None
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = dataclasses.field(default_factory=_empty)
    locations: tuple[Location, ...] = ()
    revision: int = 0
    membership: str | None = None
    attempt: int = 0
    lease_until: datetime.datetime | None = None

    @property
    def active_locations(self) -> tuple[Location, ...]:
        """The locations that can be read, without those that are pending deletion."""
        found = self.locations
        return found if all(one.status == 'active' for one in found) else tuple(
            one for one in found if one.status == 'active')

    @property
    def key(self) -> str:
        """Key of the data in a store: the id, then a new key for each abandoned upload.

        So a process that lost its lease cannot change the data of a later upload.
        """
        return self.keys[-1]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that uploads of this image have used, the present one last."""
        return (self.id, *(f'{self.id}.{attempt + 1}' for attempt in range(1, self.attempt + 1)))


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A project that an image is shared with."""

    image_id: str
    member: str
    status: str = 'pending'
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    deleted_at: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Work that outlives a request, as it was when it was read.

    ``input``, ``result``, ``journal`` and ``progress`` are JSON-ready.  ``input`` has what the
    work needs and what users see of it; ``journal`` is what the work has recorded for the
    process that continues it, and is never shown; ``progress`` has some of ``step``,
    ``bytes``, ``total`` and ``rate`` (bytes per second).  ``message`` is for users.

    A process that runs a task has claimed it: ``holder`` names the process, ``attempt`` counts
    the claims, and after ``lease_until`` any other process may claim it.  ``not_before`` is the
    earliest time of the next claim.  ``node`` names the only node whose processes may claim
    it; None for any.  ``cancelled``: its owner wants it to end, or its image was deleted.
    """

    id: str
    type: str
    owner: str | None = None
    status: str = 'pending'
    image_id: str | None = None
    user_id: str | None = None
    request_id: str | None = None
    input: Mapping[str, Any] = dataclasses.field(default_factory=_empty)
    result: Mapping[str, Any] | None = None
    message: str = ''
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    expires_at: datetime.datetime | None = None
    attempt: int = 0
    holder: str | None = None
    lease_until: datetime.datetime | None = None
    not_before: datetime.datetime | None = None
    node: str | None = None
    journal: Mapping[str, Any] = dataclasses.field(default_factory=_empty)
    progress: Mapping[str, Any] = dataclasses.field(default_factory=_empty)
    cancelled: bool = False

    @property
    def is_finished(self) -> bool:
        """True if it has succeeded or failed."""
        return self.status in ('success', 'failure')


@dataclasses.dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; ``more`` is True if another page follows."""

    items: tuple[T, ...]
    more: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of ``Store.write``.

    ``url`` begins with one of the store's ``SCHEMES`` and has neither secrets nor
    unprintable characters.  ``size`` is the number of bytes written.  ``metadata`` is
    JSON-ready and is recorded with the location; the core sets its key ``store``.
    """

    url: str
    size: int
    metadata: Mapping[str, object] = dataclasses.field(default_factory=_empty)


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """What a project uses, without images that are killed, deleted or pending deletion.

    ``bytes`` is the sum of size times active locations; an image in ``saving`` counts with
    the size that its upload announced, one in ``importing`` at least once.  ``staged`` is the
    size of images ``uploading`` or ``importing``.  ``uploading`` counts images in ``saving``,
    ``uploading`` and ``importing``.
    """

    images: int = 0
    bytes: int = 0
    staged: int = 0
    uploading: int = 0


TASK_FIELDS = tuple(field.name for field in dataclasses.fields(Task))
IMAGE_FIELDS = tuple(field.name for field in dataclasses.fields(Image))
