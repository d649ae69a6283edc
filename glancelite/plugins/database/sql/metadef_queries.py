"""The statements for metadata definitions; see ``metadefs.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from glancelite.contract.metadef import NamespaceQuery
from glancelite.plugins.database.sql import paging, tables
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.metadef_rows import (
    COLUMNS,
    FIELDS,
    NAMESPACE,
    RESOURCE_TYPE,
    TABLES,
    id_column,
    name_column,
    selected,
    source,
)
from glancelite.plugins.database.sql.queries import EmptyListing
from glancelite.plugins.database.sql.rows import TEXT

_n, _r, _a = tables.namespaces.c, tables.resource_types.c, tables.associations.c
_NUMBER = sa.Integer()
_TIME = sa.DateTime()
_NAMESPACE = sa.bindparam('of_namespace', type_=TEXT)
_NAMESPACE_ID = sa.bindparam('of_id', type_=_NUMBER)
_ITEM_ID = sa.bindparam('item_id', type_=_NUMBER)
_ITEM = sa.bindparam('item', type_=TEXT)
_AT = sa.bindparam('at', type_=_TIME)
#: the first ``updated_at``
_SINCE = sa.bindparam('since', type_=_TIME)


def _new(table: sa.Table, name: str) -> Any:
    """Return the parameter for a value of a column."""
    return sa.bindparam(name, type_=table.c[name].type)


# --- namespaces

def namespace(dialect: Dialect) -> Any:
    return sa.select(*NAMESPACE).where(_n.namespace == _NAMESPACE)


def lock_namespace(dialect: Dialect) -> Any:
    return namespace(dialect).with_for_update()


def insert_namespace(dialect: Dialect) -> Any:
    return sa.insert(tables.namespaces).inline().values(
        created_at=_AT, updated_at=_SINCE, **{
            name: _new(tables.namespaces, name) for name in FIELDS})


def update_namespace(fields: Iterable[str]) -> Any:
    return sa.update(tables.namespaces).where(_n.id == _NAMESPACE_ID).values(
        updated_at=_AT, **{name: _new(tables.namespaces, name) for name in fields})


def replace_namespace(dialect: Dialect) -> Any:
    return sa.update(tables.namespaces).where(_n.id == _NAMESPACE_ID).values(
        created_at=_AT, updated_at=_SINCE, **{
            name: _new(tables.namespaces, name) for name in FIELDS})


def delete_namespace(dialect: Dialect) -> Any:
    return sa.delete(tables.namespaces).where(_n.id == _NAMESPACE_ID)


# --- a listing of namespaces

#: what a key of a listing means; in rows of Glance these columns may be NULL
_KEYS = {**{name: _n[name] for name in (*FIELDS, 'created_at', 'updated_at', 'id')},
         'visibility': sa.func.coalesce(_n.visibility, sa.literal_column("'private'"),
                                        type_=_n.visibility.type).label('visibility'),
         'protected': sa.func.coalesce(_n.protected, sa.false()).label('protected')}


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Everything that determines the text of a listing.

    :param everything: the viewer sees all namespaces.
    :param owned: the viewer sees those of a project.
    :param types: number of resource types; None for any.
    :param after: for each sort key whether the last namespace has a value; None on the first
        page.
    """

    everything: bool
    owned: bool
    visibility: bool
    types: int | None
    sort: tuple[tuple[str, str], ...]
    after: tuple[bool, ...] | None
    limited: bool


def decompose(query: NamespaceQuery, dialect: Dialect) -> tuple[Shape, dict[str, Any]]:
    """Return the shape and the parameters of a query.

    :raises EmptyListing: no namespace can match, so the database need not be queried.
    """
    viewer, types = query.viewer, None
    values: dict[str, Any] = {'project': viewer.project, 'visibility': query.visibility}
    if not dialect.storable(query.visibility or ''):
        raise EmptyListing
    if query.resource_types is not None:
        names = [name for name in sorted(query.resource_types) if dialect.storable(name)]
        if not names:
            raise EmptyListing
        types = len(names)
        values.update((f'type_{n}', name) for n, name in enumerate(names))
    sort = paging.first_of_each_key(query.sort)
    # the column has '' for None
    last = query.after and dataclasses.replace(query.after, owner=query.after.owner or '')
    after = paging.decompose_after(last, sort, dialect, values)
    if query.limit is not None:
        values['limit'] = query.limit + 1
    return Shape(
        viewer.is_admin, bool(viewer.project) and dialect.storable(viewer.project or ''),
        query.visibility is not None, types, sort, after, query.limit is not None), values


def listing(shape: Shape, dialect: Dialect) -> Any:
    return _page(shape, dialect, *NAMESPACE)


def listed_associations(shape: Shape, dialect: Dialect) -> Any:
    """Return the associations of the page, each with the id of its namespace first."""
    page = _page(shape, dialect, _n.id).subquery()
    return sa.select(_a.namespace_id, *selected('resource_types')).select_from(
        source('resource_types').join(page, page.c.id == _a.namespace_id),
    ).order_by(_a.resource_type_id)


def _page(shape: Shape, dialect: Dialect, *columns: Any) -> Any:
    conditions = paging.after(_KEYS, shape.sort, shape.after, dialect)
    if not shape.everything:
        visible = [_n.visibility == sa.literal_column("'public'")]
        if shape.owned:
            visible.append(_n.owner == sa.bindparam('project', type_=TEXT))
        conditions.append(sa.or_(*visible))
    if shape.visibility:
        conditions.append(_KEYS['visibility'].element == sa.bindparam('visibility', type_=TEXT))
    if shape.types is not None:
        names = [sa.bindparam(f'type_{n}', type_=TEXT) for n in range(shape.types)]
        conditions.append(_n.id.in_(sa.select(_a.namespace_id).select_from(
            source('resource_types')).where(_r.name.in_(names))))
    found = sa.select(*columns).where(*conditions).order_by(
        *paging.order(_KEYS, shape.sort, dialect))
    return found.limit(sa.bindparam('limit', type_=_NUMBER)) if shape.limited else found


# --- items

def items(kind: str) -> Any:
    return sa.select(*selected(kind)).select_from(source(kind)).where(
        TABLES[kind].c.namespace_id == _NAMESPACE_ID).order_by(id_column(kind))


def item(kind: str) -> Any:
    return sa.select(*selected(kind)).select_from(source(kind)).where(
        TABLES[kind].c.namespace_id == _NAMESPACE_ID, name_column(kind) == _ITEM)


def names(kind: str) -> Any:
    """Return the names and ids of the items."""
    return sa.select(name_column(kind), id_column(kind)).select_from(source(kind)).where(
        TABLES[kind].c.namespace_id == _NAMESPACE_ID)


def insert_item(kind: str, dialect: Dialect) -> Any:
    """Insert an item; or, if the dialect has ``one_by_one``, those in the parameter ``rows``."""
    table = TABLES[kind]
    given = dialect.given_rows(('name', *COLUMNS[kind])) if dialect.one_by_one else None

    def new(name: str) -> Any:
        return _new(table, name) if given is None else given.c[name]

    values = {'namespace_id': _NAMESPACE_ID, 'created_at': _AT, 'updated_at': _SINCE,
              **{name: new(name) for name in COLUMNS[kind]}}
    if kind == 'resource_types':
        return sa.insert(table).from_select(
            ['resource_type_id', *values], sa.select(_r.id, *values.values()).where(
                _r.name == (_ITEM if given is None else given.c.name)))
    values['name'] = new('name')
    if given is None:
        return sa.insert(table).inline().values(values)
    return sa.insert(table).from_select([*values], sa.select(*values.values()))


def update_item(kind: str) -> Any:
    table = TABLES[kind]
    new = {name: _new(table, name) for name in COLUMNS[kind]}
    if kind == 'resource_types':
        new['resource_type_id'] = sa.select(_r.id).where(_r.name == _ITEM).scalar_subquery()
    else:
        new['name'] = _new(table, 'name')
    return sa.update(table).where(
        table.c.namespace_id == _NAMESPACE_ID, id_column(kind) == _ITEM_ID,
    ).values(updated_at=_AT, **new)


def delete_item(kind: str) -> Any:
    return sa.delete(TABLES[kind]).where(
        TABLES[kind].c.namespace_id == _NAMESPACE_ID, id_column(kind) == _ITEM_ID)


def delete_items(kind: str) -> Any:
    return sa.delete(TABLES[kind]).where(TABLES[kind].c.namespace_id == _NAMESPACE_ID)


# --- types of resources

def put_type(dialect: Dialect) -> Any:
    """Insert a type; lock it, if it is there already, so that it stays."""
    return dialect.upsert(tables.resource_types, {
        'name': _new(tables.resource_types, 'name'), 'created_at': _AT, 'updated_at': _SINCE,
        'protected': sa.bindparam('seeded', type_=sa.Boolean()),
    }, ['name'], ['name'])


def touch_type(dialect: Dialect) -> Any:
    return sa.update(tables.resource_types).where(_r.name == _ITEM).values(updated_at=_AT)


def types(dialect: Dialect) -> Any:
    return sa.select(*RESOURCE_TYPE).order_by(_r.id)


def delete_all(table: sa.Table) -> Any:
    return sa.delete(table)
