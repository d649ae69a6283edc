"""Images in SQL: each method is one transaction, most are one statement."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from glancelite import contract
from glancelite.contract.query import ImageQuery, Viewer, id_forms
from glancelite.contract.values import Image, Page, Usage
from glancelite.plugins.database.sql import large, queries, tables
from glancelite.plugins.database.sql.connection import Connection, Statement
from glancelite.plugins.database.sql.dependent_rows import DependentRows
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.engine import ConstraintViolated, Engine
from glancelite.plugins.database.sql.rows import (
    PLAIN,
    TEXT,
    image_columns,
    image_id_is_possible,
    image_of,
    image_row,
    size_of,
)

_i = tables.images.c
_COLLECTIONS = ('tags', 'properties', 'locations')
_COLUMNS = frozenset({*PLAIN, 'attempt', 'lease_until'} - {'id'})
_UPDATABLE = _COLUMNS | set(_COLLECTIONS)
_LIVE = _i.deleted == sa.false()
_THIS = _i.id == sa.bindparam('image_id', type_=TEXT)
_PENDING = (_i.deleted == sa.true(), _i.status == 'pending_delete')
#: most ids in one statement
_BATCH = 100
_NO_DEPENDENT_ROWS = Image('')


@dataclasses.dataclass(frozen=True, slots=True)
class Update:
    """An update of an image that is not run yet.

    :ivar before, written: the image before the update, and after it.
    :ivar changed: the collections that change; without any, the statement is the update.
    """

    dependent_rows: DependentRows
    before: Image
    written: Image
    statement: Statement
    values: Mapping[str, Any]
    changed: Collection[str]

    def write(self, connection: Connection) -> bool:
        """Return False if the image is not any more as it was read."""
        if not connection.run(self.statement, self.values):
            return False
        if self.changed:
            self.dependent_rows.write(connection, self.before.id, self.values['at'], self.before,
                                      self.written, self.changed)
        return True


class SQLImages(contract.ImageRecords):

    def __init__(self, engine: Engine, host: contract.Host):
        self._engine = engine
        self._dialect = engine.dialect
        self._host = host
        self._dependent_rows = DependentRows(engine)
        self._large = large.LargeImages(engine)

    # --- reading

    def get(self, image_id: str, *, viewer: Viewer | None) -> Image:
        project = None if viewer is None else viewer.project
        image = self._read(image_id, project)
        if viewer is not None and not viewer.may_see(image):
            raise _not_found(image_id)
        return image

    def _read(self, image_id: str, project: str | None) -> Image:
        self._check_id(image_id)
        if project is not None and not self._dialect.storable(project):
            project = None
        select = self._select(project is not None)
        # one after the other: nearly always the first is found, by the shortest plan
        for form in dict.fromkeys(id_forms(image_id)):
            values = {'image_id': form, 'project': project, 'share': large.FIRST}
            rows = self._engine.rows(select, values)
            for image in self._images(select, values, rows):
                return image
        raise _not_found(image_id)

    def _images(self, statement: Statement, values: Mapping[str, Any], rows: Sequence[Any], *,
                limit: int | None = None, deleted: bool = False) -> tuple[Image, ...]:
        """Return the first images of a statement: at most ``limit``, as many as fit a page."""
        if any(map(size_of, rows[:limit])):
            return self._large.images(statement, values, rows, limit=limit, deleted=deleted)
        dialect = self._dialect
        return tuple([image_of(row, dialect) for row in rows[:limit]])

    def _select(self, membership: bool) -> Statement:
        return self._engine.statement(('get', membership), lambda dialect: sa.select(
            *image_columns(dialect, membership=membership)).where(_THIS, _LIVE))

    def _check_id(self, image_id: str) -> None:
        if not image_id_is_possible(image_id, self._engine):
            raise _not_found(image_id)

    def list(self, query: ImageQuery) -> Page[Image]:
        try:
            shape, values = queries.decompose(query, self._engine.ready_dialect())
        except queries.EmptyListing:
            return Page(())
        statement = self._engine.statement(
            shape, lambda dialect: queries.listing(shape, dialect))
        rows = self._engine.rows(statement, values)
        items = self._images(statement, values, rows, limit=query.limit)
        return Page(items, len(items) < len(rows))

    def usage(self, project: str) -> Usage:
        if not self._engine.ready_dialect().storable(project):
            return Usage()
        row, = self._engine.rows(self._engine.statement('usage', _usage), {'project': project})
        return Usage(*map(int, row))

    # --- writing

    def add(self, image: Image) -> Image:
        self._check_id(image.id)
        now = self._now()
        added = dataclasses.replace(
            image, tags=tuple(sorted(set(image.tags))), properties=dict(image.properties),
            locations=tuple(image.locations), created_at=now, updated_at=now, deleted_at=None,
            lease_until=self._truncate(image.lease_until), revision=0, membership=None)
        at = self._dialect.bind_time(now)
        row = {**image_row(added, self._dialect), 'at': at, 'no': False}
        insert = self._engine.statement('add', _insert)

        def write(connection: Connection) -> None:
            connection.run(insert, row)
            self._dependent_rows.write(
                connection, image.id, at, _NO_DEPENDENT_ROWS, added, _COLLECTIONS)

        try:
            if added.tags or added.properties or added.locations:
                self._engine.transaction(write)
            else:
                self._engine.run(insert, row)
        except ConstraintViolated as error:
            if self._engine.rows(self._engine.statement('select_id', _select_id),
                                 {'image_id': image.id}):
                raise contract.Conflict(f'the image id {image.id} is in use') from None
            raise contract.Invalid('the database cannot store this image') from error
        return added

    def is_used(self, image_id: str) -> bool:
        if not image_id_is_possible(image_id, self._engine):
            return False
        select = self._engine.statement('select_id', _select_id)
        return any(self._engine.rows(select, {'image_id': form})
                   for form in dict.fromkeys(id_forms(image_id)))

    def withdraw(self, image: Image) -> None:
        values = {'image_id': image.id, 'revision': image.revision}
        remove = self._engine.statement('withdraw', lambda _: sa.delete(tables.images).where(
            _THIS, _LIVE, _i.revision == sa.bindparam('revision', type_=_i.revision.type)))

        def write(connection: Connection) -> None:
            self._dependent_rows.remove(connection, values)
            if not connection.run(remove, values):
                raise contract.Conflict(f'image {image.id} was changed in the meantime')

        try:
            self._engine.transaction(write)
        except (contract.Conflict, ConstraintViolated):
            self.delete(image, pending=False)

    def update(self, image: Image, changes: Mapping[str, object], *,
               status: Collection[str] | None = None) -> Image:
        update = self.prepare_update(image, changes, status=status)
        try:
            success = (self._engine.transaction(update.write) if update.changed
                       else self._engine.run(update.statement, update.values))
        except ConstraintViolated as error:
            raise contract.Invalid('the database cannot store this image') from error
        if not success:
            raise self.update_error(image.id)
        return update.written

    def prepare_update(self, image: Image, changes: Mapping[str, object], *,
                       status: Collection[str] | None = None) -> Update:
        """Raises as ``update`` does, but looks at nothing in the database."""
        if not changes.keys() <= _UPDATABLE:
            raise TypeError('update() cannot change '
                            f'{", ".join(sorted(changes.keys() - _UPDATABLE))}')
        self._check_id(image.id)
        now = self._now()
        at = self._dialect.bind_time(now)
        written = dataclasses.replace(
            image, **_canonical(changes), updated_at=now, revision=image.revision + 1)
        columns = tuple(sorted(changes.keys() & _COLUMNS))
        values = {f'new_{name}': getattr(written, name) for name in columns}
        if 'lease_until' in changes:
            written = dataclasses.replace(written, lease_until=self._truncate(written.lease_until))
            values['new_lease_until'] = self._dialect.bind_time(written.lease_until)
        values.update(image_id=image.id, revision=image.revision, at=at,
                      seen=self._dialect.bind_time(image.updated_at))
        values.update((f'status_{n}', name) for n, name in enumerate(sorted(status or ())))
        shape = (columns, image.updated_at is None, None if status is None else len(status))
        statement = self._engine.statement(('update', *shape), lambda _: _update(*shape))
        return Update(self._dependent_rows, image, written, statement, values,
                      _changed_collections(image, written, changes))

    def update_error(self, image_id: str) -> contract.Error:
        """Find out why an update has not changed any row."""
        for status, revision in self._engine.rows(
                self._engine.statement('select_revision', lambda _: sa.select(
                    _i.status, _i.revision).where(_THIS, _LIVE)), {'image_id': image_id}):
            return contract.Conflict(f'image {image_id} was changed in the meantime',
                                     status=status, revision=revision)
        return _not_found(image_id)

    def delete(self, image: Image, *, pending: bool) -> Image:
        self._check_id(image.id)
        now = self._now()
        status = 'pending_delete' if pending else 'deleted'
        values = {'image_id': image.id, 'at': self._dialect.bind_time(now), 'status': status,
                  'share': large.FIRST}
        if image.protected:
            update = self._engine.statement('delete', lambda _: _delete())
        else:
            update = self._engine.statement('delete_unprotected', lambda _: _delete(
                _i.protected == sa.false()))
        select = self._select_with_live_rows()

        def write(connection: Connection) -> Image:
            deleted = connection.run(update, values)
            found, _ = self._large.complete(connection, connection.rows(select, values))
            if not deleted:
                if found and found[0].deleted_at is None:
                    raise contract.Conflict(f'image {image.id} is protected now')
                raise _not_found(image.id)
            self._dependent_rows.delete(connection, values)
            return found[0]

        deleted = self._engine.transaction(write)
        return dataclasses.replace(
            deleted, membership=image.membership, locations=tuple(
                dataclasses.replace(location, status=status) for location in deleted.locations))

    def _select_with_live_rows(self) -> Statement:
        """Select the image, deleted or not, with its dependent rows that are not deleted."""
        return self._engine.statement('select_with_live_rows', lambda dialect: sa.select(
            *image_columns(dialect)).where(_THIS))

    def pending_deletion(self, image_id: str) -> tuple[Image, str]:
        self._check_id(image_id)
        select = self._engine.statement('select_pending', lambda dialect: sa.select(
            *image_columns(dialect, deleted=True)).where(_THIS, *_PENDING))
        select_status = self._engine.statement('select_status_before', lambda _: sa.select(
            _i.status_before).where(_THIS, *_PENDING))
        for form in dict.fromkeys(id_forms(image_id)):
            values = {'image_id': form, 'share': large.FIRST}
            rows = self._engine.rows(select, values)
            for image in self._images(select, values, rows, deleted=True):
                for status, in self._engine.rows(select_status, values):
                    return image, status or 'active'
        raise _not_found(image_id)

    def undelete(self, image: Image, *, status: str | None = None) -> Image:
        conflict = contract.Conflict(f'image {image.id} is not pending deletion')
        if image.deleted_at is None:
            raise conflict
        now = self._now()
        values = {'image_id': image.id, 'at': self._dialect.bind_time(now), 'before': status,
                  'removed_at': self._dialect.bind_time(image.deleted_at),
                  'share': large.FIRST}
        update = self._engine.statement(
            ('undelete', status is None), lambda _: _undelete(as_before=status is None))
        select = self._select_with_live_rows()

        def write(connection: Connection) -> Image:
            if not (connection.run(update, values)
                    and self._dependent_rows.undelete(connection, image, values)):
                raise conflict
            (restored,), _ = self._large.complete(connection, connection.rows(select, values))
            return restored

        return dataclasses.replace(self._engine.transaction(write),
                                   membership=image.membership)

    def complete_delete(self, image: Image) -> None:
        values = {'image_id': image.id, 'removed_at': self._dialect.bind_time(image.deleted_at)}
        update = self._engine.statement('complete_delete', lambda _: _complete_delete())

        def write(connection: Connection) -> None:
            if connection.run(update, values):
                self._dependent_rows.complete_delete(connection, values)

        self._engine.transaction(write)

    def renew_leases(self, image_ids: Collection[str], *, until: datetime.datetime) -> None:
        until = self._dialect.bind_time(self._truncate(until))
        possible = [image_id for image_id in image_ids
                    if image_id_is_possible(image_id, self._engine)]
        for start in range(0, len(possible), _BATCH):
            batch = possible[start:start + _BATCH]
            self._engine.run(
                self._engine.statement(('renew', len(batch)), lambda _: _renew(len(batch))),  # noqa: B023
                {'until': until, **{f'id_{n}': image_id for n, image_id in enumerate(batch)}})

    def unfinished(self, *, now: datetime.datetime, deleted_before: datetime.datetime,
                   limit: int = 100, after: Image | None = None) -> Sequence[Image]:
        after_is_deleted = after is not None and after.deleted_at is not None
        images: tuple[Image, ...] = ()
        if not after_is_deleted:
            images, are_large = self._unfinished(_expired, now, limit, after)
            if are_large:
                return images
        if len(images) < limit:
            pending, _ = self._unfinished(_pending, deleted_before, limit - len(images),
                                          after if after_is_deleted else None)
            images += pending
        return images

    def _unfinished(self, build: Callable[..., Any], end: datetime.datetime, limit: int,
                    after: Image | None) -> tuple[tuple[Image, ...], bool]:
        """:returns: images, as many as fit a page, and whether there are large ones."""
        values: dict[str, Any] = {'end': self._dialect.bind_time(end), 'limit': limit,
                                  'share': large.share(limit)}
        if after is not None:
            values |= {'since': self._dialect.bind_time(after.deleted_at or after.lease_until),
                       'since_id': after.id}
        statement = self._engine.statement(
            (build.__name__, after is None),
            lambda dialect: build(dialect, continued=after is not None))
        rows = self._engine.rows(statement, values)
        images = self._images(statement, values, rows, deleted=build is _pending)
        return images, any(map(size_of, rows))

    def _now(self) -> datetime.datetime:
        return self._engine.ready_dialect().truncate(self._host.now())

    def _truncate(self, time: datetime.datetime | None) -> datetime.datetime | None:
        return time and self._dialect.truncate(time)


def _changed_collections(old: Image, new: Image, names: Collection[str]) -> list[str]:
    return [name for name in _COLLECTIONS
            if name in names and getattr(new, name) != getattr(old, name)]


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

_STAGED: list[Any] = [sa.literal_column("'uploading'"), sa.literal_column("'importing'")]
#: statuses in which an image counts with its size before it has a location
_RESERVING: list[Any] = [sa.literal_column("'saving'"), sa.literal_column("'importing'")]
_UPLOADING: list[Any] = [sa.literal_column("'saving'"), *_STAGED]
_AT = sa.bindparam('at', type_=_i.updated_at.type)


def _insert(dialect: Dialect) -> Any:
    no = sa.bindparam('no', type_=_i.deleted.type)
    values: dict[str, Any] = {
        name: sa.bindparam(name, type_=_i[name].type)
        for name in (*PLAIN, 'attempt', 'lease_until')}
    return sa.insert(tables.images).inline().values(
        **values, created_at=_AT, updated_at=_AT, deleted=no, revision=sa.literal_column('0'))


def _select_id(dialect: Dialect) -> Any:
    return sa.select(_i.id).where(_THIS)


def _update(columns: Iterable[str], never_updated: bool, statuses: int | None) -> Any:
    """Update if the image is unchanged; Glance on the same database sets ``updated_at`` only.

    :param statuses: the number of statuses that the image may have; None for any.
    """
    seen = sa.bindparam('seen', type_=_i.updated_at.type)
    unchanged = [_THIS, _LIVE, _i.revision == sa.bindparam('revision', type_=_i.revision.type),
                 _i.updated_at.is_(None) if never_updated else _i.updated_at == seen]
    if statuses is not None:
        unchanged.append(_i.status.in_(
            [sa.bindparam(f'status_{n}', type_=_i.status.type) for n in range(statuses)]))
    return sa.update(tables.images).where(*unchanged).values(
        revision=_i.revision + sa.literal_column('1'), updated_at=_AT,
        **{name: sa.bindparam(f'new_{name}', type_=_i[name].type) for name in columns})


def _delete(*conditions: Any) -> Any:
    # in this order: MariaDB and MySQL see what they have set in the same statement
    return sa.update(tables.images).where(_THIS, _LIVE, *conditions).ordered_values(
        (_i.status_before, _i.status),
        (_i.status, sa.bindparam('status', type_=_i.status.type)),
        (_i.deleted, sa.true()), (_i.deleted_at, _AT), (_i.updated_at, _AT),
        (_i.revision, _i.revision + sa.literal_column('1')))


def _pending_deletion() -> list[Any]:
    return [_THIS, *_PENDING,
            _i.deleted_at == sa.bindparam('removed_at', type_=_i.deleted_at.type)]


def _undelete(*, as_before: bool) -> Any:
    status: Any = sa.bindparam('before', type_=_i.status.type)
    if as_before:
        status = sa.func.coalesce(_i.status_before, sa.literal_column("'active'"))
    return sa.update(tables.images).where(*_pending_deletion()).ordered_values(
        (_i.status, status), (_i.status_before, None), (_i.deleted, sa.false()),
        (_i.deleted_at, None), (_i.updated_at, _AT),
        (_i.revision, _i.revision + sa.literal_column('1')))


def _complete_delete() -> Any:
    return sa.update(tables.images).where(*_pending_deletion()).values(status='deleted')


def _renew(amount: int) -> Any:
    return sa.update(tables.images).where(
        _i.id.in_([sa.bindparam(f'id_{n}', type_=_i.id.type) for n in range(amount)]),
        _i.lease_until < sa.bindparam('until', type_=_i.lease_until.type), _LIVE,
    ).values(lease_until=sa.bindparam('until', type_=_i.lease_until.type))


def _expired(dialect: Dialect, *, continued: bool) -> Any:
    return sa.select(*image_columns(dialect)).where(
        _LIVE, _i.lease_until <= sa.bindparam('end', type_=_i.lease_until.type),
        *_after(_i.lease_until, continued),
    ).order_by(_i.lease_until, _i.id).limit(sa.bindparam('limit', type_=sa.Integer))


def _pending(dialect: Dialect, *, continued: bool) -> Any:
    return sa.select(*image_columns(dialect, deleted=True)).where(
        _i.status == 'pending_delete', _i.deleted == sa.true(),
        _i.deleted_at < sa.bindparam('end', type_=_i.deleted_at.type),
        *_after(_i.deleted_at, continued),
    ).order_by(_i.deleted_at, _i.id).limit(sa.bindparam('limit', type_=sa.Integer))


def _after(time: Any, continued: bool) -> list[Any]:
    if not continued:
        return []
    since = sa.bindparam('since', type_=time.type)
    return [time >= since, sa.or_(
        time > since, _i.id > sa.bindparam('since_id', type_=_i.id.type))]


def _usage(dialect: Dialect) -> Any:
    """``bytes`` counts each active location, and the reservation of an upload once."""
    location = tables.locations.c
    copies = sa.select(sa.func.count()).where(
        location.image_id == _i.id, dialect.live(tables.locations),
        location.status == sa.literal_column("'active'")).scalar_subquery()
    owned = sa.select(
        _i.status, sa.func.coalesce(_i.size, sa.literal_column('0')).label('size'),
        copies.label('copies')).where(
            _i.owner == sa.bindparam('project', type_=TEXT), _LIVE,
            _i.status.not_in(queries.DELETED_LITERALS)).subquery()
    one: Any
    zero: Any
    one, zero = sa.literal_column('1'), sa.literal_column('0')
    times = sa.case((owned.c.copies > zero, owned.c.copies),
                    (owned.c.status.in_(_RESERVING), one), else_=zero)

    def total(expression: Any) -> Any:
        return sa.func.coalesce(sa.func.sum(expression), zero)

    return sa.select(
        sa.func.count(), total(owned.c.size * times),
        total(sa.case((owned.c.status.in_(_STAGED), owned.c.size), else_=zero)),
        total(sa.case((owned.c.status.in_(_UPLOADING), one),
                      else_=zero)))


def _not_found(image_id: str) -> contract.NotFound:
    return contract.NotFound(f'No image found with ID {image_id}')


