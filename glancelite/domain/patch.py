"""Parses JSON patches of images, in both dialects, and applies them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from glancelite.contract import errors
from glancelite.contract.values import Image
from glancelite.domain import properties as rules

DRAFT_4 = 'application/openstack-images-v2.0-json-patch'
DRAFT_10 = 'application/openstack-images-v2.1-json-patch'

#: value of the ``Accept-Patch`` header, for requests with another media type
ACCEPT_PATCH = f'{DRAFT_4}, {DRAFT_10}'

OPERATIONS = ('add', 'remove', 'replace')

READ_ONLY = frozenset({
    'id', 'status', 'checksum', 'size', 'virtual_size', 'created_at', 'updated_at', 'direct_url',
    'self', 'file', 'schema', 'os_hash_algo', 'os_hash_value', 'stores'})

#: attributes that a caller may change, without custom properties
WRITABLE = frozenset({'name', 'visibility', 'protected', 'os_hidden', 'owner', 'min_disk',
                      'min_ram', 'disk_format', 'container_format', 'tags'})

_FORMATS = frozenset({'disk_format', 'container_format'})
_DEPTH: Mapping[tuple[str, str], int] = MappingProxyType({
    ('locations', 'add'): 2, ('locations', 'remove'): 2})
_BAD_ESCAPE = re.compile('~(?![01])')
_EMPTY_SEGMENT = re.compile(r'/\s*/')


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a patch; ``value`` is None if ``op`` is ``remove``.

    If the path has two segments, ``value`` is a list with one element.  ``strict`` is
    True in the older dialect, which does not add what is present already.
    """

    op: str
    path: tuple[str, ...]
    value: Any = None
    strict: bool = False

    @property
    def name(self) -> str:
        """The attribute or custom property to change."""
        return self.path[0]


@dataclasses.dataclass(frozen=True, slots=True)
class PatchResult:
    """The changes that a patch makes.

    :ivar changes: for ``ImageRecords.update``; ``properties`` and ``tags`` (sorted,
        without duplicates) are complete.  Empty if the patch is empty.
    :ivar new_properties: custom properties that the image did not have.
    :ivar visibilities: every visibility in the patch, in order, even the present one.
    """

    changes: dict[str, Any]
    new_properties: tuple[str, ...] = ()
    visibilities: tuple[str, ...] = ()


def dialect(content_type: str) -> str:
    """Return the media type of a patch, without parameters.

    :returns: ``DRAFT_4`` or ``DRAFT_10``.
    :raises WrongContent: it is neither; the response needs ``Accept-Patch``.
    """
    media_type = content_type.partition(';')[0].strip()
    if media_type not in (DRAFT_4, DRAFT_10):
        raise errors.WrongContent(f'A patch of an image must have one of the media types '
                                  f'{ACCEPT_PATCH}.')
    return media_type


def parse(body: object, media_type: str,
          validate: Callable[[str, object], object]) -> list[Operation]:
    """Parse a patch, and check what can be checked without the image.

    :param body: the decoded JSON of the request.
    :param media_type: ``DRAFT_4`` or ``DRAFT_10``.
    :param validate: called with the name of an attribute and its new value (a list with
        one element, for an element of a list); returns the value in the form in which
        it is stored, or raises ``Invalid``.
    :raises Invalid: the body is not a patch, or a value breaks the schema.
    :raises Forbidden: an attribute is read-only or reserved.

    Source: Image API v2, "Update image"; drafts 4 and 10 of RFC 6902.
    """
    if not isinstance(body, list):
        raise errors.Invalid('A patch must be a JSON array of operations.')
    read = _draft_4 if media_type == DRAFT_4 else _draft_10
    return [_operation(*read(step), step, media_type == DRAFT_4, validate) for step in body]


def apply(image: Image, operations: Sequence[Operation], *, is_admin: bool,
          on_location: Callable[[Operation], None] | None = None) -> PatchResult:
    """Compute the changes that the operations make, in order; nothing is written.

    :param is_admin: whether the caller may change the owner.
    :param on_location: called with each operation on ``locations``; None if locations
        cannot be patched.
    :raises Conflict: a property to add is present, or one to replace or remove is not.
    :raises Forbidden: the caller or the status of the image does not allow it.
    :raises Invalid: a value cannot be stored.
    """
    fields: dict[str, Any] = {}
    properties = dict(image.properties)
    written: dict[str, str] = {}
    visibilities: list[str] = []
    touched = False
    for step in operations:
        name = step.name
        if name == 'locations':
            if on_location is None:
                raise errors.Forbidden('The locations of an image cannot be changed.')
            on_location(step)
            continue
        if name in WRITABLE:
            _check_attribute(image, step, is_admin)
            fields[name] = step.value
            if name == 'visibility':
                visibilities.append(step.value)
            continue
        touched = True
        _check_presence(step, name in properties)
        if step.op == 'remove':
            del properties[name]
            written.pop(name, None)
        else:
            properties[name] = written[name] = step.value
    rules.check_values(fields, written)
    if touched:
        fields['properties'] = properties
    return PatchResult(
        fields, tuple(name for name in properties if name not in image.properties),
        tuple(visibilities))


def _draft_10(step: object) -> tuple[object, object]:
    step = _object(step)
    if 'op' not in step:
        raise errors.Invalid(f"An operation must have the member 'op': one of {_NAMES}.")
    if step['op'] not in OPERATIONS:
        raise errors.Invalid(f'Unknown operation {step["op"]!r}; it must be one of {_NAMES}.')
    if 'path' not in step:
        raise errors.Invalid("An operation must have the member 'path'.")
    return step['op'], step['path']


def _draft_4(step: object) -> tuple[object, object]:
    step = _object(step)
    names = [name for name in OPERATIONS if name in step]
    if len(names) != 1:
        raise errors.Invalid(f'An operation must have exactly one of the members {_NAMES}.')
    return names[0], step[names[0]]


_NAMES = ', '.join(OPERATIONS)


def _object(step: object) -> Mapping[str, object]:
    if not isinstance(step, dict):
        raise errors.Invalid('An operation must be a JSON object.')
    return step


def _operation(op: Any, pointer: object, step: Any, strict: bool,
               validate: Callable[[str, object], object]) -> Operation:
    path = _path(pointer)
    name = path[0]
    if op != 'remove' and 'value' not in step:
        raise errors.Invalid(f"The operation '{op}' must have the member 'value'.")
    if len(path) != _DEPTH.get((name, op), 1):
        raise errors.Invalid(f"The operation '{op}' is not possible on {pointer!r}.")
    if name in READ_ONLY:
        raise errors.Forbidden(f"Attribute '{name}' is read-only.")
    rules.check_name(name)
    if op == 'remove':
        return Operation(op, path, None, strict)
    value = step['value']
    if len(path) > 1:
        return Operation(op, path, validate(name, [value]), strict)
    return Operation(op, path, validate(name, value), strict)


def _path(pointer: object) -> tuple[str, ...]:
    if not isinstance(pointer, str) or not pointer.startswith('/'):
        raise errors.Invalid(f'{pointer!r} is not a JSON pointer: it must start with "/".')
    if pointer.endswith('/') or _EMPTY_SEGMENT.search(pointer):
        raise errors.Invalid(f'The path {pointer!r} has an empty segment.')
    if '~' not in pointer:
        return tuple(part.strip() for part in pointer[1:].split('/'))
    if _BAD_ESCAPE.search(pointer):
        raise errors.Invalid(f'{pointer!r} contains a "~" that is neither "~0" nor "~1".')
    return tuple(part.replace('~1', '/').replace('~0', '~').strip()
                 for part in pointer[1:].split('/'))


def _check_attribute(image: Image, step: Operation, is_admin: bool) -> None:
    name = step.name
    if step.op == 'remove':
        raise errors.Forbidden(f"Attribute '{name}' may not be removed.")
    if step.op == 'add' and step.strict:
        raise errors.Conflict(f"Attribute '{name}' is already present.")
    if name == 'owner' and not is_admin:
        raise errors.Forbidden('Only an administrator may change the owner of an image.')
    if name in _FORMATS and image.status not in ('queued', 'importing'):
        raise errors.Forbidden(f"Attribute '{name}' can only be changed while the image is "
                               'queued.')


def _check_presence(step: Operation, present: bool) -> None:
    if step.op == 'add':
        if present and step.strict:
            raise errors.Conflict(f"Property '{step.name}' is already present.")
    elif not present:
        raise errors.Conflict(f"Property '{step.name}' does not exist.")
