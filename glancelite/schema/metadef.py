"""Metadata definitions: namespaces, and the objects, properties and tags in them."""

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

#: of namespaces and objects, which hold properties by name
DEFINITIONS: dict[str, Any] = {
    **_NUMBERS,
    'stringArray': _STRING_ARRAY,
    'property': {
        'type': 'object',
        'additionalProperties': {
            'type': 'object', 'required': ['title', 'type'],
            'properties': {field.name: field.schema() for field in PROPERTY_FIELDS}}},
}

#: of a property that stands alone
PROPERTY_DEFINITIONS: dict[str, Any] = {
    **_NUMBERS, 'stringArray': {**_STRING_ARRAY, 'minItems': 1}}

PROPERTY = Resource('property', PROPERTY_FIELDS, additional=False,
                    definitions=PROPERTY_DEFINITIONS, required=('type', 'title', 'name'))
#: in a collection the name is the key
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
    Field('name', description='The kind of resource, where there is one by the name that Heat '
          'gives it: https://docs.openstack.org/heat/latest/template_guide/openstack.html',
          rules=_NAME),
    Field('prefix', description='What comes before the name of a property of the namespace when '
          'it is put on such a resource, with the separator at its end, such as a colon.',
          rules=_NAME),
    Field('properties_target', description='Which of its sets of keys and values is meant, if '
          'such a resource has several: a volume of Cinder has those of its user and those of '
          'its image, and Nova looks at the latter only.', rules=_NAME),
    *_times('association'),
), additional=False, required=('name',))


def _objects(**properties: Any) -> dict[str, Any]:
    return {'items': {'type': 'object', 'properties': properties}}


_STRING = {'type': 'string'}

NAMESPACE = Resource('namespace', (
    Field('namespace', description='The name of the namespace; there is only one of it.',
          rules=_NAME),
    Field('display_name', description='The name that people are shown.', rules=_NAME),
    Field('description', description='What the namespace is about, for people to read.',
          rules={'maxLength': 500}),
    Field('visibility', description='Who can see the namespace.', enum=('public', 'private')),
    Field('protected', 'boolean', 'Whether the namespace is safe from being deleted.'),
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
