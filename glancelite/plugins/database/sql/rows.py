"""Conversion between rows and values."""

from __future__ import annotations

import functools
import json
import logging
import operator
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from glancelite.contract.values import Image, Location, Member
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.engine import Engine

LOG = logging.getLogger(__name__)
TEXT = sa.Text()
EMPTY: Any = sa.literal_column("''")
#: json.loads without its preparations, which take longer than to parse a short text
_decode = json.JSONDecoder().raw_decode
#: columns of ``images`` that are fields of ``Image`` with the same name, in their order
PLAIN = ('id', 'name', 'status', 'visibility', 'owner', 'protected', 'os_hidden', 'min_disk',
         'min_ram', 'disk_format', 'container_format', 'size', 'virtual_size', 'checksum',
         'os_hash_algo', 'os_hash_value')
TIMES = ('created_at', 'updated_at', 'deleted_at')
#: where the JSON texts of the dependent rows begin in a row of ``image_columns``
TEXTS = len(PLAIN) + len(TIMES)
#: texts whose metadata is kept parsed are not longer
_CACHED_LENGTH = 256


def image_columns(dialect: Dialect, *, membership: bool = False, deleted: bool = False,
                  ) -> list[Any]:
    """Return the columns of an image as one row; its dependent rows become JSON texts.

    The parameter ``share`` limits the bytes of each of these texts (in an old SQLite, the
    characters): instead of a longer one there is the number of bytes.  See ``large``.

    :param membership: include that of the project in the parameter ``project``.
    :param deleted: select the dependent rows that were deleted with the image.
    """
    image, prop = tables.images.c, tables.properties.c
    tag, location, member = tables.tags.c, tables.locations.c, tables.members.c
    share = sa.bindparam('share', type_=sa.Integer)
    length = sa.func.length if dialect.octets_are_costly else dialect.octets

    def of_image(table: Any) -> Any:
        return dependent(dialect, table, image.id, image.deleted_at if deleted else None)

    def aggregate(table: Any, json: Any, *texts: Any) -> Any:
        def total(measure: Any) -> Any:
            return sa.func.sum(functools.reduce(operator.add, map(measure, texts)))

        size: Any = sa.cast(total(dialect.octets), TEXT)
        if dialect.octets_are_costly:       # a subquery, to count them only if it is too long
            size = sa.select(size).where(of_image(table)).correlate(
                tables.images).scalar_subquery()
        return sa.select(sa.case(
            (total(length) > share, size), else_=dialect.json(json),
        )).where(of_image(table)).scalar_subquery()

    def short(text: Any) -> Any:
        """Spare the database the work on a text that is too long."""
        return sa.case((length(text) <= share, text), else_=EMPTY)

    status: Any = sa.null()
    if membership:
        status = sa.select(sa.func.max(member.status)).where(
            of_image(tables.members),
            member.member == sa.bindparam('project', type_=TEXT)).scalar_subquery()
    value = sa.func.coalesce(prop.value, EMPTY)
    metadata = sa.func.coalesce(location.meta_data, EMPTY)
    return [
        *(image[name] for name in PLAIN), *(image[name] for name in TIMES),
        aggregate(tables.tags, dialect.list_of(tag.value), tag.value),
        aggregate(tables.properties, dialect.object_of(prop.name, short(value)),
                  prop.name, value),
        aggregate(tables.locations, dialect.list_of(dialect.array(
            location.id, short(location.value), short(metadata), location.status)),
            location.value, metadata),
        image.revision, status, image.attempt, image.lease_until]


def dependent(dialect: Dialect, table: Any, image_id: Any, deleted_at: Any = None) -> Any:
    """Match the dependent rows of an image.

    :param deleted_at: those that were deleted with the image at this time.
    """
    of_image = table.c.image_id == image_id
    if deleted_at is None:
        return sa.and_(of_image, dialect.live(table))
    if table is tables.locations:       # Glance gives each its own deletion time
        return sa.and_(of_image, table.c.status == 'pending_delete')
    return sa.and_(of_image, table.c.deleted_at == deleted_at)


def size_of(row: Any) -> int:
    """Return the bytes that ``image_columns`` left out; 0 if it left out nothing."""
    size = 0
    for text in row[TEXTS:TEXTS + 3]:
        if text and text < ':':         # a number: JSON texts begin with a bracket
            size += int(text)
    return size


def image_of(row: Any, dialect: Dialect) -> Image:
    """Return the image of a row of ``image_columns``."""
    (image_id, name, status, visibility, owner, protected, os_hidden, min_disk, min_ram,
     disk_format, container_format, size, virtual_size, checksum, os_hash_algo, os_hash_value,
     created_at, updated_at, deleted_at, tags, properties, locations, revision, membership,
     attempt, lease_until) = row
    time = dialect.parse_time
    return Image(
        image_id, name, status, visibility, owner, bool(protected), bool(os_hidden), min_disk,
        min_ram, disk_format, container_format, size, virtual_size, checksum, os_hash_algo,
        os_hash_value, time(created_at), time(updated_at), time(deleted_at),
        tuple(sorted(set(_decode(tags)[0]))) if tags else (),
        _decode(properties)[0] if properties else {},
        parse_locations(_decode(locations)[0]) if locations else (),
        revision, membership, attempt, time(lease_until))


def parse_locations(rows: list[Any]) -> tuple[Location, ...]:
    """Return the locations of rows of id, URL, metadata and status, which this sorts."""
    if len(rows) > 1:
        rows.sort()         # by id, that is in the order in which they were added
    return tuple([Location(url, _metadata(metadata), status)
                  for _, url, metadata, status in rows])


def _metadata(text: str | None) -> Mapping[str, object]:
    if text and len(text) > _CACHED_LENGTH:
        return _parse_metadata(text)
    return _cached_metadata(text)


def _parse_metadata(text: str | None) -> Mapping[str, object]:
    try:
        found = json.loads(text) or {} if text else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        # the text may contain secrets
        LOG.warning('the metadata of a location is no JSON object; it counts as empty')
        found = {}
    return MappingProxyType(found)


#: most locations have the name of their store only
_cached_metadata = functools.lru_cache(maxsize=1024)(_parse_metadata)


def image_row(image: Image, dialect: Dialect) -> dict[str, Any]:
    """Return the columns of a new image, without its times."""
    row = {name: getattr(image, name) for name in PLAIN}
    row['attempt'] = image.attempt
    row['lease_until'] = dialect.bind_time(image.lease_until)
    return row


def location_row(location: Location) -> dict[str, Any]:
    return {'value': location.url, 'meta_data': json.dumps(dict(location.metadata)),
            'status': location.status}


def member_of(row: Any, dialect: Dialect) -> Member:
    """Return the member of a row of ``MEMBER``."""
    image_id, member, status, *times = row
    return Member(image_id, member, status, *map(dialect.parse_time, times))


def image_id_is_possible(image_id: str, engine: Engine) -> bool:
    """Return whether the database can contain this id; otherwise no query is needed."""
    return len(image_id) <= _ID_LENGTH and engine.ready_dialect().storable(image_id)


_ID_LENGTH: int = tables.images.c.id.type.length  # type: ignore[attr-defined]
_m = tables.members.c
MEMBER = (_m.image_id, _m.member, _m.status, _m.created_at, _m.updated_at, _m.deleted_at)
