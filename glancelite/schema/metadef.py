"""The attributes of metadata definitions.  Only their schema documents are served."""

from typing import Any

from glancelite.schema.fields import Field, Resource

_NAME = {'maxLength': 80}
_STRINGS = {'items': {'type': 'string'}}
_TYPES: dict[str, Any] = {
    'type': 'string', 'enum': ['array', 'boolean', 'integer', 'number', 'object', 'string', None]}


def _ref(name: str) -> dict[str, str]:
    return {'$ref': f'#/definitions/{name}'}


def _times(what: str) -> tuple[Field, Field]:
    rules = {'format': 'date-time'}
    return (Field('created_at', description=f'When the {what} was created.', read_only=True,
                  rules=rules),
            Field('updated_at', description=f'When the {what} was last changed.', read_only=True,
                  rules=rules))


_LINKS = (Field('schema', read_only=True, value=None), Field('self', read_only=True, value=None))

PROPERTY_FIELDS = (
    Field('name', rules=_NAME),
    Field('title'),
    Field('description'),
    Field('operators', 'array', rules=_STRINGS),
    Field('type', '', rules=_TYPES),
    Field('required', '', rules=_ref('stringArray')),
    Field('minimum', 'number'),
    Field('maximum', 'number'),
    Field('maxLength', '', rules=_ref('positiveInteger')),
    Field('minLength', '', rules=_ref('positiveIntegerDefault0')),
    Field('pattern', rules={'format': 'regex'}),
    Field('enum', 'array'),
    Field('readonly', 'boolean'),
    Field('default', ''),
    Field('items', 'object', rules={'properties': {'type': _TYPES, 'enum': {'type': 'array'}}}),
    Field('maxItems', '', rules=_ref('positiveInteger')),
    Field('minItems', '', rules=_ref('positiveIntegerDefault0')),
    Field('uniqueItems', 'boolean', rules={'default': False}),
    Field('additionalItems', 'boolean'),
)

_NUMBERS: dict[str, Any] = {
    'positiveInteger': {'type': 'integer', 'minimum': 0},
    'positiveIntegerDefault0': {'allOf': [_ref('positiveInteger'), {'default': 0}]},
}
_STRING_ARRAY = {'type': 'array', **_STRINGS, 'uniqueItems': True}

#: definitions of namespaces and objects, which hold properties by name
DEFINITIONS: dict[str, Any] = {
    **_NUMBERS,
    'stringArray': _STRING_ARRAY,
    'property': {
        'type': 'object',
        'additionalProperties': {
            'type': 'object', 'required': ['title', 'type'],
            'properties': {field.name: field.schema() for field in PROPERTY_FIELDS}}},
}

#: definitions of a single property
PROPERTY_DEFINITIONS: dict[str, Any] = {
    **_NUMBERS, 'stringArray': {**_STRING_ARRAY, 'minItems': 1}}

PROPERTY = Resource('property', PROPERTY_FIELDS, additional=False,
                    definitions=PROPERTY_DEFINITIONS, required=('type', 'title', 'name'))
#: an item of a collection, in which the name is the key
NAMED_PROPERTY = Resource('property', PROPERTY_FIELDS, additional=False,
                          definitions=PROPERTY_DEFINITIONS, required=('type', 'title'))

OBJECT = Resource('object', (
    Field('name', rules=_NAME),
    Field('description'),
    Field('required', '', rules=_ref('stringArray')),
    Field('properties', '', rules=_ref('property')),
    *_LINKS,
    *_times('object'),
), additional=False, definitions=DEFINITIONS, required=('name',))

TAG = Resource('tag', (Field('name', rules=_NAME), *_times('tag')), additional=False,
               required=('name',))

RESOURCE_TYPE = Resource('resource_type_association', (
    Field('name', description='The type of the resource, by its name in Heat if it has one: '
          'https://docs.openstack.org/heat/latest/template_guide/openstack.html',
          rules=_NAME),
    Field('prefix', description='The prefix of the names of the properties on such a resource, '
          'with the separator at its end, such as a colon.',
          rules=_NAME),
    Field('properties_target', description='The set of properties, if such a resource has '
          'several: a Cinder volume has user metadata and image metadata, and Nova reads only '
          'the latter.', rules=_NAME),
    *_times('association'),
), additional=False, required=('name',))


def _objects(**properties: Any) -> dict[str, Any]:
    return {'items': {'type': 'object', 'properties': properties}}


_STRING = {'type': 'string'}

NAMESPACE = Resource('namespace', (
    Field('namespace', description='The unique name of the namespace.',
          rules=_NAME),
    Field('display_name', description='The name to display.', rules=_NAME),
    Field('description', description='A readable description of the namespace.',
          rules={'maxLength': 500}),
    Field('visibility', description='Who can see the namespace.', enum=('public', 'private')),
    Field('protected', 'boolean', 'Whether the namespace is protected from deletion.'),
    Field('owner', description='The project that owns the namespace.', rules={'maxLength': 255}),
    *_times('namespace'),
    *_LINKS,
    Field('resource_type_associations', 'array',
          rules=_objects(name=_STRING, prefix=_STRING, properties_target=_STRING)),
    Field('properties', '', rules=_ref('property')),
    Field('objects', 'array',
          rules=_objects(name=_STRING, description=_STRING, required=_ref('stringArray'),
                         properties=_ref('property'))),
    Field('tags', 'array', rules=_objects(name=_STRING)),
), additional=False, definitions=DEFINITIONS, required=('namespace',))
