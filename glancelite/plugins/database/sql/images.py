"""Images in SQL: each method one transaction, most of them one statement."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from glancelite import contract
from glancelite.contract.query import ImageQuery
from glancelite.contract.values import Image, Page, Usage
from glancelite.plugins.database.sql import queries, tables
from glancelite.plugins.database.sql.children import Children
from glancelite.plugins.database.sql.engine import Engine, Link, Refused, Statement
from glancelite.plugins.database.sql.rows import PLAIN, TEXT, image_columns, image_of, image_row

_i = tables.images.c
_COLLECTIONS = ('tags', 'properties', 'locations')
_COLUMNS = frozenset({*PLAIN, 'attempt', 'lease_until'} - {'id'})
_FIELDS = _COLUMNS | set(_COLLECTIONS)
_LIVE = _i.deleted == sa.false()
_THIS = _i.id == sa.bindparam('image_id', type_=TEXT)
#: how many ids go into one statement
_BATCH = 100


class SQLImages(contract.ImageRecords):

    def __init__(self, engine: Engine, host: contract.Host):
        self._engine = engine
        self._dialect = engine.dialect
        self._host = host
        self._children = Children(engine)

    # --- reading

    def get(self, image_id, *, viewer):
        project = None if viewer is None else viewer.project
        image = self._found(image_id, project)
        if viewer is not None and not viewer.may_see(image):
            raise _not_found(image_id)
        return image

    def _found(self, image_id: str, project: str | None) -> Image:
        self._check(image_id)
        if project is not None and not self._dialect.storable(project):
            project = None
        for row in self._engine.rows(self._one(project is not None),
                                     {'image_id': image_id, 'project': project}):
            if row[0] == image_id:      # tables of Glance on MariaDB do not mind the case
                return image_of(row, self._dialect)
        raise _not_found(image_id)

    def _one(self, membership: bool = False) -> Statement:
        return self._engine.statement(('get', membership), lambda dialect: sa.select(
            *image_columns(dialect, membership=membership)).where(_THIS, _LIVE))

    def _check(self, image_id: str) -> None:
        """No question to the database with an id that cannot be."""
        if len(image_id) > _i.id.type.length or not self._engine.known().storable(image_id):
            raise _not_found(image_id)

    def list(self, query: ImageQuery) -> Page[Image]:
        try:
            shape, values = queries.fall_apart(query, self._engine.known())
        except queries.Nothing:
            return Page(())
        statement = self._engine.statement(
            shape, lambda dialect: queries.listing(shape, dialect))
        dialect = self._dialect
        rows = self._engine.rows(statement, values)
        more = query.limit is not None and len(rows) > query.limit
        return Page(tuple([image_of(row, dialect) for row in rows[:query.limit]]), more)

    def usage(self, project):
        if not self._engine.known().storable(project):
            return Usage()
        row, = self._engine.rows(self._engine.statement('usage', _usage), {'project': project})
        return Usage(*map(int, row))

    # --- writing

    def add(self, image):
        self._check(image.id)
        now = self._now()
        kept = dataclasses.replace(
            image, tags=tuple(sorted(set(image.tags))), properties=dict(image.properties),
            locations=tuple(image.locations), created_at=now, updated_at=now, deleted_at=None,
            lease_until=self._cut(image.lease_until), revision=0, membership=None)
        at = self._dialect.time_in(now)
        row = {**image_row(kept, self._dialect), 'at': at, 'no': False}
        insert = self._engine.statement('add', _insert)

        def write(link: Link) -> None:
            link.run(insert, row)
            self._children.write(link, image.id, at, _NOTHING, kept, _COLLECTIONS)

        try:
            if kept.tags or kept.properties or kept.locations:
                self._engine.transaction(write)
            else:
                self._engine.run(insert, row)
        except Refused as error:
            if self._engine.rows(self._engine.statement('taken', _taken),
                                 {'image_id': image.id}):
                raise contract.Conflict(f'the image id {image.id} is taken') from None
            raise contract.Invalid('the database cannot keep this image') from error
        return kept

    def update(self, image, changes, *, status=None):
        if not changes.keys() <= _FIELDS:
            raise TypeError('update() cannot write '
                            f'{", ".join(sorted(changes.keys() - _FIELDS))}')
        self._check(image.id)
        now = self._now()
        at = self._dialect.time_in(now)
        written = dataclasses.replace(
            image, **_canonical(changes), updated_at=now, revision=image.revision + 1)
        columns = tuple(sorted(changes.keys() & _COLUMNS))
        values = {f'new_{name}': getattr(written, name) for name in columns}
        if 'lease_until' in changes:
            written = dataclasses.replace(written, lease_until=self._cut(written.lease_until))
            values['new_lease_until'] = self._dialect.time_in(written.lease_until)
        statuses = None if status is None else sorted(status)
        values.update(image_id=image.id, revision=image.revision, at=at,
                      seen=self._dialect.time_in(image.updated_at))
        values.update((f'status_{n}', each) for n, each in enumerate(statuses or ()))
        shape = (columns, image.updated_at is None, None if statuses is None else len(statuses))
        statement = self._engine.statement(('update', *shape), lambda _: _update(*shape))
        touched = [name for name in _COLLECTIONS
                   if name in changes and getattr(written, name) != getattr(image, name)]

        def write(link: Link) -> bool:
            if not link.run(statement, values):
                return False
            self._children.write(link, image.id, at, image, written, touched)
            return True

        try:
            done = (self._engine.transaction(write) if touched
                    else self._engine.run(statement, values))
        except Refused as error:
            raise contract.Invalid('the database cannot keep this image') from error
        if not done:
            self._refuse(image.id)
        return written

    def _refuse(self, image_id: str) -> None:
        """Why nothing was written."""
        for status, revision in self._engine.rows(
                self._engine.statement('facts', lambda _: sa.select(
                    _i.status, _i.revision).where(_THIS, _LIVE)), {'image_id': image_id}):
            raise contract.Conflict(f'image {image_id} has changed meanwhile',
                                    status=status, revision=revision)
        raise _not_found(image_id)

    def delete(self, image, *, pending):
        self._check(image.id)
        now = self._now()
        status = 'pending_delete' if pending else 'deleted'
        values = {'image_id': image.id, 'at': self._dialect.time_in(now), 'status': status}
        if image.protected:
            mark = self._engine.statement('remove', lambda _: _remove())
        else:
            mark = self._engine.statement('remove_open', lambda _: _remove(
                _i.protected == sa.false()))
        read = self._any()

        def write(link: Link) -> Image:
            done, found = link.run(mark, values), link.rows(read, values)
            if not done:
                if found and image_of(found[0], self._dialect).deleted_at is None:
                    raise contract.Conflict(f'image {image.id} is protected by now')
                raise _not_found(image.id)
            row, = found
            self._children.remove(link, values)
            return image_of(row, self._dialect)

        removed = self._engine.transaction(write)
        return dataclasses.replace(
            removed, membership=image.membership, locations=tuple(
                dataclasses.replace(location, status=status) for location in removed.locations))

    def _any(self) -> Statement:
        """The image with its live belongings, be it deleted or not."""
        return self._engine.statement('any', lambda dialect: sa.select(
            *image_columns(dialect)).where(_THIS))

    def undelete(self, image, *, status='active'):
        conflict = contract.Conflict(f'image {image.id} does not await its removal')
        if image.deleted_at is None:
            raise conflict
        now = self._now()
        values = {'image_id': image.id, 'at': self._dialect.time_in(now), 'before': status,
                  'removed_at': self._dialect.time_in(image.deleted_at)}
        mark, read = self._engine.statement('restore', lambda _: _restore()), self._any()

        def write(link: Link) -> Image:
            if not (link.run(mark, values) and self._children.restore(link, image, values)):
                raise conflict
            row, = link.rows(read, values)
            return image_of(row, self._dialect)

        return dataclasses.replace(self._engine.transaction(write),
                                   membership=image.membership)

    def complete_delete(self, image):
        values = {'image_id': image.id, 'removed_at': self._dialect.time_in(image.deleted_at)}
        mark = self._engine.statement('scrubbed', lambda _: _scrubbed())

        def write(link: Link) -> None:
            if link.run(mark, values):
                self._children.scrubbed(link, values)

        self._engine.transaction(write)

    def renew_leases(self, image_ids, *, until):
        until = self._dialect.time_in(self._cut(until))
        possible = [image_id for image_id in image_ids
                    if len(image_id) <= _i.id.type.length and self._dialect.storable(image_id)]
        for start in range(0, len(possible), _BATCH):
            batch = possible[start:start + _BATCH]
            self._engine.run(
                self._engine.statement(('renew', len(batch)), lambda _: _renew(len(batch))),  # noqa: B023
                {'until': until, **{f'id_{n}': each for n, each in enumerate(batch)}})

    def unfinished(self, *, now, deleted_before, limit=100, after=None):
        removed = after is not None and after.deleted_at is not None
        found = [] if removed else self._left(_late, now, limit, after)
        if len(found) < limit:
            found += self._left(_pending, deleted_before, limit - len(found),
                                after if removed else None)
        return tuple(image_of(row, self._dialect) for row in found)

    def _left(self, build: Callable[..., Any], end: datetime.datetime, limit: int,
              after: Image | None) -> list[Any]:
        values: dict[str, Any] = {'end': self._dialect.time_in(end), 'limit': limit}
        if after is not None:
            values |= {'since': self._dialect.time_in(after.deleted_at or after.lease_until),
                       'since_id': after.id}
        return list(self._engine.rows(self._engine.statement(
            (build.__name__, after is None),
            lambda dialect: build(dialect, goes_on=after is not None)), values))

    def _now(self) -> datetime.datetime:
        return self._engine.known().cut(self._host.now())

    def _cut(self, time: datetime.datetime | None) -> datetime.datetime | None:
        return time and self._dialect.cut(time)


_NOTHING = Image('')


def _canonical(changes: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(changes)
    if 'tags' in values:
        values['tags'] = tuple(sorted(set(values['tags'])))
    if 'properties' in values:
        values['properties'] = dict(values['properties'])
    if 'locations' in values:
        values['locations'] = tuple(values['locations'])
    return values


# --- statements

_STAGED = [sa.literal_column("'uploading'"), sa.literal_column("'importing'")]
_BUSY = [sa.literal_column("'saving'"), *_STAGED]
_AT = sa.bindparam('at', type_=_i.updated_at.type)


def _insert(dialect: Any) -> Any:
    no = sa.bindparam('no', type_=_i.deleted.type)
    values: dict[str, Any] = {
        name: sa.bindparam(name, type_=_i[name].type)
        for name in (*PLAIN, 'attempt', 'lease_until')}
    return sa.insert(tables.images).inline().values(
        **values, created_at=_AT, updated_at=_AT, deleted=no, revision=sa.literal_column('0'))


def _taken(dialect: Any) -> Any:
    return sa.select(_i.id).where(_THIS)


def _update(columns: Iterable[str], never: bool, statuses: int | None) -> Any:
    """The decision who may write: Glance, beside us, moves ``updated_at`` only."""
    seen = sa.bindparam('seen', type_=_i.updated_at.type)
    still = [_THIS, _LIVE, _i.revision == sa.bindparam('revision', type_=_i.revision.type),
             _i.updated_at.is_(None) if never else _i.updated_at == seen]
    if statuses is not None:
        still.append(_i.status.in_(
            [sa.bindparam(f'status_{n}', type_=_i.status.type) for n in range(statuses)]))
    return sa.update(tables.images).where(*still).values(
        revision=_i.revision + sa.literal_column('1'), updated_at=_AT,
        **{name: sa.bindparam(f'new_{name}', type_=_i[name].type) for name in columns})


def _remove(*conditions: Any) -> Any:
    return sa.update(tables.images).where(_THIS, _LIVE, *conditions).values(
        status=sa.bindparam('status', type_=_i.status.type), deleted=sa.true(), deleted_at=_AT,
        updated_at=_AT, revision=_i.revision + sa.literal_column('1'))


def _awaiting() -> list[Any]:
    return [_THIS, _i.deleted == sa.true(), _i.status == 'pending_delete',
            _i.deleted_at == sa.bindparam('removed_at', type_=_i.deleted_at.type)]


def _restore() -> Any:
    return sa.update(tables.images).where(*_awaiting()).values(
        status=sa.bindparam('before', type_=_i.status.type), deleted=sa.false(),
        deleted_at=None, updated_at=_AT,
        revision=_i.revision + sa.literal_column('1'))


def _scrubbed() -> Any:
    return sa.update(tables.images).where(*_awaiting()).values(status='deleted')


def _renew(amount: int) -> Any:
    return sa.update(tables.images).where(
        _i.id.in_([sa.bindparam(f'id_{n}', type_=_i.id.type) for n in range(amount)]),
        _i.lease_until < sa.bindparam('until', type_=_i.lease_until.type), _LIVE,
    ).values(lease_until=sa.bindparam('until', type_=_i.lease_until.type))


def _late(dialect: Any, *, goes_on: bool) -> Any:
    return sa.select(*image_columns(dialect)).where(
        _LIVE, _i.lease_until <= sa.bindparam('end', type_=_i.lease_until.type),
        *_behind(_i.lease_until, goes_on),
    ).order_by(_i.lease_until, _i.id).limit(sa.bindparam('limit', type_=sa.Integer))


def _pending(dialect: Any, *, goes_on: bool) -> Any:
    return sa.select(*image_columns(dialect, removed=True)).where(
        _i.status == 'pending_delete', _i.deleted == sa.true(),
        _i.deleted_at < sa.bindparam('end', type_=_i.deleted_at.type),
        *_behind(_i.deleted_at, goes_on),
    ).order_by(_i.deleted_at, _i.id).limit(sa.bindparam('limit', type_=sa.Integer))


def _behind(time: Any, goes_on: bool) -> list[Any]:
    if not goes_on:
        return []
    since = sa.bindparam('since', type_=time.type)
    return [time >= since, sa.or_(
        time > since, _i.id > sa.bindparam('since_id', type_=_i.id.type))]


def _usage(dialect: Any) -> Any:
    """``bytes`` counts each copy, and once what an upload has promised."""
    location = tables.locations.c
    copies = sa.select(sa.func.count()).where(
        location.image_id == _i.id, dialect.live(tables.locations),
        location.status == sa.literal_column("'active'")).scalar_subquery()
    mine = sa.select(
        _i.status, sa.func.coalesce(_i.size, sa.literal_column('0')).label('size'),
        copies.label('copies')).where(
            dialect.equal(_i.owner, sa.bindparam('project', type_=TEXT)), _LIVE,
            _i.status.not_in(queries.GONE_LITERALS)).subquery()
    one, none = sa.literal_column('1'), sa.literal_column('0')
    times = sa.case((mine.c.copies > none, mine.c.copies),
                    (mine.c.status == 'saving', one), else_=none)

    def total(expression: Any) -> Any:
        return sa.func.coalesce(sa.func.sum(expression), none)

    return sa.select(
        sa.func.count(), total(mine.c.size * times),
        total(sa.case((mine.c.status.in_(_STAGED), mine.c.size), else_=none)),
        total(sa.case((mine.c.status.in_(_BUSY), one),
                      else_=none)))


def _not_found(image_id: str) -> contract.NotFound:
    return contract.NotFound(f'there is no image {image_id}')


