"""The payloads of the events about metadata definitions.

Source: metadata definitions contract, notifications.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from glancelite.contract.metadef import (
    Association,
    DefinedObject,
    DefinedProperty,
    Item,
    Namespace,
)
from glancelite.services.events import format_time

#: keys of the schema of a property that payloads have
_SCHEMA = ('type', 'title', 'description', 'default', 'minimum', 'maximum', 'enum', 'pattern',
           'minLength', 'maxLength', 'confidential', 'items', 'uniqueItems', 'minItems',
           'maxItems', 'additionalItems')
_NOT_DELETED = {'deleted': False, 'deleted_at': None}


def namespace(value: Namespace) -> dict[str, object]:
    """Return the payload about a namespace."""
    return {
        'namespace': value.namespace, 'namespace_old': value.namespace,
        'display_name': value.display_name, 'protected': value.protected,
        'visibility': value.visibility, 'owner': value.owner,
        'description': value.description, **_times(value), **_NOT_DELETED}


def item(of: str, value: Item) -> dict[str, object]:
    """Return the payload about an item of the namespace ``of``."""
    names = {'namespace': of, 'name': value.name, 'name_old': value.name}
    if isinstance(value, DefinedProperty):
        return {**names, **{key: value.schema.get(key) for key in _SCHEMA}, **_NOT_DELETED}
    own: dict[str, object] = {}
    if isinstance(value, DefinedObject):
        own = {'properties': [_property(name, schema)
                              for name, schema in value.properties.items()],
               'required': list(value.required), 'description': value.description}
    elif isinstance(value, Association):
        own = {'prefix': value.prefix, 'properties_target': value.properties_target}
    return {**names, **own, **_times(value), **_NOT_DELETED}


def deletion(now: datetime.datetime) -> dict[str, object]:
    """Return what a payload about a deletion has besides."""
    return {'deleted': True, 'deleted_at': format_time(now)}


def _property(name: str, schema: Mapping[str, Any]) -> dict[str, object]:
    """Return a property of an object; as in the reference, 0, '' and False become null."""
    return {'name': name, **{key: schema.get(key) or None for key in _SCHEMA}}


def _times(value: Namespace | Item) -> dict[str, object]:
    return {'created_at': format_time(value.created_at),
            'updated_at': format_time(value.updated_at)}
