"""The statements for tasks; see ``tasks.py``."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from glancelite.contract.query import TaskQuery
from glancelite.plugins.database.sql import paging, tables
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.queries import EmptyListing, second
from glancelite.plugins.database.sql.rows import TEXT
from glancelite.plugins.database.sql.task_rows import COLUMNS, INFO, JOINED, SELECTED, bind

_t, _info = tables.tasks.c, tables.task_info.c
_LIVE = _t.deleted == sa.false()
_ID = sa.bindparam('task_id', type_=TEXT)
_ATTEMPT = sa.bindparam('attempt', type_=sa.Integer())
_AT = sa.bindparam('at', type_=sa.DateTime())
_SEEN = sa.bindparam('seen', type_=sa.DateTime())
_END = sa.bindparam('end', type_=sa.DateTime())
_LIMIT = sa.bindparam('limit', type_=sa.Integer())


def _literals(*texts: str) -> list[Any]:
    return [sa.literal_column(f"'{text}'") for text in texts]


# the index for claims has this condition
_UNFINISHED = _t.status.in_(_literals('pending', 'processing'))
_FINISHED = _t.status.in_(_literals('success', 'failure'))


# --- reading

def select(dialect: Dialect) -> Any:
    return sa.select(*SELECTED).select_from(JOINED).where(_t.id == _ID, _LIVE)


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Everything that determines the text of a listing.

    :param equal: fields, and whether each has a value.
    :param after: for each sort key whether the last task has a value; None on the first page.
    """

    owned: bool
    types: int
    equal: tuple[tuple[str, bool], ...]
    sort: tuple[tuple[str, str], ...]
    after: tuple[bool, ...] | None
    limited: bool


def decompose(query: TaskQuery, dialect: Dialect) -> tuple[Shape, dict[str, Any]]:
    """Return the shape and the parameters of a query.

    :raises EmptyListing: no task can match, so the database need not be queried.
    """
    values: dict[str, Any] = {'now': dialect.bind_time(query.now), 'owner': query.owner}
    types = [kind for kind in dict.fromkeys(query.types) if dialect.storable(kind)]
    values.update((f'type_{n}', kind) for n, kind in enumerate(types))
    if not types or query.owner == '' or not dialect.storable(query.owner or ''):
        raise EmptyListing
    for name, value in query.equal.items():
        if name == 'owner' and value == '':     # the column has '' for None
            raise EmptyListing
        if isinstance(value, datetime.datetime):
            values[f'{name}_start'], values[f'{name}_end'] = second(value, dialect)
        elif isinstance(value, str) and not dialect.storable(value):
            raise EmptyListing
        else:
            values[f'equal_{name}'] = value
    sort = paging.first_of_each_key(query.sort)
    last = query.after and dataclasses.replace(query.after, owner=query.after.owner or '')
    after = paging.decompose_after(last, sort, dialect, values)
    if query.limit is not None:
        values['limit'] = query.limit + 1
    return Shape(
        query.owner is not None, len(types),
        tuple((name, value is not None) for name, value in query.equal.items()),
        sort, after, query.limit is not None), values


def listing(shape: Shape, dialect: Dialect) -> Any:
    now = sa.bindparam('now', type_=sa.DateTime())
    conditions = [_LIVE, sa.or_(_t.expires_at.is_(None), _t.expires_at > now),
                  _t.type.in_(_types(shape.types))]
    if shape.owned:
        conditions.append(_t.owner == sa.bindparam('owner', type_=TEXT))
    conditions += [_equal(name, is_set) for name, is_set in shape.equal]
    conditions += paging.after(_t, shape.sort, shape.after, dialect)
    found = sa.select(*SELECTED).select_from(JOINED).where(*conditions).order_by(
        *paging.order(_t, shape.sort, dialect))
    return found.limit(_LIMIT) if shape.limited else found


def _types(amount: int) -> list[Any]:
    return [sa.bindparam(f'type_{n}', type_=TEXT) for n in range(amount)]


def _equal(name: str, is_set: bool) -> Any:
    column = _t[name]
    if not is_set:
        return column == sa.literal_column("''") if name == 'owner' else column.is_(None)
    if isinstance(column.type, sa.DateTime):
        start, end = (sa.bindparam(f'{name}_{which}', type_=column.type)
                      for which in ('start', 'end'))
        return sa.and_(column >= start, column < end)
    return column == sa.bindparam(f'equal_{name}', type_=TEXT)


# --- claims

def _claimable(dialect: Dialect) -> list[Any]:
    now = dialect.lease_clock()
    return [_LIVE, _UNFINISHED, _t.attempt.is_not(None),
            sa.or_(_t.lease_until.is_(None), _t.lease_until <= now),
            sa.or_(_t.not_before.is_(None), _t.not_before <= now),
            sa.or_(_t.node.is_(None), _t.node == sa.bindparam('node', type_=TEXT))]


def look(types: int, any_task: bool, dialect: Dialect) -> Any:
    """Find tasks that can be claimed."""
    conditions = [*_claimable(dialect), _t.type.in_(_types(types))]
    if not any_task:
        conditions.append(_t.id == _ID)
    return sa.select(_t.id, _t.attempt).where(*conditions).order_by(
        _t.created_at, _t.id).limit(sa.bindparam('amount', type_=sa.Integer()))


def claim(dialect: Dialect) -> Any:
    return sa.update(tables.tasks).where(
        _t.id == _ID, _t.attempt == _ATTEMPT, *_claimable(dialect),
    ).values(status=_literals('processing')[0], attempt=_ATTEMPT + sa.literal_column('1'),
             holder=bind(tables.tasks, 'holder'), updated_at=_AT, not_before=None,
             lease_until=dialect.lease_clock(later=True))


def _held(amount: int) -> list[Any]:
    ids = [sa.bindparam(f'id_{n}', type_=TEXT) for n in range(amount)]
    return [_LIVE, _t.holder.is_not(None), _t.id.in_(ids), sa.or_(*(
        sa.and_(_t.id == each, _t.attempt == sa.bindparam(f'attempt_{n}', type_=sa.Integer()))
        for n, each in enumerate(ids)))]


def renew(amount: int, dialect: Dialect) -> Any:
    return sa.update(tables.tasks).where(*_held(amount)).values(
        lease_until=dialect.lease_clock(later=True))


def held(amount: int, dialect: Dialect) -> Any:
    return sa.select(_t.id, _t.cancelled).where(*_held(amount))


# --- writing

def insert(dialect: Dialect) -> Any:
    no: Any = sa.bindparam('no', type_=sa.Boolean())
    return sa.insert(tables.tasks).inline().values(
        created_at=_AT, updated_at=_AT, deleted=no,
        attempt=sa.bindparam('zero', type_=sa.Integer()),
        **{name: bind(tables.tasks, name) for name in ('id', *COLUMNS)})


def insert_info(dialect: Dialect) -> Any:
    return sa.insert(tables.task_info).inline().values(
        task_id=sa.bindparam('id', type_=TEXT),
        **{name: bind(tables.task_info, name) for name in INFO})


def unfinished() -> Sequence[Any]:
    return [_UNFINISHED]


def failed() -> Sequence[Any]:
    return [_t.status == _literals('failure')[0], _t.updated_at == _SEEN]


def update(columns: Iterable[str], condition: Sequence[Any], release: bool, pauses: bool,
           dialect: Dialect) -> Any:
    values: dict[str, Any] = {name: bind(tables.tasks, name) for name in columns}
    if release:
        values |= {'holder': None, 'lease_until': None}
    if pauses:
        values['not_before'] = dialect.lease_clock(later=True)
    return sa.update(tables.tasks).where(
        _t.id == _ID, _LIVE, _t.attempt == _ATTEMPT, *condition,
    ).values(updated_at=_AT, **values)


def update_info(names: Iterable[str]) -> Any:
    return sa.update(tables.task_info).where(_info.task_id == _ID).values(
        **{name: bind(tables.task_info, name) for name in names})


def cancel(dialect: Dialect) -> Any:
    return sa.update(tables.tasks).where(
        _t.id == _ID, _LIVE, _t.attempt.is_not(None), _UNFINISHED,
    ).values(cancelled=sa.true(), not_before=None, updated_at=_AT)


# --- removing

def lock() -> Any:
    return sa.select(_t.id).where(
        _t.id == _ID, _LIVE, _t.attempt == _ATTEMPT).with_for_update()


def lock_finished() -> Any:
    return sa.select(_t.id).where(
        _t.id == _ID, _LIVE, _t.attempt == _ATTEMPT, _FINISHED, _t.updated_at == _SEEN,
    ).with_for_update()


def expired() -> Any:
    return sa.select(_t.id).where(_FINISHED, _t.expires_at < _END).order_by(
        _t.expires_at).limit(_LIMIT)


def lock_expired(amount: int) -> Any:
    """Lock expired tasks, which may have been restarted since they were found."""
    return sa.select(_t.id).where(
        _t.id.in_([sa.bindparam(f'id_{n}', type_=TEXT) for n in range(amount)]),
        _FINISHED, _t.expires_at < _END).with_for_update()


def delete(column: Any, amount: int) -> Any:
    return sa.delete(column.table).where(
        column.in_([sa.bindparam(f'id_{n}', type_=TEXT) for n in range(amount)]))
