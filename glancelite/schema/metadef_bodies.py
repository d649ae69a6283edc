"""Bodies of requests about metadata definitions, from JSON to values.

The schemas are those of the documents, made stricter where the documents accept what could not
be recorded, such as unknown attributes of nested items.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract.metadef import (
    NAME_LENGTH,
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Namespace,
)
from glancelite.schema import metadef
from glancelite.schema.checks import compile_schema
from glancelite.schema.render import document

Body = Mapping[str, Any]

_TIMES = ('created_at', 'updated_at')
_READ_ONLY = ('self', 'schema', *_TIMES)
_NAME = {'type': 'string', 'maxLength': NAME_LENGTH}
_STRING = {'type': 'string'}


def _strict(schema: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """Return the schema with other schemas of some attributes.

    Properties in a map have known attributes only.
    """
    schema = copy.deepcopy(schema)
    schema['definitions']['property']['additionalProperties']['additionalProperties'] = False
    schema['properties'].update(properties)
    return schema


def _list(**properties: Any) -> dict[str, Any]:
    return {'type': 'array', 'items': {
        'type': 'object', 'required': ['name'], 'additionalProperties': False,
        'properties': {'name': _NAME, **properties}}}


_OBJECT = _strict(document(metadef.OBJECT))
_NAMESPACE = _strict(
    document(metadef.NAMESPACE),
    resource_type_associations=_list(prefix=_NAME, properties_target=_NAME),
    objects=_list(**{name: _OBJECT['properties'][name]
                     for name in ('description', 'required', 'properties')}),
    tags=_list())
_PROPERTY = document(metadef.PROPERTY)
_NAMED_PROPERTY = document(metadef.NAMED_PROPERTY)
_TAG = document(metadef.TAG)
_ASSOCIATION = document(metadef.RESOURCE_TYPE)
#: clients may send what a listing has besides
_TAGS = {'type': 'object', 'required': ['tags'], 'additionalProperties': False, 'properties': {
    'tags': _list(), 'first': _STRING, 'next': _STRING, 'schema': _STRING}}


def namespace(body: Body) -> Definition:
    """Return a new namespace with its items; ``owner`` is None if there is none.

    :raises Forbidden: an attribute is read-only.
    :raises Invalid: the body does not match the schema.
    """
    _check(body, 'namespace', _NAMESPACE, _READ_ONLY)
    properties = body.get('properties', {})
    for name in properties:
        if len(name) > NAME_LENGTH:
            raise _mismatch('namespace', 'the name of a property must not be longer than '
                            f'{NAME_LENGTH} characters')
    return Definition(
        Namespace(body['namespace'], body.get('display_name'), body.get('description'),
                  body.get('visibility', 'private'), body.get('protected', False),
                  body.get('owner')),
        resource_types=[_association(each)
                        for each in body.get('resource_type_associations', ())],
        objects=[_object(each) for each in body.get('objects', ())],
        properties=[DefinedProperty(name, schema=schema)
                    for name, schema in properties.items()],
        tags=[DefinedTag(each['name']) for each in body.get('tags', ())])


def new_object(body: Body) -> DefinedObject:
    """Return a new object; raises as ``namespace`` does."""
    value = changed_object(body)
    for schema in value.properties.values():
        _check(schema, 'property', _NAMED_PROPERTY)
    return value


def changed_object(body: Body) -> DefinedObject:
    """Return what an object is changed to; raises as ``namespace`` does."""
    _check(body, 'object', _OBJECT, _READ_ONLY)
    return _object(body)


def property_(body: Body) -> DefinedProperty:
    """Return a property; raises as ``namespace`` does."""
    _check(body, 'property', _PROPERTY, _TIMES)
    return DefinedProperty(body['name'], schema=body)


def tag(body: Body) -> DefinedTag:
    """Return a tag; raises as ``namespace`` does."""
    _check(body, 'tag', _TAG, _TIMES)
    return DefinedTag(body['name'])


def tags(body: Body) -> Sequence[DefinedTag]:
    """Return several tags; raises as ``namespace`` does."""
    _check(body, 'tags', _TAGS, _TIMES)
    return [DefinedTag(each['name']) for each in body['tags']]


def association(body: Body) -> Association:
    """Return an association; raises as ``namespace`` does."""
    _check(body, 'resource_type_association', _ASSOCIATION, _TIMES)
    return _association(body)


def _object(body: Body) -> DefinedObject:
    return DefinedObject(body['name'], body.get('description'), tuple(body.get('required', ())),
                         body.get('properties', {}))


def _association(body: Body) -> Association:
    return Association(body['name'], body.get('prefix'), body.get('properties_target'))


def _check(body: Body, kind: str, schema: Mapping[str, Any],
           read_only: Sequence[str] = ()) -> None:
    for name in read_only:
        if name in body:
            raise contract.Forbidden(f"Attribute '{name}' is read-only.")
    problem = compile_schema(schema)(body)
    if problem is not None:
        raise _mismatch(kind, problem)


def _mismatch(kind: str, problem: str) -> contract.Invalid:
    return contract.Invalid(f"Provided object does not match schema '{kind}': {problem}")
