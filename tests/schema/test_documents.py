"""The documents of ``/v2/schemas``, compared with ``golden/``.

After an intended change, ``python tests/schema/test_documents.py`` rewrites them.
"""

import json
import pathlib

import jsonschema
import pytest

from glancelite import contract
from glancelite.schema import image, render
from glancelite.schema.image import ImageSchema

GOLDEN = pathlib.Path(__file__).parent / 'golden'
DISK_FORMATS = ('ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop')
CONTAINER_FORMATS = ('ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed')
PATHS = ('image', 'images', 'member', 'members', 'task', 'tasks',
         *(f'metadefs/{kind}' for kind in (
             'namespace', 'namespaces', 'object', 'objects', 'property', 'properties',
             'resource_type', 'resource_types', 'tag', 'tags')))


def documents(extra=None):
    resource = image.resource(DISK_FORMATS, CONTAINER_FORMATS, extra)
    return {path: json.loads(text) for path, text in render.documents(resource).items()}


def pretty(document):
    return json.dumps(document, indent=1, ensure_ascii=False) + '\n'


def test_there_is_a_document_for_every_route():
    assert set(documents()) == set(PATHS)
    assert {path.relative_to(GOLDEN).with_suffix('').as_posix()
            for path in GOLDEN.rglob('*.json')} == set(PATHS)


@pytest.mark.parametrize('path', PATHS)
def test_a_document_equals_its_golden_file_in_the_same_order(path):
    assert pretty(documents()[path]) == (GOLDEN / f'{path}.json').read_text()


@pytest.mark.parametrize('path', ['image', 'member', 'task'])
def test_every_attribute_is_describe(path):
    properties = documents()[path]['properties']
    links = set() if path == 'image' else {'self', 'schema'}

    for name in properties.keys() - links:
        assert properties[name]['description'].endswith('.')


@pytest.mark.parametrize('path', PATHS)
def test_a_document_is_a_json_schema_and_its_references_resolve(path):
    document = documents()[path]

    jsonschema.Draft4Validator.check_schema(document)
    for reference in references(document):
        assert reference.removeprefix('#/definitions/') in document['definitions']


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get('$ref'), str):
            yield node['$ref']
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from references(part)


def test_the_formats_are_those_of_the_configuration():
    document = json.loads(render.documents(image.resource(('raw',), ('bare',)))['image'])

    assert document['properties']['disk_format']['enum'] == [None, 'raw']
    assert document['properties']['container_format']['enum'] == [None, 'bare']


def test_the_operators_properties_are_described_to_clients():
    extra = {'properties': {'os': {'type': 'string', 'description': 'Its system.'}},
             'required': ['os']}

    served = documents(extra)

    assert served['image']['properties']['os'] == {
        'type': 'string', 'description': 'Its system.', 'is_base': False}
    assert served['image']['required'] == ['os']
    assert served['images']['properties']['images']['items'] == served['image']
    assert list(served['image']) == ['name', 'properties', 'additionalProperties', 'required',
                                    'links']


@pytest.mark.parametrize('body', [
    {}, {'name': None}, {'name': 'x' * 255}, {'tags': ['a']}, {'min_ram': 5}, {'custom': 'x'},
    {'disk_format': None}, {'id': '016a685b-edf6-4a06-bc21-7b7f6a23187b'},
    {'name': 5}, {'name': 'x' * 256}, {'tags': ['a', 5]}, {'tags': {}}, {'min_ram': '5'},
    {'min_ram': None}, {'min_ram': True}, {'custom': None}, {'disk_format': 'x'}, {'id': 'x'},
    {'protected': 'x'}, {'size': []}, {'visibility': None}])
def test_requests_are_validated_as_documented(body):
    by_document = jsonschema.Draft4Validator(documents()['image']).is_valid(body)
    schema = ImageSchema(DISK_FORMATS, CONTAINER_FORMATS)

    try:
        schema.create(body)
        accepted = True
    except contract.Invalid:
        accepted = False

    assert accepted == by_document


if __name__ == '__main__':
    for path, document in documents().items():
        target = GOLDEN / f'{path}.json'
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(pretty(document))
