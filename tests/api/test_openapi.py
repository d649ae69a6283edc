"""The OpenAPI description is complete and agrees with the API."""

import functools
import operator
import re

import pytest


@pytest.fixture
def described(app):
    return app.get('/v2/openapi.json').json


def test_every_operation_but_the_description_itself_is_described(core, described):
    from glancelite.api import v2
    offered = {(verb, f'/v2{path}') for verb, path, _ in v2.root(core).operations()}

    documented = {(verb.upper(), re.sub('{[^}]+}', '{}', path))
             for path, verbs in described['paths'].items() for verb in verbs}

    assert documented == offered - {('GET', '/v2/openapi.json')}


def test_variables_of_a_path_are_its_parameters(described):
    for path, verbs in described['paths'].items():
        for operation in verbs.values():
            named = {parameter['name'] for parameter in operation['parameters']
                     if parameter['in'] == 'path'}

            assert named == set(re.findall('{([^}]+)}', path))


def test_every_reference_resolves(app, described):
    text = app.get('/v2/openapi.json').text
    referred = set(re.findall(r'"\$ref": "#/([^"]+)"', text))

    for reference in referred:
        assert functools.reduce(operator.getitem, reference.split('/'), described)
    assert {f'components/schemas/{name}' for name in described['components']['schemas']} == {
        reference for reference in referred if 'definitions' not in reference}


def test_schemas_have_names_that_keys_may_have(described):
    names = described['components']['schemas'].keys()

    assert names == {
        'image', 'images', 'member', 'members', 'task', 'tasks', 'error',
        *(f'metadefs.{kind}' for kind in (
            'namespace', 'namespaces', 'object', 'objects', 'property', 'properties',
            'resource_type', 'resource_types', 'tag', 'tags'))}
    assert all(re.fullmatch(r'[A-Za-z0-9._-]+', name) for name in names)


def test_every_parameter_of_a_listing_is_accepted(app, described):
    examples = {'limit': '1', 'sort': 'name', 'sort_key': 'name', 'sort_dir': 'asc',
                'member_status': 'all', 'visibility': 'all', 'protected': 'true',
                'os_hidden': 'true', 'created_at': '2020-01-01', 'updated_at': '2020-01-01'}
    parameters = described['paths']['/v2/images']['get']['parameters']
    names = {parameter['name'] for parameter in parameters} - {'marker'}

    assert {'tag', 'size_min', 'min_ram_max', 'owner', 'id'} <= names
    for parameter in parameters:
        if parameter['name'] in names:
            value = examples.get(parameter['name'], '1')
            page = app.get(f'/v2/images?{parameter["name"]}={value}').json

            assert page['images'] == []


def test_every_parameter_of_the_listing_of_namespaces_is_accepted(app, described):
    examples = {'limit': '1', 'resource_types': 'a,b'}
    parameters = described['paths']['/v2/metadefs/namespaces']['get']['parameters']
    choices = [(parameter['name'], value) for parameter in parameters
               for value in parameter['schema'].get('enum', [examples.get(parameter['name'])])]

    assert {name for name, _ in choices} == {
        'limit', 'marker', 'sort_key', 'sort_dir', 'visibility', 'resource_types'}
    for name, value in choices:
        if value is not None:
            assert app.get(f'/v2/metadefs/namespaces?{name}={value}').json['namespaces'] == []
