"""Conversion between rows and metadata definitions.

Glance reads what this writes, as far as it can hold it: the list ``required`` of an object is a
text with commas.  If the names in it do not allow that, it is a JSON list.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from glancelite.contract.metadef import (
    ITEM_KINDS,
    Association,
    DefinedObject,
    DefinedProperty,
    Item,
    Namespace,
    ResourceType,
)
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.dialects import Dialect

LOG = logging.getLogger(__name__)
_n, _r, _a = tables.namespaces.c, tables.resource_types.c, tables.associations.c
#: fields of ``Namespace`` with a column of the same name, without ``id`` and the times
FIELDS = ('namespace', 'display_name', 'description', 'visibility', 'protected', 'owner')
NAMESPACE = (_n.id, *(_n[name] for name in FIELDS), _n.created_at, _n.updated_at)
RESOURCE_TYPE = (_r.name, _r.protected, _r.created_at, _r.updated_at)
TABLES: Mapping[str, sa.Table] = {
    'resource_types': tables.associations, 'objects': tables.defined_objects,
    'tags': tables.defined_tags, 'properties': tables.defined_properties}
#: the columns of a kind that are neither a key, a name nor a time
COLUMNS: Mapping[str, tuple[str, ...]] = {
    'resource_types': ('prefix', 'properties_target'),
    'objects': ('description', 'required', 'json_schema'),
    'tags': (), 'properties': ('json_schema',)}


def source(kind: str) -> Any:
    """Return the table, or what is joined, where the items of a kind are."""
    if kind == 'resource_types':
        return tables.associations.join(
            tables.resource_types, _r.id == _a.resource_type_id)
    return TABLES[kind]


def id_column(kind: str) -> Any:
    return _a.resource_type_id if kind == 'resource_types' else TABLES[kind].c.id


def name_column(kind: str) -> Any:
    return _r.name if kind == 'resource_types' else TABLES[kind].c.name


def selected(kind: str) -> list[Any]:
    """Return the columns of an item."""
    columns = TABLES[kind].c
    return [id_column(kind), name_column(kind), columns.created_at, columns.updated_at,
            *(columns[name] for name in COLUMNS[kind])]


# --- from rows

def namespace_of(row: Any, dialect: Dialect) -> Namespace:
    """Return the namespace of a row of ``NAMESPACE``."""
    (number, namespace, display_name, description, visibility, protected, owner,
     created_at, updated_at) = row
    return Namespace(
        namespace, display_name, description, visibility or 'private', bool(protected),
        owner or None, dialect.parse_time(created_at), dialect.parse_time(updated_at), number)


def resource_type_of(row: Any, dialect: Dialect) -> ResourceType:
    name, protected, created_at, updated_at = row
    return ResourceType(name, bool(protected), dialect.parse_time(created_at),
                        dialect.parse_time(updated_at))


def item_of(kind: str, row: Any, dialect: Dialect) -> Item:
    """Return the item of a row of ``selected``."""
    number, name, created_at, updated_at, *values = row
    fields: dict[str, Any] = dict(zip(COLUMNS[kind], values, strict=True))
    if kind == 'objects':
        fields['required'] = _parse_required(fields['required'])
        fields['properties'] = {
            each: _mapping(schema, kind, name)
            for each, schema in _parse_json(fields.pop('json_schema'), kind, name).items()}
    elif kind == 'properties':
        fields = {'schema': _parse_json(fields['json_schema'], kind, name)}
    return ITEM_KINDS[kind](
        name, id=number, created_at=dialect.parse_time(created_at),
        updated_at=dialect.parse_time(updated_at), **fields)


def _parse_json(text: str | None, kind: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text or '')
    except (ValueError, RecursionError):
        found = None
    return _mapping(found, kind, name)


def _mapping(found: Any, kind: str, name: str) -> dict[str, Any]:
    if isinstance(found, dict):
        return found
    LOG.warning('a schema of %s, in the metadata definition %s, is no JSON object; it counts as '
                'empty', ascii(name), kind)
    return {}


def _parse_required(text: str | None) -> tuple[str, ...]:
    """Return the names of a JSON list, or of the text with commas that Glance writes."""
    if not text:
        return ()
    if text.startswith('['):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return tuple(found)
    return tuple(text.split(','))


# --- to rows

def namespace_row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of columns for fields of a namespace."""
    row = dict(fields)
    if 'owner' in row:
        row['owner'] = row['owner'] or ''
    return row


def item_row(item: Item, dialect: Dialect) -> dict[str, Any]:
    """Return the values of columns for an item, with its ``name``."""
    row: dict[str, Any] = {'name': item.name}
    if isinstance(item, Association):
        row |= {'prefix': item.prefix, 'properties_target': item.properties_target}
    elif isinstance(item, DefinedObject):
        row |= {'description': item.description, 'json_schema': _json(item.properties),
                'required': _format_required(item.required, dialect)}
    elif isinstance(item, DefinedProperty):
        row['json_schema'] = _json(item.schema)
    return row


def _json(value: Any) -> str:
    return json.dumps(value, default=dict)


def _format_required(names: Sequence[str], dialect: Dialect) -> str | None:
    text = ','.join(names)
    if _parse_required(text) == tuple(names) and dialect.storable(text):
        return text or None
    return json.dumps(list(names))
