"""Images with large properties, tags or locations.

A statement for images leaves out what is large, and returns its size instead.  Then a second
pass, in one transaction, reads as much as a page may have, in small parts.  The memory for it
is taken from one budget; ordinary images are found in the first pass, and cost nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from glancelite.contract.query import PAGE_SIZE
from glancelite.contract.values import Image
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.connection import Connection, Statement
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.engine import Engine
from glancelite.plugins.database.sql.rows import (
    EMPTY,
    TEXT,
    TEXTS,
    dependent,
    image_of,
    parse_locations,
    size_of,
)
from glancelite.support.memory import ORDINARY, Budget, holding

#: bytes of the dependent rows that the first pass reads of all images together
FIRST = ORDINARY
#: the same of one image, in pages of any length
LEAST = 1 << 12
#: bytes, and images, in one statement of the second pass; unless one image is larger
SLICE = 1 << 20
SLICE_IMAGES = 100

_p, _t, _l = tables.properties.c, tables.tags.c, tables.locations.c


def share(images: int | None) -> int:
    """Return the parameter ``share`` for a statement that returns so many images."""
    return LEAST if images is None else max(LEAST, FIRST // max(images, 1))


class LargeImages:

    def __init__(self, engine: Engine):
        self._engine = engine
        self._budget = Budget()

    def images(self, statement: Statement, values: Mapping[str, Any], rows: Sequence[Any], *,
               limit: int | None = None, deleted: bool = False) -> tuple[Image, ...]:
        """Return the first images of a statement for which the first pass was not enough.

        :param rows: what the first pass found.
        :param limit: most images; None for all.
        :param deleted: the images are deleted, with their dependent rows.
        """
        page = _page(rows[:limit])
        held = self._budget.take(sum(map(size_of, page)))
        values = {**values, 'limit': len(page)}
        images, sizes = self._engine.snapshot(lambda connection: self.complete(
            connection, _page(connection.rows(statement, values)[:len(page)]), deleted=deleted))
        return tuple([holding(image, held) if size else image
                      for image, size in zip(images, sizes, strict=True)])

    def complete(self, connection: Connection, rows: Sequence[Any], *, deleted: bool = False,
                 ) -> tuple[list[Image], list[int]]:
        """Read what was left out of the rows, in a transaction.

        :returns: the images, and the bytes that were left out of each.
        """
        sizes = [size_of(row) for row in rows]
        found: dict[str, dict[str, Any]] = {}
        large = [(row, size) for row, size in zip(rows, sizes, strict=True) if size]
        while large:
            number = len(_within(SLICE, [size for _, size in large][:SLICE_IMAGES]))
            found.update(self._read(connection, [row for row, _ in large[:number]], deleted))
            large = large[number:]
        return [dataclasses.replace(image_of(_without_texts(row), self._engine.dialect),
                                    **found[row[0]]) if size
                else image_of(row, self._engine.dialect)
                for row, size in zip(rows, sizes, strict=True)], sizes

    def _read(self, connection: Connection, rows: Sequence[Any], deleted: bool,
              ) -> dict[str, dict[str, Any]]:
        """Return image id -> field -> value, of the fields with dependent rows."""
        values = {f'id_{number}': row[0] for number, row in enumerate(rows)}

        def select(name: str) -> Sequence[Any]:
            return connection.rows(self._engine.statement(
                ('large', name, len(rows), deleted),
                lambda dialect: _select(dialect, *_FIELDS[name], len(rows), deleted)), values)

        properties: dict[str, dict[str, str]] = {row[0]: {} for row in rows}
        tags: dict[str, set[str]] = {row[0]: set() for row in rows}
        locations: dict[str, list[Any]] = {row[0]: [] for row in rows}
        for image_id, name, value in select('properties'):
            properties[image_id][name] = value
        for image_id, tag in select('tags'):
            tags[image_id].add(tag)
        for image_id, *location in select('locations'):
            locations[image_id].append(location)
        return {image_id: {'properties': properties[image_id],
                           'tags': tuple(sorted(tags[image_id])),
                           'locations': parse_locations(locations[image_id])}
                for image_id in properties}


_FIELDS: Mapping[str, tuple[Any, tuple[Any, ...]]] = {
    'properties': (tables.properties, (_p.image_id, _p.name, sa.func.coalesce(_p.value, EMPTY))),
    'tags': (tables.tags, (_t.image_id, _t.value)),
    'locations': (tables.locations, (_l.image_id, _l.id, _l.value, _l.meta_data, _l.status)),
}


def _select(dialect: Dialect, table: Any, columns: Sequence[Any], amount: int, deleted: bool,
            ) -> Any:
    ids = [sa.bindparam(f'id_{number}', type_=TEXT) for number in range(amount)]
    image = tables.images.c
    select = sa.select(*columns)
    if not deleted:
        return select.where(table.c.image_id.in_(ids), dialect.live(table))
    return select.join(tables.images, image.id == table.c.image_id).where(
        image.id.in_(ids), dependent(dialect, table, image.id, image.deleted_at))


def _without_texts(row: Sequence[Any]) -> Sequence[Any]:
    return (*row[:TEXTS], None, None, None, *row[TEXTS + 3:])


def _page(rows: Sequence[Any]) -> Sequence[Any]:
    """Return the first rows, as many as fit a page."""
    return rows[:len(_within(PAGE_SIZE, list(map(size_of, rows))))]


def _within(most: int, sizes: Sequence[int]) -> Sequence[int]:
    """Return the first sizes, as many as have this sum, but at least one."""
    for number, size in enumerate(sizes):
        most -= size
        if most < 0 and number:
            return sizes[:number]
    return sizes
