"""A listing as one statement.

A query falls into its shape, from which the statement is built once, and its
values, which go into the parameters.  What can be decided without the
database (a number that no column can hold, a text that cannot be stored) is
decided here, so that the statement sees only values of the column's kind.

The images of a page are found in branches, one for each way in which an image
comes into the listing (own, public, shared with me, ...).  Each branch walks
one index in the order of the listing and stops after a page; a single
condition with OR would read and sort all images instead.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import operator
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from glancelite.contract.query import ImageQuery, Where
from glancelite.contract.values import VISIBILITIES, Image
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.rows import EMPTY, image_columns

GONE = ('deleted', 'pending_delete', 'killed')
GONE_LITERALS = [sa.literal_column(f"'{status}'") for status in GONE]
#: the range of a column for numbers
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
#: tags or properties that are looked for one by one, with the help of an index; of more, which
#: would take a planner minutes, those that an image has are counted
FEW = 6
_i = tables.images.c
_COMPARE = {'eq': operator.eq, 'neq': operator.ne, 'gt': operator.gt, 'gte': operator.ge,
            'lt': operator.lt, 'lte': operator.le}


class Nothing(Exception):
    """No image can be in this listing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """All that decides what the statement looks like.

    :param branches: ``(way, visibility or None)``.
    :param any_membership: which memberships count: all, or those in ``member_status``.
    :param wheres: ``(field, operator, number of values)``; operator ``set``: is there at all.
    :param properties: of each whether its value is ''.
    :param after: of each sort key whether the last image had it set; None on the first page.
    """

    branches: tuple[tuple[str, str | None], ...]
    any_membership: bool
    membership: bool
    wheres: tuple[tuple[str, str, int], ...]
    tags: int
    properties: tuple[bool, ...]
    sort: tuple[tuple[str, str], ...]
    after: tuple[bool, ...] | None
    limited: bool


def fall_apart(query: ImageQuery, dialect: Dialect) -> tuple[Shape, dict[str, Any]]:
    """The shape and the parameters of a query.

    :raises Nothing: without asking the database.
    """
    values: dict[str, Any] = {
        'hidden': query.hidden, 'project': query.viewer.project,
        'member_status': query.member_status}
    for text in (query.viewer.project or '', query.member_status, *query.tags,
                 *query.properties, *query.properties.values()):
        if not dialect.storable(text):
            raise Nothing
    wheres = []
    for where in query.where:
        for plain in _plain(where, dialect):
            number = len(wheres)
            wheres.append((plain.field, plain.operator, len(plain.value)))  # type: ignore
            for place, value in enumerate(plain.value):  # type: ignore
                values[f'where_{number}_{place}'] = value
    for number, tag in enumerate(sorted(query.tags)):
        values[f'tag_{number}'] = tag
    for number, (name, value) in enumerate(query.properties.items()):
        values[f'name_{number}'] = name
        values[f'value_{number}'] = value
    keys: dict[str, str] = {}
    for key, direction in query.sort:
        keys.setdefault(key, direction)
    sort = tuple(keys.items())
    after = None
    if query.after is not None:
        last = [_marker(query.after, key, dialect) for key, _ in sort]
        after = tuple(value is not None for value in last)
        values.update((f'after_{key}', value)
                      for (key, _), value in zip(sort, last, strict=True))
    if query.limit is not None:
        values['limit'] = query.limit + 1
    return Shape(
        branches=_branches(query), any_membership=query.member_status == 'all',
        membership=query.viewer.project is not None, wheres=tuple(wheres),
        tags=len(query.tags), properties=tuple(v == '' for v in query.properties.values()),
        sort=sort, after=after, limited=query.limit is not None), values


def _branches(query: ImageQuery) -> tuple[tuple[str, str | None], ...]:
    """The ways into the listing; an image may come in by several of them."""
    asked, viewer = query.visibility, query.viewer
    if asked not in (None, 'all', *VISIBILITIES):
        raise Nothing
    wanted = VISIBILITIES if asked in (None, 'all') else (asked,)
    own = viewer.project is not None
    if viewer.is_admin:
        branches = [('any', v) for v in wanted if v != 'community' or asked]
        if own and not asked:
            branches.append(('own', 'community'))
    else:
        branches = [('any', v) for v in wanted
                    if v == 'public' or (v == 'community' and asked)]
        if own:
            branches.append(('own', asked if asked in VISIBILITIES else None))
            if 'shared' in wanted:
                branches.append(('member', 'shared'))
    if not branches:
        raise Nothing
    return tuple(branches)


def _marker(image: Image, key: str, dialect: Dialect) -> Any:
    value = getattr(image, key)
    return dialect.time_in(value) if isinstance(value, datetime.datetime) else value


# --- conditions

def _plain(where: Where, dialect: Dialect) -> list[Where]:
    """Conditions that mean the same, with a tuple of values that the column could have."""
    operation, value = where.operator, where.value
    column = _i[where.field]
    if operation == 'in':
        found = [v for v in map(functools.partial(_fitting, column, dialect), value)
                 if v is not None]
        if not found:
            raise Nothing
        return [Where(where.field, 'in', tuple(dict.fromkeys(found)))]
    there = Where(where.field, 'set', ())
    if _is_number(column):
        number = int(value) if isinstance(value, bool) else value
        if not LOWEST <= number <= HIGHEST:
            if _COMPARE[operation](0, number):      # all that can be kept, or none
                return [there]
            raise Nothing
        return [Where(where.field, operation, (number,))]
    if isinstance(column.type, sa.String) and not dialect.storable(value):
        return _next_to(where, dialect, there)
    return [Where(where.field, operation, (_fitting(column, dialect, value),))]


def _next_to(where: Where, dialect: Dialect, there: Where) -> list[Where]:
    """A condition with a text that cannot be stored, by its nearest neighbour that can.

    >>> name < 'a\\0b'      # the same as name <= 'a', if no name has a NUL
    """
    if where.operator == 'eq':
        raise Nothing
    if where.operator == 'neq':
        return [there]
    text = where.value
    end = next(n for n in range(len(text) + 1) if not dialect.storable(text[:n])) - 1
    below = where.operator in ('lt', 'lte')
    if text[end] == '\0':
        return [Where(where.field, 'lte' if below else 'gt', (text[:end],))]
    # the first character after all surrogates, or after those that old tables can hold
    beyond = text[:end] + ('\ue000' if text[end] < '\ue000' else '\U00010000')
    return [Where(where.field, 'lt' if below else 'gte', (beyond,))]


def _fitting(column: Any, dialect: Dialect, value: Any) -> Any:
    """``value`` as the driver takes it; None if the column cannot have it."""
    if isinstance(value, datetime.datetime):
        return dialect.time_in(value)
    if _is_number(column):
        number = int(value) if isinstance(value, bool) else value
        return number if LOWEST <= number <= HIGHEST else None
    return value if dialect.storable(value) else None


def _is_number(column: Any) -> bool:
    return isinstance(column.type, (sa.Integer, sa.Boolean))


def _condition(number: int, field: str, operation: str, amount: int, dialect: Dialect) -> Any:
    column: Any = _i[field]
    if operation == 'set':
        return column.is_not(None)
    kind = column.type
    if isinstance(kind, sa.Boolean):
        column, kind = sa.cast(column, sa.Integer), sa.Integer()
    elif isinstance(kind, sa.Integer):
        kind = sa.BigInteger()
    elif isinstance(kind, sa.Enum):
        column, kind = sa.cast(column, sa.String(20)), sa.Text()
    binds = [sa.bindparam(f'where_{number}_{place}', type_=kind) for place in range(amount)]
    if operation == 'in':
        return dialect.within(column, binds)
    if operation == 'eq':
        return dialect.equal(column, binds[0])
    if isinstance(kind, sa.String):
        return _COMPARE[operation](dialect.text(column), dialect.text(binds[0]))
    return _COMPARE[operation](column, binds[0])


def _conditions(shape: Shape, dialect: Dialect) -> list[Any]:
    """What holds for all images of the listing."""
    prop, tag = tables.properties.c, tables.tags.c
    found = [_i.status.not_in(GONE_LITERALS)]
    found += [_condition(number, *where, dialect) for number, where in enumerate(shape.wheres)]
    tags = [sa.bindparam(f'tag_{number}', type_=sa.Text) for number in range(shape.tags)]
    if len(tags) > FEW:
        found.append(len(tags) == sa.select(
            sa.func.count(sa.distinct(dialect.text(tag.value)))).where(
                tag.image_id == _i.id, dialect.live(tables.tags),
                dialect.within(tag.value, tags)).scalar_subquery())
    else:
        found += [sa.exists().where(
            tag.image_id == _i.id, dialect.live(tables.tags), dialect.equal(tag.value, value))
            for value in tags]
    properties = []
    for number, empty in enumerate(shape.properties):
        name = sa.bindparam(f'name_{number}', type_=sa.Text)
        value = sa.bindparam(f'value_{number}', type_=sa.Text)
        # a value that was never set is shown as ''
        holds = (sa.func.coalesce(prop.value, EMPTY) == EMPTY if empty
                 else dialect.property_value(prop.value, value))
        properties.append(sa.and_(dialect.equal(prop.name, name), holds))
    here = prop.image_id == _i.id, dialect.live(tables.properties)
    if len(properties) > FEW:
        found.append(len(properties) == sa.select(sa.func.count()).where(
            *here, sa.or_(*properties)).scalar_subquery())
    else:
        found += [sa.exists().where(*here, each) for each in properties]
    return found


def _way(way: str, visibility: str | None, shape: Shape, dialect: Dialect) -> list[Any]:
    """One way into the listing, of images that are not deleted."""
    def column(name: str) -> Any:
        return dialect.by_id(_i[name]) if way == 'member' else _i[name]

    found = [column('deleted') == sa.false(),
             column('os_hidden') == sa.bindparam('hidden', type_=sa.Boolean)]
    if visibility is not None:
        asked = dialect.aside(_i.visibility) if way == 'own' else column('visibility')
        found.append(asked == sa.literal_column(f"'{visibility}'"))
    project = sa.bindparam('project', type_=sa.Text)
    if way == 'own':
        found.append(dialect.equal(_i.owner, project))
    elif way == 'member':
        member = tables.members.c
        status = () if shape.any_membership else (
            member.status == sa.bindparam('member_status', type_=sa.Text),)
        found.append(_i.id.in_(sa.select(member.image_id).where(
            dialect.equal(member.member, project), dialect.live(tables.members), *status)))
    return found


# --- order

def _beyond(shape: Shape, dialect: Dialect) -> list[Any]:
    """What comes after the last image of the page before."""
    if shape.after is None:
        return []
    keys = []
    for (key, direction), given in zip(shape.sort, shape.after, strict=True):
        column = dialect.sortable(_i[key])
        value = sa.bindparam(f'after_{key}', type_=_i[key].type) if given else None
        if value is not None and isinstance(_i[key].type, sa.String) and key != 'id':
            value = dialect.text(value)
        keys.append((column, direction, value, _i[key].nullable))
    directions = {direction for _, direction, _, _ in keys}
    simple = len(directions) == 1 and all(
        value is not None and not nullable for _, _, value, nullable in keys)
    if simple and dialect.row_values:
        less = operator.lt if directions == {'desc'} else operator.gt
        return [less(sa.tuple_(*(key[0] for key in keys)), sa.tuple_(*(key[2] for key in keys)))]
    ways = []
    for number, key in enumerate(keys):
        further = _further(*key)
        if further is not None:
            same = [column.is_(None) if value is None else column == value
                    for column, _, value, _ in keys[:number]]
            ways.append(sa.and_(*same, further))
    column, direction, value, nullable = keys[0]
    if value is not None and not nullable:      # says no more, but an index understands it
        bound = column <= value if direction == 'desc' else column >= value
        return [bound, sa.or_(*ways)]
    return [sa.or_(sa.false(), *ways)]


def _further(column: Any, direction: str, value: Any, nullable: bool) -> Any:
    """The column comes after ``value``; None if nothing can."""
    if direction == 'asc':
        return column.is_not(None) if value is None else column > value
    if value is None:
        return None
    return sa.or_(column < value, column.is_(None)) if nullable else column < value


def _order(shape: Shape, dialect: Dialect, columns: Mapping[str, Any]) -> list[Any]:
    found = []
    for key, direction in shape.sort:
        column = dialect.sortable(columns[key])
        ordered = column.desc() if direction == 'desc' else column.asc()
        if dialect.nulls_need_words:
            ordered = ordered.nulls_last() if direction == 'desc' else ordered.nulls_first()
        found.append(ordered)
    return found


def listing(shape: Shape, dialect: Dialect) -> Any:
    """The statement."""
    rest = [*_conditions(shape, dialect), *_beyond(shape, dialect)]
    whole = sa.select(*image_columns(dialect, membership=shape.membership))
    order = _order(shape, dialect, _i)
    ways = [sa.and_(*_way(*branch, shape, dialect)) for branch in shape.branches]
    if not shape.limited:
        return whole.where(*rest, sa.or_(*ways)).order_by(*order)
    limit = sa.bindparam('limit', type_=sa.Integer)
    keys = list(dict.fromkeys(('id', *(key for key, _ in shape.sort))))
    branches = [sa.select(*(_i[key] for key in keys)).where(way, *rest)
                .order_by(*order).limit(limit).subquery().select() for way in ways]
    page = branches[0].subquery('page')
    if len(branches) > 1:
        either = sa.union(*branches).subquery('either')
        page = sa.select(either).order_by(
            *_order(shape, dialect, either.c)).limit(limit).subquery('page')
    return (whole.select_from(page.join(tables.images, _i.id == page.c.id))
            .order_by(*order))
