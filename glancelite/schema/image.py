"""Images: their attributes, and what a request may make of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glancelite.contract import errors, values
from glancelite.domain import properties as rules
from glancelite.schema import checks
from glancelite.schema.fields import EMPTY, UUID, Field, Resource

LONGEST = {'maxLength': 255}

_LOCATION = {
    'type': 'object',
    'properties': {
        'url': {'type': 'string', 'maxLength': 255},
        'metadata': {'type': 'object'},
        'validation_data': {
            'description': 'Checksums that the image takes over while it is queued, and that '
                           'must be equal to those it has afterwards.',
            'type': 'object',
            'writeOnly': True,
            'additionalProperties': False,
            'properties': {
                'checksum': {'type': 'string', 'minLength': 32, 'maxLength': 32},
                'os_hash_algo': {'type': 'string', 'maxLength': 64},
                'os_hash_value': {'type': 'string', 'maxLength': 128},
            },
            'required': ['os_hash_algo', 'os_hash_value'],
        },
    },
    'required': ['url', 'metadata'],
}

#: in the order of the schema document; the formats have no enum before ``resource``
FIELDS = (
    Field('id', description='The id of the image, a UUID.', rules={'pattern': UUID},
          create=True, filter='text', sort=True),
    Field('name', nullable=True, description='What people call the image.', rules=LONGEST,
          create=True, patch=True, filter='text', sort=True),
    Field('status', description='How far the image has come in its life.', read_only=True,
          enum=values.STATUSES, filter='text', sort=True),
    Field('visibility', description='Who can see the image.', enum=values.VISIBILITIES,
          create=True, patch=True, filter='choice'),
    Field('protected', 'boolean', 'Whether the image is safe from being deleted.',
          create=True, patch=True, filter='flag'),
    Field('os_hidden', 'boolean', 'Whether listings leave the image out unless asked for it.',
          create=True, patch=True, filter='flag'),
    Field('checksum', nullable=True, read_only=True, description='MD5 of the data, in hex.',
          rules={'maxLength': 32}, filter='exact'),
    Field('os_hash_algo', nullable=True, read_only=True,
          description='The algorithm that os_hash_value was computed with.',
          rules={'maxLength': 64}, filter='exact'),
    Field('os_hash_value', nullable=True, read_only=True,
          description='Digest of the data by os_hash_algo, in hex.',
          rules={'maxLength': 128}, filter='exact'),
    Field('owner', nullable=True, description='The project that owns the image.', rules=LONGEST,
          create=True, patch=True, filter='exact'),
    Field('size', 'integer', 'Length of the data, in bytes.', nullable=True, read_only=True,
          filter='number', sort=True),
    Field('virtual_size', 'integer', 'Size of the disk that the data unfold to, in bytes.',
          nullable=True, read_only=True, filter='number'),
    Field('container_format', nullable=True, description='What the disk is wrapped in.',
          create=True, patch=True, filter='text', sort=True),
    Field('disk_format', nullable=True, description='How the disk is laid out in the data.',
          create=True, patch=True, filter='text', sort=True),
    Field('created_at', description='When the image was registered.', read_only=True,
          filter='time', sort=True),
    Field('updated_at', description='When the image was last changed.', read_only=True,
          filter='time', sort=True),
    Field('tags', 'array', 'Labels; their order means nothing.',
          rules={'items': {'type': 'string', 'maxLength': 255}}, create=True, patch=True),
    Field('direct_url', description='Where a store keeps the data.', read_only=True,
          value='locations'),
    Field('min_ram', 'integer', 'Memory that a server needs to boot the image, in MiB.',
          create=True, patch=True, filter='number'),
    Field('min_disk', 'integer', 'Disk that a server needs to boot the image, in GiB.',
          create=True, patch=True, filter='number'),
    Field('self', description='Path of the image.', read_only=True, value=None),
    Field('file', description='Path of the data of the image.', read_only=True, value=None),
    Field('stores', description='Names of the stores that hold the data, with commas between; '
          'only if the service has several.', read_only=True, value='locations'),
    Field('schema', description='Path of this schema.', read_only=True, value=None),
    Field('locations', 'array', 'Where stores keep the data.', rules={'items': _LOCATION}),
)

#: fields of ``contract.Image`` that clients never see as such
INTERNAL = ('deleted_at', 'revision', 'membership', 'attempt', 'lease_until')

#: field of ``contract.Image`` that holds what has no field here
CUSTOM = 'properties'

_NEVER = ('direct_url', 'self', 'file', 'schema', 'stores', 'os_hash_algo', 'os_hash_value')
_READ_ONLY = ('status', 'size', 'checksum', 'virtual_size', 'created_at', 'updated_at')
_ANY_TEXT = {'type': 'string'}


def resource(disk_formats: Sequence[str], container_formats: Sequence[str],
             extra: Mapping[str, Any] | None = None) -> Resource:
    """The table of an image as this service is configured.

    :param extra: the content of ``schema-image.json``: name -> schema, or
        such a mapping below ``properties`` beside a list ``required``.
    :raises Misconfigured: ``extra`` is no such thing, or says of a base
        attribute something else than the API does.
    """
    enums = {'disk_format': tuple(disk_formats), 'container_format': tuple(container_formats)}
    base = tuple(dataclasses.replace(field, enum=enums[field.name]) if field.name in enums
                 else field for field in FIELDS)
    custom, required = _extension(EMPTY if extra is None else extra)
    known = {field.name: field.schema() for field in base}
    for name in custom.keys() & known.keys():
        if _bare(custom[name]) != _bare(known[name]):
            raise errors.Misconfigured(f'schema-image.json: {name} is an attribute of every '
                                       'image and cannot be defined differently')
    added = tuple(Field(name, '', rules={**schema, 'is_base': False}, create=True, patch=True,
                        filter='exact', value=CUSTOM)
                  for name, schema in custom.items() if name not in known)
    return Resource('image', base + added, additional=_ANY_TEXT, required=required,
                    links={'self': 'self', 'enclosure': 'file', 'describedby': 'schema'})


def _extension(extra: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    properties, required = extra, ()
    if isinstance(extra, Mapping) and 'properties' in extra and extra.keys() <= {
            'properties', 'required'} and _all_objects(extra['properties']):
        properties, required = extra['properties'], extra.get('required', ())
    if not _all_objects(properties) or not isinstance(required, (list, tuple)):
        raise errors.Misconfigured('schema-image.json must be an object which maps names of '
                                   'properties to their JSON schemas')
    return properties, tuple(required)


def _all_objects(found: Any) -> bool:
    return (isinstance(found, Mapping)
            and all(isinstance(value, Mapping) for value in found.values()))


def _bare(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ('description', 'is_base')}


@dataclasses.dataclass(frozen=True, slots=True)
class Creation:
    """What a request to create an image asks for.

    :ivar fields: field of ``contract.Image`` -> value, as far as given.
    :ivar properties: the custom properties.
    :ivar read_only: attributes that only the service may set; who sends one
        is refused, after policy and quota.
    """

    fields: dict[str, Any]
    properties: dict[str, str]
    read_only: tuple[str, ...] = ()


class ImageSchema:
    """Checks what requests say about images; compiled once, then used for each."""

    def __init__(self, disk_formats: Sequence[str], container_formats: Sequence[str],
                 extra: Mapping[str, Any] | None = None):
        """
        :param extra: the content of ``schema-image.json``; None if there is none.
        :raises Misconfigured: it is not what it should be.
        """
        self.resource = resource(disk_formats, container_formats, extra)
        self._checks = {field.name: _check(field) for field in self.resource.fields}
        self._text = checks.compiled(_ANY_TEXT)
        self._required = self.resource.required

    def create(self, body: object) -> Creation:
        """Read the body of a request that creates an image.

        :param body: decoded JSON.
        :raises Invalid: it is no object, or breaks the schema.
        :raises Forbidden: it has an attribute that no request may have, or
            the name of a custom property is reserved.

        Source: Image API v2, "Create image".
        """
        if not isinstance(body, dict):
            raise errors.Invalid('An image must be a JSON object.')
        for name in _NEVER:
            if name in body:
                raise errors.Forbidden(f"Attribute '{name}' is read-only.")
        self._check_all(body)
        fields: dict[str, Any] = {}
        properties: dict[str, str] = {}
        for name, value in body.items():
            if (read := _FIELDS.get(name)) is not None:
                fields[name] = read(value)
            elif name not in _SET_BY_SERVICE:
                if name == 'locations':
                    raise errors.Forbidden("Attribute 'locations' is reserved.")
                rules.check_name(name)
                properties[name] = value if type(value) is str else _text(value)
        return Creation(fields, properties, tuple(name for name in _READ_ONLY if name in body))

    def validate_attribute(self, name: str, value: object) -> Any:
        """Check one attribute as a patch sets it, as an image that has nothing else.

        So a configured ``required`` lets no other attribute be patched alone.

        :returns: the value as ``contract.Image`` holds it.
        :raises Invalid: it breaks the schema.
        """
        self._check_all({name: value})
        if (read := _FIELDS.get(name)) is not None:
            return read(value)
        return _placed(value) if name == 'locations' else _text(value)

    def ranges(self, fields: Mapping[str, Any], properties: Mapping[str, str]) -> None:
        """What is checked later than the schema: see ``properties.check_values``.

        :raises Invalid: a number or a text that cannot be stored.
        """
        rules.check_values(fields, properties)

    def _check_all(self, body: Mapping[str, Any]) -> None:
        known, text = self._checks, self._text
        for name, value in body.items():
            if wrong := known.get(name, text)(value):
                raise errors.Invalid(f"Provided object does not match schema 'image': '{name}' "
                                     f'{wrong}.', attribute=name)
        for name in self._required:
            if name not in body:
                raise errors.Invalid("Provided object does not match schema 'image': "
                                     f"'{name}' is required.", attribute=name)


def _check(field: Field) -> checks.Check:
    schema = field.schema()
    if field.rules.get('is_base', True):
        return checks.compiled(schema)
    import jsonschema  # only operators with a schema-image.json pay for it

    try:
        jsonschema.Draft4Validator.check_schema(schema)
        return checks.compiled(schema)
    except jsonschema.SchemaError as error:
        raise errors.Misconfigured(f'schema-image.json: {field.name} is not described by a JSON '
                                   f'schema: {str(error).splitlines()[0]}') from None


def _same(value: Any) -> Any:
    return value


def _tags(value: list[str]) -> tuple[str, ...]:
    return tuple(sorted(set(value)))


def _placed(value: Any) -> Any:
    """Locations, whose metadata may be anything but NaN and infinity: no JSON has those."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        raise errors.Invalid('The metadata of a location must be JSON.') from None
    return value


def _text(value: Any) -> str:
    """A custom property as it is kept; a schema-image.json may allow more than strings."""
    if type(value) is str:
        return value
    return '' if value is None else json.dumps(value, ensure_ascii=False)


# JSON schema takes 1.0 for an integer; an image holds 1.
_READ: dict[str, Callable[[Any], Any]] = {
    'id': str.lower, 'tags': _tags, 'min_disk': int, 'min_ram': int}
_FIELDS = {field.name: _READ.get(field.name, _same) for field in FIELDS if field.create}
_SET_BY_SERVICE = frozenset(_READ_ONLY)
