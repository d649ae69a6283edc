"""Metadata definitions as JSON: attributes that are null are left out."""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from glancelite.contract.metadef import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Namespace,
    ResourceType,
)

PATH = '/v2/metadefs/namespaces'

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def namespace(value: Namespace) -> bytes:
    """Return a namespace without items."""
    return _dumps(_namespace(value))


def created(value: Namespace, body: Mapping[str, Any]) -> bytes:
    """Return a new namespace, with the items as its request named them."""
    nested = {name: body[name] for name in ('resource_type_associations', 'tags')
              if name in body}
    if 'properties' in body:
        nested['properties'] = _properties(body['properties'])
    if 'objects' in body:
        nested['objects'] = [
            {**each, 'properties': _properties(each['properties'])} if 'properties' in each
            else each for each in body['objects']]
    return _dumps({**_namespace(value), **nested})


def definition(value: Definition) -> bytes:
    """Return a namespace with its items of all kinds."""
    nested = {
        'resource_type_associations': [_association(each) for each in value.resource_types],
        'objects': [_object(value.namespace.namespace, each) for each in value.objects],
        'properties': {each.name: _schema(each.schema) for each in value.properties},
        'tags': [{'name': each.name} for each in value.tags]}
    return _dumps({**_namespace(value.namespace),
                   **{name: items for name, items in nested.items() if items}})


def namespaces(values: Iterable[Definition], *, first: str, following: str | None) -> bytes:
    """Return a page of namespaces.

    :param first: path and query of the first page.
    :param following: path and query of the next page; None if there is none.
    """
    items = []
    for each in values:
        item = _namespace(each.namespace)
        if each.resource_types:
            item['resource_type_associations'] = [
                _association(association) for association in each.resource_types]
        items.append(item)
    page: dict[str, Any] = {'namespaces': items, 'first': first,
                            'schema': '/v2/schemas/metadefs/namespaces'}
    if following is not None:
        page['next'] = following
    return _dumps(page)


def object_(of: str, value: DefinedObject, hidden: Collection[str] = ()) -> bytes:
    """Return an object of the namespace ``of``.

    :param hidden: attributes that are left out.
    """
    return _dumps({name: shown for name, shown in _object(of, value).items()
                   if name not in hidden})


def objects(of: str, values: Iterable[DefinedObject]) -> bytes:
    """Return the objects of a namespace; the missing slash is that of the reference."""
    return _dumps({'objects': [_object(of, each) for each in values],
                   'schema': 'v2/schemas/metadefs/objects'})


def property_(value: DefinedProperty) -> bytes:
    """Return one property."""
    return _dumps({**_schema(value.schema), 'name': value.name})


def properties(values: Iterable[DefinedProperty]) -> bytes:
    """Return the properties of a namespace."""
    return _dumps({'properties': {each.name: _schema(each.schema) for each in values}})


def tag(value: DefinedTag) -> bytes:
    """Return one tag."""
    return _dumps({'name': value.name, **_times(value)})


def tags(values: Iterable[DefinedTag]) -> bytes:
    """Return tags, by their names only."""
    return _dumps({'tags': [{'name': each.name} for each in values]})


def association(value: Association) -> bytes:
    """Return one association."""
    return _dumps(_association(value))


def associations(values: Iterable[Association]) -> bytes:
    """Return the associations of a namespace."""
    return _dumps({'resource_type_associations': [_association(each) for each in values]})


def resource_types(values: Iterable[ResourceType]) -> bytes:
    """Return types of resources."""
    return _dumps({'resource_types': [{'name': each.name, **_times(each)} for each in values]})


def _namespace(value: Namespace) -> dict[str, Any]:
    return _present({
        'namespace': value.namespace, 'display_name': value.display_name,
        'description': value.description, 'visibility': value.visibility,
        'protected': value.protected, 'owner': value.owner, **_times(value),
        'self': f'{PATH}/{value.namespace}', 'schema': '/v2/schemas/metadefs/namespace'})


def _object(of: str, value: DefinedObject) -> dict[str, Any]:
    return _present({
        'name': value.name, 'description': value.description, 'required': list(value.required),
        'properties': _properties(value.properties), **_times(value),
        'self': f'{PATH}/{of}/objects/{value.name}', 'schema': '/v2/schemas/metadefs/object'})


def _association(value: Association) -> dict[str, Any]:
    return _present({'name': value.name, 'prefix': value.prefix,
                     'properties_target': value.properties_target, **_times(value)})


def _properties(schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: _schema(schema) for name, schema in schemas.items()}


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a property; clients know a scalar default as a text."""
    shown = dict(schema)
    if isinstance(shown.get('default'), bool | int | float):
        shown['default'] = str(shown['default'])
    return shown


def _times(value: Namespace | Association | DefinedObject | DefinedTag | ResourceType,
           ) -> dict[str, str]:
    return {name: moment.strftime('%Y-%m-%dT%H:%M:%SZ')
            for name in ('created_at', 'updated_at')
            if isinstance(moment := getattr(value, name), datetime.datetime)}


def _present(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _dumps(value: dict[str, Any]) -> bytes:
    return _encode(value).encode()
