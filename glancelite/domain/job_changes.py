"""Attributes of an image that the steps of an import change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancelite.contract import Image
from glancelite.domain import properties

CHANGEABLE = frozenset({'disk_format', 'container_format', 'virtual_size', 'min_disk', 'min_ram',
                        'properties'})


def check(changes: Mapping[str, Any]) -> None:
    """
    :raises TypeError: a step cannot change one of these attributes.
    :raises Error: a value is not allowed.
    """
    unknown = changes.keys() - CHANGEABLE
    if unknown:
        raise TypeError(f'a job cannot change {", ".join(sorted(unknown))}')
    custom, rest = _apart(changes)
    for name in custom:
        properties.check_name(name)
    properties.check_values(rest, custom)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of both, of which the second came later."""
    custom = {**_apart(first)[0], **_apart(second)[0]}
    return {**first, **second, **({'properties': custom} if custom else {})}


def fields(image: Image, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an image with the changes; properties are added to its own."""
    custom, rest = _apart(changes)
    return {**rest, **({'properties': {**image.properties, **custom}} if custom else {})}


def _apart(changes: Mapping[str, Any]) -> tuple[Mapping[str, str], dict[str, Any]]:
    """Return the properties, and the other attributes."""
    rest = dict(changes)
    return rest.pop('properties', {}), rest
