"""The attributes of images, and the validation of requests that set them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glancelite.contract import errors, values
from glancelite.domain import properties as rules
from glancelite.schema import checks
from glancelite.schema.fields import EMPTY, UUID, Field, Resource

_TEXT_LIMIT = {'maxLength': 255}

_LOCATION = {
    'type': 'object',
    'properties': {
        'url': {'type': 'string', 'maxLength': 255},
        'metadata': {'type': 'object'},
        'validation_data': {
            'description': 'Hashes of the data. A queued image adopts them; later they must be '
                           'equal to those of the image.',
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

#: in the order of the schema document; ``resource`` adds the enums of the formats
FIELDS = (
    Field('id', description='The id of the image, a UUID.', rules={'pattern': UUID},
          create=True, filter='text', sort=True),
    Field('name', nullable=True, description='The name of the image.', rules=_TEXT_LIMIT,
          create=True, patch=True, filter='text', sort=True),
    Field('status', description='The status of the image.', read_only=True,
          enum=values.STATUSES, filter='text', sort=True),
    Field('visibility', description='Who can see the image.', enum=values.VISIBILITIES,
          create=True, patch=True, filter='choice'),
    Field('protected', 'boolean', 'Whether the image is protected from deletion.',
          create=True, patch=True, filter='flag'),
    Field('os_hidden', 'boolean', 'Whether listings omit the image by default.',
          create=True, patch=True, filter='flag'),
    Field('checksum', nullable=True, read_only=True, description='MD5 of the data, in hex.',
          rules={'maxLength': 32}, filter='exact'),
    Field('os_hash_algo', nullable=True, read_only=True,
          description='The algorithm of os_hash_value.',
          rules={'maxLength': 64}, filter='exact'),
    Field('os_hash_value', nullable=True, read_only=True,
          description='Digest of the data by os_hash_algo, in hex.',
          rules={'maxLength': 128}, filter='exact'),
    Field('owner', nullable=True, description='The project that owns the image.',
          rules=_TEXT_LIMIT, create=True, patch=True, filter='exact'),
    Field('size', 'integer', 'Length of the data, in bytes.', nullable=True, read_only=True,
          filter='number', sort=True),
    Field('virtual_size', 'integer', 'Size of the virtual disk, in bytes.',
          nullable=True, read_only=True, filter='number'),
    Field('container_format', nullable=True, description='Format of the container of the disk.',
          create=True, patch=True, filter='text', sort=True),
    Field('disk_format', nullable=True, description='Format of the virtual disk.',
          create=True, patch=True, filter='text', sort=True),
    Field('created_at', description='When the image was registered.', read_only=True,
          filter='time', sort=True),
    Field('updated_at', description='When the image was last changed.', read_only=True,
          filter='time', sort=True),
    Field('tags', 'array', 'Labels, in no particular order.',
          rules={'items': {'type': 'string', 'maxLength': 255}}, create=True, patch=True),
    Field('direct_url', description='Location of the data in a store.', read_only=True,
          value='locations'),
    Field('min_ram', 'integer', 'Memory required to boot the image, in MiB.',
          create=True, patch=True, filter='number'),
    Field('min_disk', 'integer', 'Disk space required to boot the image, in GiB.',
          create=True, patch=True, filter='number'),
    Field('self', description='Path of the image.', read_only=True, value=None),
    Field('file', description='Path of the data of the image.', read_only=True, value=None),
    Field('stores', description='Names of the stores that have the data, separated by commas; '
          'only if the service has several stores.', read_only=True, value='locations'),
    Field('schema', description='Path of this schema.', read_only=True, value=None),
    Field('locations', 'array', 'Locations of the data in stores.', rules={'items': _LOCATION}),
)

#: fields of ``contract.Image`` that are not shown
INTERNAL = ('deleted_at', 'revision', 'membership', 'attempt', 'lease_until')

#: field of ``contract.Image`` that holds the custom properties
CUSTOM = 'properties'

#: read-only attributes that a creation refuses before, and after, all other checks
_REFUSED_FIRST = ('direct_url', 'self', 'file', 'schema', 'stores', 'os_hash_algo',
                  'os_hash_value')
_REFUSED_LAST = ('status', 'size', 'checksum', 'virtual_size', 'created_at', 'updated_at')
_ANY_TEXT = {'type': 'string'}


def resource(disk_formats: Sequence[str], container_formats: Sequence[str],
             extra: Mapping[str, Any] | None = None) -> Resource:
    """Return the attributes of images as this service is configured.

    :param extra: the content of ``schema-image.json``: name -> schema, or
        such a mapping under ``properties``, with a list under ``required``.
    :raises Misconfigured: ``extra`` has another form, or redefines an attribute of
        the API.
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
        raise errors.Misconfigured('schema-image.json must be an object that maps names of '
                                   'properties to their JSON schemas')
    return properties, tuple(required)


def _all_objects(mapping: Any) -> bool:
    return (isinstance(mapping, Mapping)
            and all(isinstance(value, Mapping) for value in mapping.values()))


def _bare(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ('description', 'is_base')}


@dataclasses.dataclass(frozen=True, slots=True)
class Creation:
    """A request to create an image.

    :ivar fields: field of ``contract.Image`` -> value, as far as given.
    :ivar properties: the custom properties.
    :ivar read_only: read-only attributes in the request; the use case refuses them,
        after policy and quota.
    """

    fields: dict[str, Any]
    properties: dict[str, str]
    read_only: tuple[str, ...] = ()


class ImageSchema:
    """Validates the attributes of images in requests."""

    def __init__(self, disk_formats: Sequence[str], container_formats: Sequence[str],
                 extra: Mapping[str, Any] | None = None):
        """
        :param extra: the content of ``schema-image.json``; None if there is none.
        :raises Misconfigured: it is invalid.
        """
        self.resource = resource(disk_formats, container_formats, extra)
        self._checks = {field.name: _check(field) for field in self.resource.fields}
        self._text = checks.compile_schema(_ANY_TEXT)
        self._required = self.resource.required

    def create(self, body: object) -> Creation:
        """Validate the body of a request that creates an image.

        :param body: decoded JSON.
        :raises Invalid: it is not an object, or does not conform to the schema.
        :raises Forbidden: it has an attribute that no request may set, or a reserved name.

        Source: Image API v2, "Create image".
        """
        if not isinstance(body, dict):
            raise errors.Invalid('An image must be a JSON object.')
        for name in _REFUSED_FIRST:
            if name in body:
                raise errors.Forbidden(f"Attribute '{name}' is read-only.")
        self._check_all(body)
        fields: dict[str, Any] = {}
        properties: dict[str, str] = {}
        for name, value in body.items():
            if (read := _FIELDS.get(name)) is not None:
                fields[name] = read(value)
            elif name not in _REFUSED_LAST:
                if name == 'locations':
                    raise errors.Forbidden("Attribute 'locations' is reserved.")
                rules.check_name(name)
                properties[name] = value if type(value) is str else _text(value)
        return Creation(fields, properties, tuple(name for name in _REFUSED_LAST if name in body))

    def validate_attribute(self, name: str, value: object) -> Any:
        """Validate one attribute of a patch, as if the image had no others.

        So with ``required`` in ``schema-image.json``, other attributes cannot be patched
        on their own.

        :returns: the value as ``contract.Image`` holds it.
        :raises Invalid: it does not conform to the schema.
        """
        self._check_all({name: value})
        if (read := _FIELDS.get(name)) is not None:
            return read(value)
        return _locations(value) if name == 'locations' else _text(value)

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
        return checks.compile_schema(schema)
    import jsonschema  # slow to import, and only needed with a schema-image.json

    try:
        jsonschema.Draft4Validator.check_schema(schema)
        return checks.compile_schema(schema)
    except jsonschema.SchemaError as error:
        raise errors.Misconfigured(f'schema-image.json: {field.name} has no valid JSON schema: '
                                   f'{str(error).splitlines()[0]}') from None


def _same(value: Any) -> Any:
    return value


def _tags(value: list[str]) -> tuple[str, ...]:
    return tuple(sorted(set(value)))


def _locations(value: Any) -> Any:
    """Return locations unchanged; their metadata must be JSON, without NaN and infinity."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        raise errors.Invalid('The metadata of a location must be JSON.') from None
    return value


def _text(value: Any) -> str:
    """Return a custom property as stored; ``schema-image.json`` may allow other types."""
    if type(value) is str:
        return value
    return '' if value is None else json.dumps(value, ensure_ascii=False)


# In a JSON schema 1.0 is an integer; an image holds 1.
_READ: dict[str, Callable[[Any], Any]] = {
    'id': str.lower, 'tags': _tags, 'min_disk': int, 'min_ram': int}
_FIELDS = {field.name: _READ.get(field.name, _same) for field in FIELDS if field.create}
