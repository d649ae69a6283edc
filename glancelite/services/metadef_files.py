"""Metadata definitions in files: a namespace with its items, as JSON.

The form is that of Glance, with two additions: the owner of the namespace and the required
properties of objects are written too, so that nothing is lost.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from glancelite.contract import Invalid, NotFound
from glancelite.contract.database.metadefs import MetadefRecords
from glancelite.contract.metadef import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Item,
    Namespace,
)
from glancelite.schema import metadef
from glancelite.schema.checks import compile_schema
from glancelite.schema.fields import Field, Resource

LOG = logging.getLogger(__name__)
T = TypeVar('T', bound=Item)

#: owner of a namespace whose file does not name one
OWNER = 'admin'
SUFFIX = '.json'
#: most characters of an exported file's name: no file system allows more than 255 bytes
_LONGEST_NAME = 60
#: what to do with a namespace that exists already
MODES = ('skip', 'merge', 'prefer_new', 'overwrite')
#: attributes with items, which have their own checks
_NESTED = frozenset({'resource_type_associations', 'objects', 'properties', 'tags'})
_PROPERTY_FIELDS = {field.name: field for field in metadef.PROPERTY_FIELDS}


def parse(data: bytes, name: str) -> Definition:
    """Return the definition in a file.

    Attributes that files do not have, such as ``created_at``, are ignored.

    :param name: the name of the file, for errors.
    :raises Invalid: the text says what is wrong, in which place of which file.
    """
    place = f'{name}:'
    document = _read(_decoded(data, place), metadef.NAMESPACE, place)
    namespace = Namespace(
        document['namespace'], display_name=document.get('display_name'),
        description=document.get('description'),
        visibility=document.get('visibility', 'private'),
        protected=document.get('protected', False), owner=document.get('owner', OWNER))
    return Definition(
        namespace,
        resource_types=_items(document, 'resource_type_associations', place, _association),
        objects=_items(document, 'objects', place, _object),
        properties=tuple(_property(key, schema, place)
                         for key, schema in _properties(document, place).items()),
        tags=_items(document, 'tags', place, _tag))


def _decoded(data: bytes, place: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f'{word} is no number of JSON')

    try:
        document = json.loads(data.decode(), parse_constant=refuse)
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise Invalid(f'{place} the file is not in UTF-8') from None
    except UnicodeEncodeError:
        raise Invalid(f'{place} a text has half of a surrogate pair, which is no character'
                      ) from None
    except ValueError as error:
        raise Invalid(f'{place} the file is not JSON: {error}') from None
    except RecursionError:
        raise Invalid(f'{place} arrays and objects are nested too deeply') from None
    return document


def _read(value: Any, resource: Resource, place: str) -> dict[str, Any]:
    """Return the attributes of the resource that are there and not null, checked."""
    if not isinstance(value, dict):
        raise Invalid(f'{place} must be an object')
    found = {field.name: value[field.name] for field in resource.fields
             if not field.read_only and value.get(field.name) is not None}
    for name in resource.required:
        if name not in found:
            raise Invalid(f"{place} lacks '{name}'")
    for field in resource.fields:
        if field.name in found and field.name not in _NESTED:
            phrase = compile_schema(_schema(field))(found[field.name])
            if phrase:
                raise Invalid(f"{place} '{field.name}' {phrase}")
    return found


def _schema(field: Field) -> dict[str, Any]:
    """Return the schema of an attribute, without the limit of descriptions.

    The API limits that of a namespace, but databases have longer ones.
    """
    schema = field.schema()
    if '$ref' in schema:
        return {**schema, 'definitions': metadef.DEFINITIONS}
    if field.name == 'description':
        schema.pop('maxLength', None)
    return schema


def _items(document: Mapping[str, Any], key: str, place: str,
           build: Callable[[Any, str], T]) -> tuple[T, ...]:
    values = document.get(key, [])
    if not isinstance(values, list):
        raise Invalid(f"{place} '{key}' must be an array")
    found: dict[str, T] = {}
    for index, value in enumerate(values):
        item = build(value, f"{place} '{key}' item {index}")
        if item.name in found:
            LOG.warning("%s '%s': %s is there twice; the first one is used", place, key,
                        item.name)
        found.setdefault(item.name, item)
    return tuple(found.values())


def _association(value: Any, place: str) -> Association:
    found = _read(value, metadef.RESOURCE_TYPE, place)
    return Association(found['name'], prefix=found.get('prefix'),
                       properties_target=found.get('properties_target'))


def _object(value: Any, place: str) -> DefinedObject:
    found = _read(value, metadef.OBJECT, place)
    return DefinedObject(found['name'], description=found.get('description'),
                         required=tuple(found.get('required', ())),
                         properties=_properties(found, place))


def _property(name: str, schema: Mapping[str, Any], place: str) -> DefinedProperty:
    phrase = compile_schema(_PROPERTY_FIELDS['name'].schema())(name)
    if phrase:
        raise Invalid(f"{place} a name in 'properties' {phrase}")
    return DefinedProperty(name, schema=schema)


def _tag(value: Any, place: str) -> DefinedTag:
    return DefinedTag(_read(value, metadef.TAG, place)['name'])


def _properties(document: Mapping[str, Any], place: str) -> dict[str, Mapping[str, Any]]:
    values = document.get('properties', {})
    if not isinstance(values, dict):
        raise Invalid(f"{place} 'properties' must be an object")
    found: dict[str, Mapping[str, Any]] = {}
    for name, value in values.items():
        here = f"{place} 'properties' '{name}'"
        found[name] = _read(value, metadef.NAMED_PROPERTY, here)
        for unknown in value.keys() - _PROPERTY_FIELDS.keys():
            raise Invalid(f"{here} must not have '{unknown}'")
    return found


def format_definition(definition: Definition) -> bytes:
    """Return the content of a file; ``parse`` returns the definition again."""
    namespace = definition.namespace
    document = _without_none({
        'namespace': namespace.namespace, 'display_name': namespace.display_name,
        'description': namespace.description, 'visibility': namespace.visibility,
        'protected': namespace.protected, 'owner': namespace.owner or ''})
    nested = {
        'resource_type_associations': [
            _without_none({'name': each.name, 'prefix': each.prefix,
                           'properties_target': each.properties_target})
            for each in definition.resource_types],
        'properties': {each.name: dict(each.schema) for each in definition.properties},
        'objects': [
            _without_none({'name': each.name, 'description': each.description,
                           'required': list(each.required) or None,
                           'properties': {name: dict(schema)
                                          for name, schema in each.properties.items()}})
            for each in definition.objects],
        'tags': [{'name': each.name} for each in definition.tags]}
    document.update((key, value) for key, value in nested.items() if value)
    return f'{json.dumps(document, indent=2, ensure_ascii=False)}\n'.encode()


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def file_names(namespaces: Iterable[Namespace]) -> Sequence[str]:
    """Return a name of a file for each namespace.

    It consists of the letters and digits of the name to display, or of that of the namespace
    if there are none.  All names differ, also where case does not matter.
    """
    used: set[str] = set()
    names = []
    for namespace in namespaces:
        stem = (_letters(namespace.display_name or '') or _letters(namespace.namespace)
                or 'namespace')
        name, number = stem, 1
        while name.casefold() in used:
            number += 1
            name = f'{stem}-{number}'
        used.add(name.casefold())
        names.append(f'{name}{SUFFIX}')
    return names


def _letters(text: str) -> str:
    return re.sub(r'[\W_]', '', text)[:_LONGEST_NAME]


def load(records: MetadefRecords, definition: Definition, mode: str) -> str:
    """Record the definition of a file, all or nothing.

    :param mode: one of ``MODES``.
    :returns: what was done, in one word.
    """
    if mode == 'overwrite':
        records.replace(definition, seeded=True)
        return 'replaced'
    try:
        records.get(definition.namespace.namespace)
    except NotFound:
        records.add(definition, seeded=True)
        return 'added'
    if mode == 'skip':
        return 'skipped'
    records.merge(definition, prefer_new=mode == 'prefer_new', seeded=True)
    return 'merged'
