"""The order of a listing, and the conditions for what comes after a page of it.

Keys are ``(name, 'asc' | 'desc')`` pairs.  An unset value sorts below all others.
"""

from __future__ import annotations

import dataclasses
import datetime
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from glancelite.plugins.database.sql.dialects import Dialect

Keys = Sequence[tuple[str, str]]


def first_of_each_key(sort: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    keys: dict[str, str] = {}
    for key, direction in sort:
        keys.setdefault(key, direction)
    return tuple(keys.items())


def decompose_after(after: Any, sort: Keys, dialect: Dialect, values: dict[str, Any],
                    ) -> tuple[bool, ...] | None:
    """Return for each key whether the last value of a page has it; None without such a page.

    Its parameters are added to ``values``.
    """
    if after is None:
        return None
    are_set = []
    for key, _ in sort:
        value = getattr(after, key)
        if isinstance(value, datetime.datetime):
            value = dialect.bind_time(value)
        values[f'after_{key}'] = value
        are_set.append(value is not None)
    return tuple(are_set)


@dataclasses.dataclass(frozen=True, slots=True)
class _SortKey:
    """A sort key with the value that the last row of the page before has.

    :param value: None if the row has no value there.
    """

    column: Any
    descending: bool
    value: Any
    nullable: bool

    @property
    def never_null(self) -> bool:
        return self.value is not None and not self.nullable

    def same(self) -> Any:
        """The column has this value."""
        return self.column.is_(None) if self.value is None else self.column == self.value

    def further(self) -> Any:
        """The column sorts after this value; None if no value does.  NULL is the smallest."""
        if not self.descending:
            return self.column.is_not(None) if self.value is None else self.column > self.value
        if self.value is None:
            return None
        less = self.column < self.value
        return sa.or_(less, self.column.is_(None)) if self.nullable else less


def after(columns: Any, sort: Keys, are_set: tuple[bool, ...] | None, dialect: Dialect,
          ) -> list[Any]:
    """Return the conditions for rows after the last one of the page before.

    :param are_set: the result of ``decompose_after``.
    """
    if are_set is None:
        return []
    keys = [_sort_key(columns[key], direction, is_set, dialect)
            for (key, direction), is_set in zip(sort, are_set, strict=True)]
    if (dialect.row_values and len({key.descending for key in keys}) == 1
            and all(key.never_null for key in keys)):
        return [_row_comparison(keys)]
    first = keys[0]
    if first.never_null:        # redundant, but this condition can use an index
        bound = (first.column <= first.value if first.descending
                 else first.column >= first.value)
        return [bound, sa.or_(*_alternatives(keys))]
    return [sa.or_(sa.false(), *_alternatives(keys))]


def _alternatives(keys: list[_SortKey]) -> list[Any]:
    """Return for each key the condition that it decides: the keys before it are the same."""
    alternatives = []
    for number, key in enumerate(keys):
        further = key.further()
        if further is not None:
            alternatives.append(sa.and_(*(before.same() for before in keys[:number]), further))
    return alternatives


def _sort_key(column: Any, direction: str, is_set: bool, dialect: Dialect) -> _SortKey:
    value: Any = None
    if is_set:
        value = sa.bindparam(f'after_{column.name}', type_=column.type)
        if isinstance(column.type, sa.String) and column.name != 'id':
            value = dialect.text(value)
    return _SortKey(dialect.sortable(column), direction == 'desc', value,
                    getattr(column, 'nullable', True))     # an expression may be NULL


def _row_comparison(keys: list[_SortKey]) -> Any:
    compare = operator.lt if keys[0].descending else operator.gt
    return compare(sa.tuple_(*(key.column for key in keys)),
                   sa.tuple_(*(key.value for key in keys)))


def order(columns: Any, sort: Keys, dialect: Dialect) -> list[Any]:
    """Return the columns for ORDER BY."""
    ordered = []
    for key, direction in sort:
        column = dialect.sortable(columns[key])
        each = column.desc() if direction == 'desc' else column.asc()
        if dialect.explicit_null_order:
            each = each.nulls_last() if direction == 'desc' else each.nulls_first()
        ordered.append(each)
    return ordered
