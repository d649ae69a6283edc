"""Between rows and values."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from glancelite.contract.values import Image, Location, Member
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.dialects import Dialect

TEXT = sa.Text()
EMPTY = sa.literal_column("''")
#: json.loads without its preparations, which cost more than a short text
_decode = json.JSONDecoder().raw_decode
#: columns of ``images`` that are fields of ``Image`` by the same name, in their order
PLAIN = ('id', 'name', 'status', 'visibility', 'owner', 'protected', 'os_hidden', 'min_disk',
         'min_ram', 'disk_format', 'container_format', 'size', 'virtual_size', 'checksum',
         'os_hash_algo', 'os_hash_value')
TIMES = ('created_at', 'updated_at', 'deleted_at')


def image_columns(dialect: Dialect, *, membership: bool = False, removed: bool = False,
                  ) -> list[Any]:
    """An image as one row: what belongs to it comes as JSON texts.

    :param membership: with that of the project in the parameter ``project``.
    :param removed: what went with the image, rather than what is there.
    """
    image, prop = tables.images.c, tables.properties.c
    tag, location, member = tables.tags.c, tables.locations.c, tables.members.c

    def belongs(table: Any) -> Any:
        here = table.c.image_id == image.id
        if not removed:
            return sa.and_(here, dialect.live(table))
        if table is tables.locations:       # Glance stamps each with a time of its own
            return sa.and_(here, location.status == 'pending_delete')
        return sa.and_(here, table.c.deleted_at == image.deleted_at)

    def gathered(table: Any, expression: Any) -> Any:
        return sa.select(dialect.json(expression)).where(belongs(table)).scalar_subquery()

    status: Any = sa.null()
    if membership:
        status = sa.select(sa.func.max(member.status)).where(
            belongs(tables.members),
            dialect.equal(member.member, sa.bindparam('project', type_=TEXT))).scalar_subquery()
    return [
        *(image[name] for name in PLAIN), *(image[name] for name in TIMES),
        gathered(tables.tags, dialect.list_of(tag.value)),
        gathered(tables.properties, dialect.object_of(
            prop.name, sa.func.coalesce(prop.value, EMPTY))),
        gathered(tables.locations, dialect.list_of(dialect.array(
            location.id, location.value, location.meta_data, location.status))),
        image.revision, status, image.attempt, image.lease_until]




def image_of(row: Any, dialect: Dialect) -> Image:
    """The image of a row of ``image_columns``."""
    (image_id, name, status, visibility, owner, protected, os_hidden, min_disk, min_ram,
     disk_format, container_format, size, virtual_size, checksum, os_hash_algo, os_hash_value,
     created_at, updated_at, deleted_at, tags, properties, locations, revision, membership,
     attempt, lease_until) = row
    time = dialect.time_out
    return Image(
        image_id, name, status, visibility, owner, bool(protected), bool(os_hidden), min_disk,
        min_ram, disk_format, container_format, size, virtual_size, checksum, os_hash_algo,
        os_hash_value, time(created_at), time(updated_at), time(deleted_at),
        tuple(sorted(set(_decode(tags)[0]))) if tags else (),
        _decode(properties)[0] if properties else {},
        _locations(locations) if locations else (),
        revision, membership, attempt, time(lease_until))


def _locations(text: str) -> tuple[Location, ...]:
    found, _ = _decode(text)
    if len(found) > 1:
        found.sort()        # by id, that is in the order in which they were given
    return tuple([Location(url, _metadata(metadata), status)
                  for _, url, metadata, status in found])


@functools.lru_cache(maxsize=1024)
def _metadata(text: str | None) -> Mapping[str, object]:
    """Parsed once: most locations of a cloud say no more than the name of their store."""
    return MappingProxyType(json.loads(text) or {} if text else {})


def image_row(image: Image, dialect: Dialect) -> dict[str, Any]:
    """The columns of a new image; its times are the caller's."""
    row = {name: getattr(image, name) for name in PLAIN}
    row['attempt'] = image.attempt
    row['lease_until'] = dialect.time_in(image.lease_until)
    return row


def location_row(location: Location) -> dict[str, Any]:
    return {'value': location.url, 'meta_data': json.dumps(dict(location.metadata)),
            'status': location.status}


def member_of(row: Any, dialect: Dialect) -> Member:
    """The member of a row of ``MEMBER``."""
    image_id, member, status, *times = row
    return Member(image_id, member, status, *map(dialect.time_out, times))


_m = tables.members.c
MEMBER = (_m.image_id, _m.member, _m.status, _m.created_at, _m.updated_at, _m.deleted_at)
