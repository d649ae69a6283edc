"""The things the service speaks of, as frozen values.

A value never changes: whoever wants another one asks the database to write it
and gets the new value back.  All times are aware ``datetime`` in UTC; all
sizes are bytes unless the name says otherwise.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

T = TypeVar('T')

NOTHING: Mapping[str, Any] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    return NOTHING


STATUSES = ('queued', 'saving', 'active', 'killed', 'deleted', 'uploading',
            'importing', 'pending_delete', 'deactivated')
VISIBILITIES = ('community', 'public', 'private', 'shared')
MEMBER_STATUSES = ('pending', 'accepted', 'rejected')


@dataclasses.dataclass(frozen=True, slots=True)
class Location:
    """One copy of an image's bytes.

    ``url`` is opaque to everyone but the store that wrote it; ``metadata``
    is JSON-ready and names the store under ``store``.  ``status`` is
    ``pending_delete`` while the bytes are being removed.
    """

    url: str
    metadata: Mapping[str, object] = dataclasses.field(default_factory=_nothing)
    status: str = 'active'

    @property
    def store(self) -> str | None:
        """Name of the configured store that holds this copy, if recorded."""
        name = self.metadata.get('store')
        return name if isinstance(name, str) else None


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """An image as one reader saw it at one moment.

    ``revision`` counts writes; every write names the one it has read.
    ``membership`` is the member status of the project that looked, None if
    it is no member: the only field that depends on who asked.
    ``attempt`` counts uploads that were given up because their server died;
    ``lease_until`` is when the present work on it, such as an upload, is given up.
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
    properties: Mapping[str, str] = dataclasses.field(default_factory=_nothing)
    locations: tuple[Location, ...] = ()
    revision: int = 0
    membership: str | None = None
    attempt: int = 0
    lease_until: datetime.datetime | None = None

    @property
    def copies(self) -> tuple[Location, ...]:
        """The locations that can be read: not those which are being removed."""
        found = self.locations
        return found if all(one.status == 'active' for one in found) else tuple(
            one for one in found if one.status == 'active')

    @property
    def key(self) -> str:
        """Name of the bytes in a store: the id, then one name per given-up upload.

        A server that was taken for dead can so never touch its successor's bytes.
        """
        return self.keys[-1]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names that uploads of this image have had, the present one last."""
        return (self.id, *(f'{self.id}.{attempt + 1}' for attempt in range(1, self.attempt + 1)))


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A project with which an image is shared."""

    image_id: str
    member: str
    status: str = 'pending'
    created_at: datetime.datetime | None = None
    updated_at: datetime.datetime | None = None
    deleted_at: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; ``more`` says whether anything follows it."""

    items: tuple[T, ...]
    more: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """What a store has to say after a write.

    ``url`` begins with one of the store's ``SCHEMES`` and has neither secrets nor
    unprintable characters.  ``metadata`` is JSON-ready and kept with the location;
    the word ``store`` in it belongs to the core.
    """

    url: str
    size: int
    metadata: Mapping[str, object] = dataclasses.field(default_factory=_nothing)


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """What a project holds, from images that are not killed, deleted or pending deletion.

    ``bytes`` is the sum of size x copies, those left out that are leaving; an image in ``saving``
    counts with the size that its upload has promised.  ``staged`` is bytes
    of images ``uploading`` or ``importing``; ``uploading`` counts images in
    ``saving``, ``uploading`` and ``importing``.
    """

    images: int = 0
    bytes: int = 0
    staged: int = 0
    uploading: int = 0


IMAGE_FIELDS = tuple(field.name for field in dataclasses.fields(Image))
