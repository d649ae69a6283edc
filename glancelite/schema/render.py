"""The documents of ``/v2/schemas``: what clients can read about each resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from glancelite.schema import member, metadef, task
from glancelite.schema.fields import Resource

_STRING = {'type': 'string'}
_PAGES = {'first': 'first', 'next': 'next', 'describedby': 'schema'}
_WHOLE = {'describedby': 'schema'}


def documents(image: Resource) -> dict[str, bytes]:
    """Every document as JSON.

    :param image: the table of an image as this service is configured.
    :returns: the path below ``/v2/schemas/`` -> the body of the answer.

    Source: Image API v2, "Image Schemas" and "Metadata Definition Schemas".
    """
    found = {
        'image': document(image),
        'images': collection('images', image),
        'member': document(member.RESOURCE),
        'members': collection('members', member.RESOURCE, paged=False),
        'task': document(task.RESOURCE),
        'tasks': collection('tasks', task.LISTED, paged=False),
        'metadefs/namespace': document(metadef.NAMESPACE),
        'metadefs/namespaces': collection('namespaces', metadef.NAMESPACE),
        'metadefs/resource_type': document(metadef.RESOURCE_TYPE),
        'metadefs/resource_types': collection('resource_type_associations',
                                              metadef.RESOURCE_TYPE),
        'metadefs/object': document(metadef.OBJECT),
        'metadefs/objects': collection('objects', metadef.OBJECT),
        'metadefs/property': document(metadef.PROPERTY),
        'metadefs/properties': collection('properties', metadef.NAMED_PROPERTY, by_name=True),
        'metadefs/tag': document(metadef.TAG),
        'metadefs/tags': collection('tags', metadef.TAG),
    }
    return {path: json.dumps(content, ensure_ascii=False).encode()
            for path, content in found.items()}


def document(resource: Resource) -> dict[str, Any]:
    """The JSON schema of one resource."""
    found: dict[str, Any] = {
        'name': resource.name,
        'properties': {field.name: field.schema() for field in resource.fields}}
    if resource.additional is not None:
        found['additionalProperties'] = resource.additional
    if resource.definitions:
        found['definitions'] = resource.definitions
    if resource.required:
        found['required'] = list(resource.required)
    if resource.links:
        found['links'] = _links(resource.links)
    return found


def collection(name: str, resource: Resource, *, paged: bool = True,
               by_name: bool = False) -> dict[str, Any]:
    """The JSON schema of a listing.

    :param name: of the collection, and of its attribute that holds the items.
    :param paged: has it links to its first and next page?
    :param by_name: the items are an object, name -> item, not an array.
    """
    item = document(resource)
    definitions = item.pop('definitions', None)
    items = ({'type': 'object', 'additionalProperties': item} if by_name
             else {'type': 'array', 'items': item})
    links = _PAGES if paged else _WHOLE
    found: dict[str, Any] = {
        'name': name,
        'properties': {name: items, **dict.fromkeys(links.values(), _STRING)},
        'links': _links(links)}
    if definitions:
        found['definitions'] = definitions
    return found


def _links(links: Mapping[str, str]) -> list[dict[str, str]]:
    return [{'rel': relation, 'href': f'{{{attribute}}}'}
            for relation, attribute in links.items()]
