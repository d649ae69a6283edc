"""What belongs to an image: its properties, tags, locations, and in its end its members.

The caller's transaction has written the row of the image before, so that
nobody else is at work here.  Rows are never removed, only marked, as Glance
does it; a property comes back into the row that it had.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from glancelite.contract.values import Image, Location
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.engine import Engine, Link, Statement
from glancelite.plugins.database.sql.rows import TEXT, location_row

_TIME = sa.DateTime()
_AT = sa.bindparam('at', type_=_TIME)
_REMOVED_AT = sa.bindparam('removed_at', type_=_TIME)
_IMAGE = sa.bindparam('image_id', type_=TEXT)
_NO = sa.bindparam('no', type_=sa.Boolean)
_MISSING = object()
_p, _t, _l, _m = tables.properties.c, tables.tags.c, tables.locations.c, tables.members.c


class Children:

    def __init__(self, engine: Engine):
        self._engine = engine

    def write(self, link: Link, image_id: str, at: Any, old: Image, new: Image,
              fields: Iterable[str]) -> None:
        """Write what is different in ``new``; ``old`` is what is there."""
        for field in fields:
            getattr(self, f'_{field}')(link, {'image_id': image_id, 'at': at, 'no': False},
                                       getattr(old, field), getattr(new, field))

    def _properties(self, link, common, old, new):
        self._each(link, 'drop_property', common,
                   [{'name': name} for name in old if name not in new])
        self._each(link, 'put_property', common,
                   [{'name': name, 'value': value} for name, value in new.items()
                    if old.get(name, _MISSING) != value])

    def _tags(self, link, common, old, new):
        self._each(link, 'drop_tag', common, [{'value': tag} for tag in old if tag not in new])
        self._each(link, 'put_tag', common, [{'value': tag} for tag in new if tag not in old])

    def _locations(self, link, common, old, new):
        kept = _kept(old, new)
        if not kept:
            if old:
                link.run(self._statement('drop_locations'), common)
        else:
            urls = {location.url for location in new}
            self._each(link, 'drop_location', common,
                       [{'value': location.url} for location in old if location.url not in urls])
            before = {location.url: location for location in old}
            self._each(link, 'change_location', common,
                       [location_row(location) for location in new[:kept]
                        if before[location.url] != location])
        self._each(link, 'put_location', common,
                   [location_row(location) for location in new[kept:]])

    def remove(self, link: Link, values: dict[str, Any]) -> None:
        """Mark all at the time ``at``."""
        for name in ('forget_members', 'remove_members', 'remove_properties', 'remove_tags',
                     'remove_locations'):
            link.run(self._statement(name), values)

    def restore(self, link: Link, image: Image, values: dict[str, Any]) -> bool:
        """Take back what was marked with the image.

        :returns: False if a location has been scrubbed meanwhile.
        """
        link.run(self._statement('restore_members'), values)
        self._each(link, 'restore_property', values, [{'name': n} for n in image.properties])
        self._each(link, 'restore_tag', values, [{'value': tag} for tag in image.tags])
        back = self._statement('restore_location')
        return all(link.run(back, {**values, 'value': location.url})
                   for location in image.locations)

    def scrubbed(self, link: Link, values: dict[str, Any]) -> None:
        link.run(self._statement('scrub_locations'), values)

    def _each(self, link: Link, name: str, common: dict[str, Any],
              rows: Collection[dict[str, Any]]) -> None:
        if rows:
            link.run_each(self._statement(name), [{**common, **row} for row in rows])

    def _statement(self, name: str) -> Statement:
        return self._engine.statement(('child', name), _STATEMENTS[name])


def _kept(old: tuple[Location, ...], new: tuple[Location, ...]) -> int:
    """How many rows of ``old`` can stay: those that ``new`` begins with, in the same order.

    The order of locations is that of their rows, so any other change writes them anew.
    """
    had = [location.url for location in old]
    wanted = [location.url for location in new]
    if len(set(had)) < len(had) or len(set(wanted)) < len(wanted):
        return 0
    staying = [url for url in had if url in set(wanted)]
    return len(staying) if wanted[:len(staying)] == staying else 0


def _put(table: sa.Table, *columns: str, **more: Any) -> dict[str, Any]:
    return {'image_id': _IMAGE, 'created_at': _AT, 'updated_at': _AT, 'deleted': _NO,
            **{name: sa.bindparam(name, type_=table.c[name].type) for name in columns}, **more}


def _insert(table: sa.Table, *columns: str) -> Any:
    return lambda dialect: sa.insert(table).inline().values(_put(table, *columns))


def _end(table: sa.Table, column: Any = None, **more: Any) -> Any:
    """Mark the live rows of the image, or the one with this value."""
    def build(dialect):
        where = [table.c.image_id == _IMAGE, dialect.live(table)]
        if column is not None:
            where.append(dialect.equal(column, sa.bindparam(column.name, type_=TEXT)))
        return sa.update(table).where(*where).values(
            deleted=sa.true(), deleted_at=_AT, **more)
    return build


def _put_property(dialect):
    nothing = sa.cast(sa.null(), _TIME)
    return dialect.upsert(
        tables.properties, _put(tables.properties, 'name', 'value', deleted_at=nothing),
        ['image_id', 'name'], ['name', 'value', 'updated_at', 'deleted_at', 'deleted'])


def _change_location(dialect):
    return sa.update(tables.locations).where(
        _l.image_id == _IMAGE, dialect.live(tables.locations),
        dialect.equal(_l.value, sa.bindparam('value', type_=TEXT)),
    ).values(meta_data=sa.bindparam('meta_data', type_=TEXT), updated_at=_AT,
             status=sa.bindparam('status', type_=TEXT))


def _back(table: sa.Table, column: Any = None, state: Any = None, **more: Any) -> Any:
    """Take back rows of a removed image; of several with the same value the last one."""
    def build(dialect):
        chosen = state if state is not None else table.c.deleted_at == _REMOVED_AT
        where = [table.c.image_id == _IMAGE, table.c.deleted == sa.true(), chosen]
        if column is not None:
            where.append(dialect.equal(column, sa.bindparam(column.name, type_=TEXT)))
            last = sa.select(sa.func.max(table.c.id).label('id')).where(*where).subquery()
            # a table of its own: MySQL does not read from the table that it writes
            where = [table.c.id.in_(sa.select(last.c.id))]
        return sa.update(table).where(*where).values(
            deleted=sa.false(), deleted_at=None, **more)
    return build


_PENDING = _l.status == 'pending_delete'
_STATEMENTS = {
    'drop_property': _end(tables.properties, _p.name),
    'put_property': _put_property,
    'drop_tag': _end(tables.tags, _t.value),
    'put_tag': _insert(tables.tags, 'value'),
    'drop_location': _end(tables.locations, _l.value, status='deleted'),
    'drop_locations': _end(tables.locations, status='deleted'),
    'change_location': _change_location,
    'put_location': _insert(tables.locations, 'value', 'meta_data', 'status'),
    # a member that left at this very moment is in the way of the one who came again
    'forget_members': lambda dialect: sa.delete(tables.members).where(
        _m.image_id == _IMAGE, _m.deleted == sa.true(), _m.deleted_at == _AT),
    'remove_members': _end(tables.members),
    'remove_properties': _end(tables.properties),
    'remove_tags': _end(tables.tags),
    'remove_locations': _end(tables.locations, status=sa.bindparam(
        'status', type_=_l.status.type)),
    'restore_members': _back(tables.members),
    'restore_property': _back(tables.properties, _p.name),
    'restore_tag': _back(tables.tags, _t.value),
    'restore_location': _back(tables.locations, _l.value, _PENDING, status='active'),
    'scrub_locations': lambda dialect: sa.update(tables.locations).where(
        _l.image_id == _IMAGE, _PENDING).values(status='deleted'),
}
