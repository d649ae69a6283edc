"""The schema documents that ``/v2/schemas`` serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from glancelite.schema import member, metadef, task
from glancelite.schema.fields import Resource

_STRING = {'type': 'string'}
_PAGED_LINKS = {'first': 'first', 'next': 'next', 'describedby': 'schema'}
_UNPAGED_LINKS = {'describedby': 'schema'}


def documents(image: Resource) -> dict[str, bytes]:
    """Return every document as JSON.

    :param image: the attributes of images as this service is configured.
    :returns: path below ``/v2/schemas/`` -> body of the response.

    Source: Image API v2, "Image Schemas" and "Metadata Definition Schemas".
    """
    contents = {
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
            for path, content in contents.items()}


def document(resource: Resource) -> dict[str, Any]:
    """Return the JSON schema of one resource."""
    schema: dict[str, Any] = {
        'name': resource.name,
        'properties': {field.name: field.schema() for field in resource.fields}}
    if resource.additional is not None:
        schema['additionalProperties'] = resource.additional
    if resource.definitions:
        schema['definitions'] = resource.definitions
    if resource.required:
        schema['required'] = list(resource.required)
    if resource.links:
        schema['links'] = _links(resource.links)
    return schema


def collection(name: str, resource: Resource, *, paged: bool = True,
               by_name: bool = False) -> dict[str, Any]:
    """Return the JSON schema of a listing.

    :param name: name of the collection, and of its attribute with the items.
    :param paged: it has links to its first and its next page.
    :param by_name: the items are an object, name -> item, instead of an array.
    """
    item = document(resource)
    definitions = item.pop('definitions', None)
    items = ({'type': 'object', 'additionalProperties': item} if by_name
             else {'type': 'array', 'items': item})
    links = _PAGED_LINKS if paged else _UNPAGED_LINKS
    schema: dict[str, Any] = {
        'name': name,
        'properties': {name: items, **dict.fromkeys(links.values(), _STRING)},
        'links': _links(links)}
    if definitions:
        schema['definitions'] = definitions
    return schema


def _links(links: Mapping[str, str]) -> list[dict[str, str]]:
    return [{'rel': relation, 'href': f'{{{attribute}}}'}
            for relation, attribute in links.items()]
