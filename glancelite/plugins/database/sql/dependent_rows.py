"""The rows that depend on an image: properties, tags, locations and members.

The transaction of the caller has written the row of the image before, so no other
transaction changes the same rows.  Rows are never deleted but marked, as Glance does
it; a property that is set again reuses its row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from glancelite.contract.values import Image, Location
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.connection import Connection, Statement
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.engine import Engine
from glancelite.plugins.database.sql.rows import TEXT, location_row

_TIME = sa.DateTime()
_AT = sa.bindparam('at', type_=_TIME)
_REMOVED_AT = sa.bindparam('removed_at', type_=_TIME)
_IMAGE = sa.bindparam('image_id', type_=TEXT)
_NO = sa.bindparam('no', type_=sa.Boolean)
_MISSING = object()
_p, _t, _l, _m = tables.properties.c, tables.tags.c, tables.locations.c, tables.members.c
_Build = Callable[[Dialect], Any]


class DependentRows:

    def __init__(self, engine: Engine):
        self._engine = engine

    def write(self, connection: Connection, image_id: str, at: Any, old: Image, new: Image,
              fields: Iterable[str]) -> None:
        """Write the differences between ``new`` and ``old``, which is what is recorded.

        :param fields: some of ``properties``, ``tags`` and ``locations``.
        """
        writers: dict[str, Callable[..., None]] = {
            'properties': self._write_properties, 'tags': self._write_tags,
            'locations': self._write_locations}
        common = {'image_id': image_id, 'at': at, 'no': False}
        for field in fields:
            writers[field](connection, common, getattr(old, field), getattr(new, field))

    def _write_properties(self, connection: Connection, common: dict[str, Any],
                          old: Mapping[str, str], new: Mapping[str, str]) -> None:
        self._run_each(connection, 'delete_property', common,
                       [{'name': name} for name in old if name not in new])
        self._run_each(connection, 'put_property', common,
                       [{'name': name, 'value': value} for name, value in new.items()
                        if old.get(name, _MISSING) != value])

    def _write_tags(self, connection: Connection, common: dict[str, Any],
                    old: tuple[str, ...], new: tuple[str, ...]) -> None:
        self._run_each(connection, 'delete_tag', common,
                       [{'value': tag} for tag in old if tag not in new])
        self._run_each(connection, 'add_tag', common,
                       [{'value': tag} for tag in new if tag not in old])

    def _write_locations(self, connection: Connection, common: dict[str, Any],
                         old: tuple[Location, ...], new: tuple[Location, ...]) -> None:
        kept = _common_beginning(old, new)
        if not kept:
            if old:
                connection.run(self._statement('delete_locations'), common)
        else:
            urls = {location.url for location in new}
            self._run_each(
                connection, 'delete_location', common,
                [{'value': location.url} for location in old if location.url not in urls])
            before = {location.url: location for location in old}
            self._run_each(connection, 'change_location', common,
                           [location_row(location) for location in new[:kept]
                            if before[location.url] != location])
        self._run_each(connection, 'add_location', common,
                       [location_row(location) for location in new[kept:]])

    def delete(self, connection: Connection, values: dict[str, Any]) -> None:
        """Mark all rows as deleted.

        :param values: ``image_id``, ``at`` and the ``status`` of the locations.
        """
        for name in ('forget_members', 'delete_members', 'delete_properties', 'delete_tags',
                     'delete_locations_with_status'):
            connection.run(self._statement(name), values)

    def remove(self, connection: Connection, values: dict[str, Any]) -> None:
        """Remove all rows of an image that is withdrawn."""
        for table in (tables.properties, tables.tags, tables.locations, tables.members):
            connection.run(self._engine.statement(
                ('remove', table.name),
                lambda dialect: sa.delete(table).where(table.c.image_id == _IMAGE)),  # noqa: B023
                values)

    def undelete(self, connection: Connection, image: Image, values: dict[str, Any]) -> bool:
        """Restore the rows that were deleted with the image.

        :returns: False if a location is not pending deletion any more.
        """
        connection.run(self._statement('undelete_members'), values)
        self._run_each(connection, 'undelete_property', values,
                       [{'name': name} for name in image.properties])
        self._run_each(connection, 'undelete_tag', values,
                       [{'value': tag} for tag in image.tags])
        undelete_location = self._statement('undelete_location')
        return all(connection.run(undelete_location, {**values, 'value': location.url})
                   for location in image.locations)

    def complete_delete(self, connection: Connection, values: dict[str, Any]) -> None:
        """Set the status of locations that are pending deletion to ``deleted``."""
        connection.run(self._statement('complete_delete_locations'), values)

    def _run_each(self, connection: Connection, name: str, common: dict[str, Any],
                  rows: Collection[dict[str, Any]]) -> None:
        if rows:
            connection.run_each(self._statement(name), [{**common, **row} for row in rows])

    def _statement(self, name: str) -> Statement:
        return self._engine.statement(('dependent', name), _STATEMENTS[name])


def _common_beginning(old: tuple[Location, ...], new: tuple[Location, ...]) -> int:
    """Return how many locations at the beginning of ``new`` can keep their rows.

    Locations have the order of their rows, so rows stay only if those of ``old`` that
    remain come first in ``new``, in the same order.
    """
    old_urls = [location.url for location in old]
    new_urls = [location.url for location in new]
    if len(set(old_urls)) < len(old_urls) or len(set(new_urls)) < len(new_urls):
        return 0
    remaining = [url for url in old_urls if url in set(new_urls)]
    return len(remaining) if new_urls[:len(remaining)] == remaining else 0


def _put(table: sa.Table, *columns: str, **more: Any) -> dict[str, Any]:
    return {'image_id': _IMAGE, 'created_at': _AT, 'updated_at': _AT, 'deleted': _NO,
            **{name: sa.bindparam(name, type_=table.c[name].type) for name in columns}, **more}


def _insert(table: sa.Table, *columns: str) -> _Build:
    return lambda dialect: sa.insert(table).inline().values(_put(table, *columns))


def _delete(table: sa.Table, column: Any = None, **more: Any) -> _Build:
    """Mark the live rows of the image, or the row with the value in ``column``."""
    def build(dialect: Dialect) -> Any:
        where = [table.c.image_id == _IMAGE, dialect.live(table)]
        if column is not None:
            where.append(column == sa.bindparam(column.name, type_=TEXT))
        return sa.update(table).where(*where).values(
            deleted=sa.true(), deleted_at=_AT, **more)
    return build


def _put_property(dialect: Dialect) -> Any:
    null = sa.cast(sa.null(), _TIME)
    return dialect.upsert(
        tables.properties, _put(tables.properties, 'name', 'value', deleted_at=null),
        ['image_id', 'name'], ['name', 'value', 'updated_at', 'deleted_at', 'deleted'])


def _change_location(dialect: Dialect) -> Any:
    return sa.update(tables.locations).where(
        _l.image_id == _IMAGE, dialect.live(tables.locations),
        _l.value == sa.bindparam('value', type_=TEXT),
    ).values(meta_data=sa.bindparam('meta_data', type_=TEXT), updated_at=_AT,
             status=sa.bindparam('status', type_=TEXT))


def _undelete(table: sa.Table, column: Any = None, condition: Any = None,
              **more: Any) -> _Build:
    """Restore rows of a deleted image; of several with the same value the last one.

    :param condition: selects the rows; by default those with the image's ``deleted_at``.
    """
    def build(dialect: Dialect) -> Any:
        selected = condition if condition is not None else table.c.deleted_at == _REMOVED_AT
        where = [table.c.image_id == _IMAGE, table.c.deleted == sa.true(), selected]
        if column is not None:
            where.append(column == sa.bindparam(column.name, type_=TEXT))
            last = sa.select(sa.func.max(table.c.id).label('id')).where(*where).subquery()
            # a derived table: MySQL cannot read from the table that it updates
            where = [table.c.id.in_(sa.select(last.c.id))]
        return sa.update(table).where(*where).values(
            deleted=sa.false(), deleted_at=None, **more)
    return build


_PENDING = _l.status == 'pending_delete'
_STATEMENTS: Mapping[str, _Build] = {
    'delete_property': _delete(tables.properties, _p.name),
    'put_property': _put_property,
    'delete_tag': _delete(tables.tags, _t.value),
    'add_tag': _insert(tables.tags, 'value'),
    'delete_location': _delete(tables.locations, _l.value, status='deleted'),
    'delete_locations': _delete(tables.locations, status='deleted'),
    'change_location': _change_location,
    'add_location': _insert(tables.locations, 'value', 'meta_data', 'status'),
    # the unique key allows one row per member and deletion time: a member that was removed
    # and added again at this very moment would have two
    'forget_members': lambda dialect: sa.delete(tables.members).where(
        _m.image_id == _IMAGE, _m.deleted == sa.true(), _m.deleted_at == _AT),
    'delete_members': _delete(tables.members),
    'delete_properties': _delete(tables.properties),
    'delete_tags': _delete(tables.tags),
    'delete_locations_with_status': _delete(tables.locations, status=sa.bindparam(
        'status', type_=_l.status.type)),
    'undelete_members': _undelete(tables.members),
    'undelete_property': _undelete(tables.properties, _p.name),
    'undelete_tag': _undelete(tables.tags, _t.value),
    'undelete_location': _undelete(tables.locations, _l.value, _PENDING, status='active'),
    'complete_delete_locations': lambda dialect: sa.update(tables.locations).where(
        _l.image_id == _IMAGE, _PENDING).values(status='deleted'),
}
