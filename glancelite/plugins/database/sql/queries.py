"""A listing as one statement.

A query is decomposed into its shape, from which the statement is built once, and its
values, which become parameters.  Values that a column cannot contain (a number out of
range, a text that cannot be stored) are handled here, so the statement gets only values
of the column's type.

The images of a page are found in branches, one for each reason why an image is in the
listing (owned, public, shared with the project, ...).  Each branch reads one index in
the order of the listing and stops after a page; a single condition with OR would read
and sort all images.
"""

from __future__ import annotations

import dataclasses
import datetime
import operator
from typing import Any

import sqlalchemy as sa

from glancelite.contract.query import ImageQuery, Where, whole_seconds
from glancelite.contract.values import VISIBILITIES
from glancelite.plugins.database.sql import large, paging, tables
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.rows import EMPTY, image_columns

DELETED_LITERALS: list[Any] = [
    sa.literal_column(f"'{status}'") for status in ('deleted', 'pending_delete', 'killed')]
#: the range of a column of numbers
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
#: most tags or properties with a subquery each, which can use an index.  More would take the
#: planner minutes; then one subquery counts those that an image has.
MAX_SUBQUERIES = 6
_i = tables.images.c
_SECOND = datetime.timedelta(seconds=1)
_COMPARE = {'eq': operator.eq, 'neq': operator.ne, 'gt': operator.gt, 'gte': operator.ge,
            'lt': operator.lt, 'lte': operator.le}


class EmptyListing(Exception):
    """No image can match the query."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Everything that determines the text of the statement.

    :param branches: pairs of a reason (``any``, ``own`` or ``member``) and a visibility,
        None for any.
    :param any_membership: all memberships count; otherwise those with ``member_status``.
    :param membership: the result includes the ``membership`` of the viewer's project.
    :param wheres: field, operator and number of values; the operator ``set`` means not NULL.
    :param properties: for each property whether its value is ''.
    :param after: for each sort key whether the last image has a value; None on the first page.
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


def decompose(query: ImageQuery, dialect: Dialect) -> tuple[Shape, dict[str, Any]]:
    """Return the shape and the parameters of a query.

    :raises EmptyListing: no image can match, so the database need not be queried.
    """
    values: dict[str, Any] = {
        'hidden': query.hidden, 'project': query.viewer.project,
        'member_status': query.member_status,
        'share': large.share(query.limit and query.limit + 1)}
    for text in (query.viewer.project or '', query.member_status, *query.tags,
                 *query.properties, *query.properties.values()):
        if not dialect.storable(text):
            raise EmptyListing
    sort = paging.first_of_each_key(query.sort)
    shape = Shape(
        branches=_branches(query), any_membership=query.member_status == 'all',
        membership=query.viewer.project is not None,
        wheres=_decompose_conditions(query, dialect, values),
        tags=len(query.tags), properties=tuple(v == '' for v in query.properties.values()),
        sort=sort, after=paging.decompose_after(query.after, sort, dialect, values),
        limited=query.limit is not None)
    for number, tag in enumerate(sorted(query.tags)):
        values[f'tag_{number}'] = tag
    for number, (name, value) in enumerate(query.properties.items()):
        values[f'name_{number}'] = name
        values[f'value_{number}'] = value
    if query.limit is not None:
        values['limit'] = query.limit + 1
    return shape, values


def _decompose_conditions(query: ImageQuery, dialect: Dialect, values: dict[str, Any],
                          ) -> tuple[tuple[str, str, int], ...]:
    """Return ``Shape.wheres``, and add the parameters to ``values``."""
    wheres: list[tuple[str, str, int]] = []
    for where in query.where:
        for field, operation, operands in _possible_conditions(where, dialect):
            for position, operand in enumerate(operands):
                values[f'where_{len(wheres)}_{position}'] = operand
            wheres.append((field, operation, len(operands)))
    return tuple(wheres)


def _branches(query: ImageQuery) -> tuple[tuple[str, str | None], ...]:
    """Return ``Shape.branches``; an image may be in several of them."""
    if query.visibility not in (None, 'all', *VISIBILITIES):
        raise EmptyListing
    branches = _admin_branches(query) if query.viewer.is_admin else _project_branches(query)
    if not branches:
        raise EmptyListing
    return tuple(branches)


def _visibilities(query: ImageQuery) -> tuple[str, ...]:
    return VISIBILITIES if query.visibility in (None, 'all') else (str(query.visibility),)


def _admin_branches(query: ImageQuery) -> list[tuple[str, str | None]]:
    branches: list[tuple[str, str | None]] = [
        ('any', v) for v in _visibilities(query) if v != 'community' or query.visibility]
    if query.viewer.project is not None and not query.visibility:
        branches.append(('own', 'community'))
    return branches


def _project_branches(query: ImageQuery) -> list[tuple[str, str | None]]:
    visibilities = _visibilities(query)
    open_to_all = ('public', 'community') if query.visibility else ('public',)
    branches: list[tuple[str, str | None]] = [
        ('any', v) for v in visibilities if v in open_to_all]
    if query.viewer.project is not None:
        # one for each visibility, since an index finds them
        branches += [('own', v) for v in visibilities if v not in open_to_all]
        if 'shared' in visibilities:
            branches.append(('member', 'shared'))
    return branches


# --- conditions

#: field, operator, values
_Condition = tuple[str, str, tuple[Any, ...]]


def _possible_conditions(where: Where, dialect: Dialect) -> list[_Condition]:
    """Return equivalent conditions whose values the column can contain.

    :raises EmptyListing: there are none.
    """
    operation: str = where.operator
    value: Any = where.value
    column = _i[where.field]
    if operation == 'in':
        if isinstance(column.type, sa.DateTime):
            return [(where.field, 'in', tuple(
                end for time in value for end in second(time, dialect)))]
        possible = [v for v in (_column_value(column, dialect, v) for v in value)
                    if v is not None]
        if not possible:
            raise EmptyListing
        return [(where.field, 'in', tuple(dict.fromkeys(possible)))]
    is_set: _Condition = where.field, 'set', ()
    if isinstance(value, datetime.datetime):
        return _time_conditions(where, dialect)
    if _is_number(column):
        number = int(value) if isinstance(value, bool) else value
        if not LOWEST <= number <= HIGHEST:
            if _COMPARE[operation](0, number):      # true for all numbers of the column
                return [is_set]
            raise EmptyListing
        return [(where.field, operation, (number,))]
    if isinstance(column.type, sa.String) and not dialect.storable(value):
        return _storable_conditions(where, dialect, is_set)
    return [(where.field, operation, (_column_value(column, dialect, value),))]


def second(time: datetime.datetime, dialect: Dialect) -> tuple[Any, Any]:
    """Return the beginning of the time's second, and that of the next one."""
    start = whole_seconds(time)
    last = datetime.datetime.max.replace(microsecond=0, tzinfo=datetime.UTC)
    return dialect.bind_time(start), dialect.bind_time(min(start, last - _SECOND) + _SECOND)


def _time_conditions(where: Where, dialect: Dialect) -> list[_Condition]:
    """Compare whole seconds, in conditions that can use an index."""
    value: Any = where.value
    start, end = second(value, dialect)
    after: _Condition = where.field, 'gte', (end,)
    since: _Condition = where.field, 'gte', (start,)
    before: _Condition = where.field, 'lt', (start,)
    until: _Condition = where.field, 'lt', (end,)
    return {'eq': [since, until], 'neq': [(where.field, 'neq', (start, end))],
            'gt': [after], 'gte': [since], 'lt': [before], 'lte': [until]}[where.operator]


def _storable_conditions(where: Where, dialect: Dialect, is_set: _Condition,
                         ) -> list[_Condition]:
    """Replace a text that cannot be stored by the nearest text that can.

    >>> name < 'a\\0b'      # the same as name <= 'a', if no name has a NUL
    """
    if where.operator == 'eq':
        raise EmptyListing
    if where.operator == 'neq':
        return [is_set]
    text: Any = where.value
    end = next(n for n in range(len(text) + 1) if not dialect.storable(text[:n])) - 1
    below = where.operator in ('lt', 'lte')
    if text[end] == '\0':
        return [(where.field, 'lte' if below else 'gt', (text[:end],))]
    # the first character after all surrogates
    return [(where.field, 'lt' if below else 'gte', (text[:end] + '\ue000',))]


def _column_value(column: Any, dialect: Dialect, value: Any) -> Any:
    """Return ``value`` in the form of the driver; None if the column cannot contain it."""
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
    binds = [sa.bindparam(f'where_{number}_{position}', type_=kind) for position in range(amount)]
    if isinstance(kind, sa.DateTime) and operation in ('in', 'neq'):
        seconds = [sa.and_(column >= start, column < end)
                   for start, end in zip(binds[::2], binds[1::2], strict=True)]
        return sa.or_(sa.false(), *seconds) if operation == 'in' else sa.not_(seconds[0])
    if operation == 'in':
        return column.in_(binds)
    if operation == 'eq':
        return column == binds[0]
    if isinstance(kind, sa.String):
        return _COMPARE[operation](dialect.text(column), dialect.text(binds[0]))
    return _COMPARE[operation](column, binds[0])


def _conditions(shape: Shape, dialect: Dialect) -> list[Any]:
    """Return the conditions on all images of the listing."""
    return [_i.status.not_in(DELETED_LITERALS),
            *(_condition(number, *where, dialect) for number, where in enumerate(shape.wheres)),
            *_tag_conditions(shape, dialect), *_property_conditions(shape, dialect)]


def _tag_conditions(shape: Shape, dialect: Dialect) -> list[Any]:
    tag = tables.tags.c
    tags = [sa.bindparam(f'tag_{number}', type_=sa.Text) for number in range(shape.tags)]
    if len(tags) > MAX_SUBQUERIES:
        return [len(tags) == sa.select(
            sa.func.count(sa.distinct(dialect.text(tag.value)))).where(
                tag.image_id == _i.id, dialect.live(tables.tags),
                tag.value.in_(tags)).scalar_subquery()]
    return [sa.exists().where(
        tag.image_id == _i.id, dialect.live(tables.tags), tag.value == value)
        for value in tags]


def _property_conditions(shape: Shape, dialect: Dialect) -> list[Any]:
    prop = tables.properties.c
    properties = []
    for number, is_empty in enumerate(shape.properties):
        name = sa.bindparam(f'name_{number}', type_=sa.Text)
        value = sa.bindparam(f'value_{number}', type_=sa.Text)
        # NULL, which Glance may write, is shown as ''
        has_value = (sa.func.coalesce(prop.value, EMPTY) == EMPTY if is_empty
                     else dialect.property_value(prop.value, value))
        properties.append(sa.and_(prop.name == name, has_value))
    of_image = prop.image_id == _i.id, dialect.live(tables.properties)
    if len(properties) > MAX_SUBQUERIES:
        return [len(properties) == sa.select(sa.func.count()).where(
            *of_image, sa.or_(*properties)).scalar_subquery()]
    return [sa.exists().where(*of_image, condition) for condition in properties]


def _branch_conditions(reason: str, visibility: str | None, shape: Shape, dialect: Dialect,
                       ) -> list[Any]:
    """Return the conditions of one branch; see ``Shape.branches``."""
    def column(name: str) -> Any:
        return dialect.found_by_id(_i[name]) if reason == 'member' else _i[name]

    conditions = [column('deleted') == sa.false(),
                  column('os_hidden') == sa.bindparam('hidden', type_=sa.Boolean)]
    if visibility is not None:
        conditions.append(column('visibility') == sa.literal_column(f"'{visibility}'"))
    project = sa.bindparam('project', type_=sa.Text)
    if reason == 'own':
        conditions.append(_i.owner == project)
    elif reason == 'member':
        member = tables.members.c
        status = () if shape.any_membership else (
            member.status == sa.bindparam('member_status', type_=sa.Text),)
        conditions.append(_i.id.in_(sa.select(member.image_id).where(
            member.member == project, dialect.live(tables.members), *status)))
    return conditions


def listing(shape: Shape, dialect: Dialect) -> Any:
    """Build the statement."""
    common = [*_conditions(shape, dialect), *paging.after(_i, shape.sort, shape.after, dialect)]
    images = sa.select(*image_columns(dialect, membership=shape.membership))
    order = paging.order(_i, shape.sort, dialect)
    conditions = [sa.and_(*_branch_conditions(*branch, shape, dialect))
                  for branch in shape.branches]
    if not shape.limited:
        return images.where(*common, sa.or_(*conditions)).order_by(*order)
    limit = sa.bindparam('limit', type_=sa.Integer)
    keys = list(dict.fromkeys(('id', *(key for key, _ in shape.sort))))
    branches = [sa.select(*(_i[key] for key in keys)).where(condition, *common)
                .order_by(*order).limit(limit).subquery().select() for condition in conditions]
    page = branches[0].subquery('page')
    if len(branches) > 1:
        either = sa.union(*branches).subquery('either')
        page = sa.select(either).order_by(
            *paging.order(either.c, shape.sort, dialect)).limit(limit).subquery('page')
    return (images.select_from(page.join(tables.images, _i.id == page.c.id))
            .order_by(*order))
