"""Namespaces of metadata definitions on the wire."""

import pytest

from tests.api.conftest import client, error

NS = '/v2/metadefs/namespaces'
PROPERTY = {'title': 'T', 'type': 'string'}
FULL = {
    'namespace': 'OS::Test', 'display_name': 'Test', 'description': 'For tests',
    'visibility': 'public', 'protected': False, 'owner': 'own',
    'resource_type_associations': [{'name': 'OS::Nova::Flavor', 'prefix': 'hw:'},
                                   {'name': 'OS::Glance::Image'}],
    'properties': {'cores': {'title': 'Cores', 'type': 'integer', 'default': 5}},
    'objects': [{'name': 'o', 'required': ['x'], 'properties': {'x': PROPERTY}}, {'name': 'e'}],
    'tags': [{'name': 'blue'}, {'name': 'red'}]}
JSON = {'Accept': 'application/json'}


@pytest.fixture
def make(admin):
    """Create a namespace of the project ``own``; public if nothing else is said."""
    def make(name='OS::Test', **attributes):
        return admin.post_json(NS, {'namespace': name, 'visibility': 'public', 'owner': 'own',
                                    **attributes}).json
    return make


def names(answer):
    return [each['namespace'] for each in answer.json['namespaces']]


def without_times(value):
    if isinstance(value, list):
        return [without_times(each) for each in value]
    if isinstance(value, dict):
        return {name: without_times(each) for name, each in value.items()
                if name not in ('created_at', 'updated_at', 'self', 'schema')}
    return value


def test_a_new_namespace_is_answered_as_it_was_sent(admin):
    answer = admin.post_json(NS, FULL, status=201)

    assert answer.headers['Location'] == f'http://localhost{NS}/OS::Test'
    created = answer.json
    assert created.pop('self') == f'{NS}/OS::Test'
    assert created.pop('schema') == '/v2/schemas/metadefs/namespace'
    for name in 'created_at', 'updated_at':
        assert len(created.pop(name)) == len('2026-01-02T03:04:05Z')
    assert created == {**FULL, 'properties': {'cores': {
        'title': 'Cores', 'type': 'integer', 'default': '5'}}}


def test_the_location_of_a_namespace_is_a_url_whatever_its_name_is(admin):
    created = admin.post_json(NS, {'namespace': 'ä b\r\nX: y'})

    assert created.headers['Location'] == f'http://localhost{NS}/%C3%A4%20b%0D%0AX:%20y'
    assert admin.get(created.headers['Location']).json['namespace'] == 'ä b\r\nX: y'


def test_defaults_of_a_new_namespace(admin):
    created = admin.post_json(NS, {'namespace': 'n'}).json

    assert (created['visibility'], created['protected'], created['owner']) == (
        'private', False, 'admins')
    assert created.keys().isdisjoint({'display_name', 'description', 'objects', 'tags'})


def test_a_namespace_is_shown_with_its_items_of_all_kinds(admin, app):
    admin.post_json(NS, FULL)

    shown = app.get(f'{NS}/OS::Test').json

    assert without_times(shown) == {
        **FULL, 'properties': {'cores': {'title': 'Cores', 'type': 'integer', 'default': '5'}},
        'objects': [FULL['objects'][0], {'name': 'e', 'required': [], 'properties': {}}]}
    assert shown['objects'][0]['self'] == f'{NS}/OS::Test/objects/o'
    assert shown['objects'][0]['schema'] == '/v2/schemas/metadefs/object'
    assert 'created_at' in shown['resource_type_associations'][0]
    admin.post_json(NS, {'namespace': 'bare'})
    assert admin.get(f'{NS}/bare').json.keys().isdisjoint(
        {'objects', 'properties', 'tags', 'resource_type_associations'})


@pytest.mark.parametrize('query', ['resource_type=OS::Nova::Flavor&foo=1'])
def test_a_namespace_is_shown_with_the_prefix_of_a_resource_type(admin, query):
    admin.post_json(NS, FULL)

    shown = admin.get(f'{NS}/OS::Test?{query}').json

    assert list(shown['properties']) == ['hw:cores']
    assert shown['objects'][0]['required'] == ['hw:x']
    assert list(shown['objects'][0]['properties']) == ['hw:x']
    assert shown['objects'][1]['properties'] == {}
    assert without_times(shown['tags']) == FULL['tags']
    assert shown['resource_type_associations'][0]['prefix'] == 'hw:'


@pytest.mark.parametrize('query', ['foo=1', 'resource_type=', 'resource_type=unknown',
                                   'resource_type=OS::Glance::Image'])
def test_without_a_prefix_a_namespace_is_shown_as_it_is(admin, query):
    admin.post_json(NS, FULL)

    assert admin.get(f'{NS}/OS::Test?{query}').json == admin.get(f'{NS}/OS::Test').json


def test_a_change_replaces_all_attributes_and_ignores_items(admin):
    admin.post_json(NS, {**FULL, 'protected': True})

    changed = admin.put_json(f'{NS}/OS::Test', {'namespace': 'new', 'tags': [{'name': 'x'}]})

    assert without_times(changed.json) == {
        'namespace': 'new', 'visibility': 'private', 'protected': False, 'owner': 'admins'}
    assert changed.json['self'] == f'{NS}/new'
    admin.get(f'{NS}/OS::Test', status=404)
    assert without_times(admin.get(f'{NS}/new').json['tags']) == FULL['tags']


def test_a_name_that_is_taken_is_refused(admin, make):
    make('one')
    make('two')

    assert error(admin.post_json(NS, {'namespace': 'one'}, headers=JSON, status=409)) == (
        'The metadata definition namespace=one already exists.')
    admin.put_json(f'{NS}/two', {'namespace': 'one'}, status=409)
    assert admin.get(f'{NS}/two').json['visibility'] == 'public'


@pytest.mark.parametrize('protected', [True, False])
@pytest.mark.parametrize('kind', ['objects', 'tags', 'resource_type_associations'])
def test_nothing_is_left_of_a_namespace_with_the_same_item_twice(admin, protected, kind):
    admin.post_json(NS, {'namespace': 'n', 'protected': protected,
                         kind: [{'name': 'same'}, {'name': 'same'}]}, status=409)

    admin.get(f'{NS}/n', status=404)
    assert admin.get('/v2/metadefs/resource_types').json == {'resource_types': []}


def test_a_protected_namespace_can_be_changed_but_not_deleted(admin, make):
    make(protected=True)

    assert error(admin.delete(f'{NS}/OS::Test', headers=JSON, status=403)) == (
        'Metadata definition namespace=OS::Test is protected and cannot be deleted.')
    admin.put_json(f'{NS}/OS::Test', {'namespace': 'OS::Test', 'protected': False})
    admin.delete(f'{NS}/OS::Test', status=204)
    admin.delete(f'{NS}/OS::Test', status=404)


class TestBodies:

    @pytest.mark.parametrize('name', ['self', 'schema', 'created_at', 'updated_at'])
    def test_a_read_only_attribute_is_refused_before_others_are_checked(self, admin, make, name):
        make()

        for send, path in (admin.post_json, NS), (admin.put_json, f'{NS}/OS::Test'):
            answer = send(path, {name: 'x', 'namespace': 5}, headers=JSON, status=403)
            assert error(answer) == f"Attribute '{name}' is read-only."

    @pytest.mark.parametrize('change', [
        {'namespace': 'x' * 81}, {'namespace': 5}, {'namespace': None}, {'unknown': 1},
        {'display_name': 'x' * 81}, {'description': 'x' * 501}, {'owner': 'x' * 256},
        {'visibility': 'shared'}, {'visibility': 'community'}, {'protected': 'yes'},
        {'description': None}, {'tags': [{}]}, {'tags': [{'name': 'x' * 81}]},
        {'tags': {'name': 'x'}}, {'tags': [{'name': 'x', 'color': 'red'}]},
        {'objects': [{'name': 'x', 'color': 'red'}]}, {'objects': [{}]},
        {'resource_type_associations': [{'name': 'x', 'prefix': 'x' * 81}]},
        {'properties': {'p': {'type': 'string'}}}, {'properties': {'x' * 81: PROPERTY}},
        {'properties': {'p': {**PROPERTY, 'type': None}}},
        {'properties': {'p': {**PROPERTY, 'confidential': True}}},
        {'properties': {'p': {**PROPERTY, 'minLength': -1}}},
        {'properties': {'p': {**PROPERTY, 'required': 'x'}}},
        {'objects': [{'name': 'x', 'properties': {'p': {**PROPERTY, 'more': 1}}}]}],
        ids=repr)
    def test_what_the_schema_forbids_is_refused(self, admin, change):
        answer = admin.post_json(NS, {'namespace': 'n', **change}, headers=JSON, status=400)

        assert error(answer).startswith("Provided object does not match schema 'namespace': ")
        admin.get(f'{NS}/n', status=404)

    def test_a_namespace_needs_a_name_which_may_be_empty(self, admin):
        admin.post_json(NS, {}, status=400)
        assert admin.post_json(NS, {'namespace': ''}, status=201).json['self'] == f'{NS}/'

    @pytest.mark.parametrize(('body', 'text'), [
        (b'', 'Body expected in request.'), (b'{', 'Malformed JSON in request body.'),
        (b'{"namespace": "n", "properties": {"p": {"title": "t", "type": "number", '
         b'"minimum": NaN}}}', 'Malformed JSON in request body.'),
        (b'5', 'Unexpected body type. Expected list/dict.'),
        (b'"x"', 'Unexpected body type. Expected list/dict.'),
        (b'[]', 'The body must be a JSON object.')])
    def test_a_body_that_is_no_object_is_refused(self, admin, make, body, text):
        make()

        for method, path in (
                ('POST', NS), ('PUT', f'{NS}/OS::Test'), ('POST', f'{NS}/OS::Test/objects'),
                ('PUT', f'{NS}/OS::Test/objects/o'), ('POST', f'{NS}/OS::Test/properties'),
                ('PUT', f'{NS}/OS::Test/properties/p'), ('POST', f'{NS}/OS::Test/tags'),
                ('PUT', f'{NS}/OS::Test/tags/t'), ('POST', f'{NS}/OS::Test/resource_types')):
            answer = admin.request(path, method=method, body=body, headers=JSON, status=400)
            assert error(answer) == text

    def test_a_body_is_json_whatever_its_content_type(self, admin):
        admin.post(NS, b'{"namespace": "n"}', content_type='text/plain', status=201)

    def test_the_body_of_a_caller_who_may_create_nothing_is_not_parsed(self, app, make):
        make()
        body = b'[' + b' ' * 2000

        for method, path in (('POST', NS), ('PUT', f'{NS}/OS::Test'),
                             ('POST', f'{NS}/OS::Test/tags')):
            app.request(path, method=method, body=body, status=403)
        app.request(f'{NS}/absent', method='PUT', body=body, status=404)


class TestVisibility:

    CALLS = (
        ('GET', ''), ('PUT', ''), ('DELETE', ''),
        *((method, f'/{kind}') for kind in ('objects', 'properties', 'tags')
          for method in ('GET', 'POST', 'DELETE')),
        *((method, f'/{kind}/x') for kind in ('objects', 'properties', 'tags')
          for method in ('GET', 'PUT', 'DELETE')),
        ('POST', '/tags/x'), ('GET', '/resource_types'), ('POST', '/resource_types'),
        ('DELETE', '/resource_types/x'))
    BODIES = {'': {'namespace': 'n'}, '/objects': {'name': 'x'}, '/tags': {'tags': []},
              '/properties': {'name': 'x', **PROPERTY}, '/resource_types': {'name': 'x'}}

    def call(self, app, method, path, **named):
        kind = '/' + path.split('/')[1] if path else ''
        body = self.BODIES[kind]
        if path == '/tags/x':
            body = {'name': 'x'} if method == 'PUT' else None
        if method in ('POST', 'PUT') and body is not None:
            send = app.post_json if method == 'POST' else app.put_json
            return send(f'{NS}/OS::Test{path}', body, **named)
        return app.request(f'{NS}/OS::Test{path}', method=method, **named)

    @pytest.mark.parametrize(('method', 'path'), CALLS)
    def test_a_private_namespace_of_another_project_does_not_exist(
            self, other, make, method, path):
        make(visibility='private')

        answer = self.call(other, method, path, headers=JSON, status=404)

        assert error(answer) == 'Namespace OS::Test not found'

    @pytest.mark.parametrize(('method', 'path'), CALLS)
    def test_a_public_namespace_can_be_read_and_not_changed_by_others(
            self, other, admin, method, path):
        admin.post_json(NS, {**FULL, 'objects': [{'name': 'x'}], 'tags': [{'name': 'x'}],
                             'properties': {'x': PROPERTY}})

        if method == 'GET':
            self.call(other, method, path, status=200)
        else:
            answer = self.call(other, method, path, headers=JSON, status=403)
            assert error(answer).startswith('You are not authorized to complete ')

    @pytest.mark.parametrize(('method', 'path'), CALLS)
    def test_a_caller_without_a_role_sees_no_namespace(self, wsgi, make, method, path):
        make()
        caller = client(wsgi, 'own:none')

        answer = self.call(caller, method, path, headers=JSON, status=404)

        assert error(answer) == 'The resource could not be found.'
        caller.get(NS, status=404)
        caller.post_json(NS, {'namespace': 'x'}, status=404)
        caller.get('/v2/metadefs/resource_types', status=404)
        caller.get('/v2/schemas/metadefs/namespace', status=200)

    def test_an_unknown_caller_is_refused(self, no_token):
        no_token.get(NS, status=401)

    def test_projects_list_public_namespaces_and_their_own(self, app, other, admin, make):
        make('public')
        make('private', visibility='private')

        assert names(app.get(NS)) == ['private', 'public']
        assert names(other.get(NS)) == ['public']
        assert names(admin.get(NS)) == ['private', 'public']
        app.post_json(NS, {'namespace': 'x'}, status=403)


class TestMethods:

    ALLOW = {'': 'GET, POST', '/n': 'GET, PUT, DELETE', '/n/objects': 'GET, POST, DELETE',
             '/n/objects/x': 'GET, PUT, DELETE', '/n/properties': 'GET, POST, DELETE',
             '/n/properties/x': 'GET, PUT, DELETE', '/n/tags': 'GET, POST, DELETE',
             '/n/tags/x': 'GET, POST, PUT, DELETE', '/n/resource_types': 'GET, POST',
             '/n/resource_types/x': 'DELETE'}

    @pytest.mark.parametrize('path', ALLOW)
    def test_other_methods_return_405_with_the_allowed_ones(self, app, path):
        for method in 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE':
            if method not in self.ALLOW[path].split(', '):
                answer = app.request(NS + path, method=method, status=405)
                assert answer.headers['Allow'] == self.ALLOW[path]

    @pytest.mark.parametrize(('method', 'path'), [
        ('GET', '/n'), ('DELETE', '/n'), ('GET', '/n/objects/x'), ('DELETE', '/n/objects/x'),
        ('GET', '/n/properties'), ('GET', '/n/tags/x'), ('POST', '/n/tags/x'),
        ('DELETE', '/n/tags/x'), ('GET', '/n/resource_types'), ('DELETE', '/n/resource_types/x'),
        ('GET', '/../resource_types')])
    def test_an_unexpected_body_is_refused(self, admin, method, path):
        path = (NS + path).replace('/namespaces/..', '')
        answer = admin.request(path, method=method, body=b'{}', headers=JSON, status=400)

        assert error(answer) == 'A body is not expected with this request.'

    @pytest.mark.parametrize(('method', 'path', 'status'), [
        ('GET', '', 200), ('GET', '/OS::Test/objects', 200), ('DELETE', '/OS::Test/objects', 204),
        ('DELETE', '/OS::Test/properties', 204), ('GET', '/OS::Test/tags', 200),
        ('GET', '/OS::Test/properties/p', 200), ('DELETE', '/OS::Test/properties/p', 204),
        ('DELETE', '/OS::Test/tags', 204)])
    def test_some_operations_ignore_a_body(self, admin, make, method, path, status):
        make(properties={'p': PROPERTY})

        admin.request(NS + path, method=method, body=b'{', status=status)


class TestListing:

    @pytest.fixture
    def three(self, make):
        for name, display in ('a', 'z'), ('b', 'y'), ('c', 'x'):
            make(name, display_name=display, visibility='public' if name != 'b' else 'private',
                 resource_type_associations=[{'name': f'type-{name}'}])

    @pytest.mark.parametrize(('query', 'listed'), [
        ('', 'cba'), ('sort_key=namespace&sort_dir=asc', 'abc'), ('sort_key=namespace', 'cba'),
        ('sort_key=display_name&sort_dir=asc', 'cba'), ('sort_dir=asc', 'abc'),
        ('sort_key=id&sort_dir=asc', 'abc'), ('visibility=private', 'b'),
        ('visibility=public', 'ca'), ('resource_types=type-a', 'a'),
        ('resource_types=type-a,type-b,none', 'ba'), ('resource_types=none', ''),
        ('resource_types=', ''), ('limit=2', 'cb'), ('limit=0', ''), ('marker=c', 'ba'),
        ('marker=b&sort_key=namespace&sort_dir=asc', 'c'), ('anything=else', 'cba')])
    def test_parameters(self, app, three, query, listed):
        assert names(app.get(f'{NS}?{query}')) == list(listed)

    @pytest.mark.parametrize('query', [
        'limit=-1', 'limit=x', 'limit=', 'sort_key=nothing', 'sort_key=', 'sort_dir=up',
        'visibility=shared', 'visibility='])
    def test_an_invalid_parameter_is_refused(self, app, query):
        app.get(f'{NS}?{query}', status=400)

    def test_texts_of_invalid_parameters(self, app):
        assert error(app.get(f'{NS}?sort_dir=up', headers=JSON, status=400)) == (
            'Invalid sort direction: up')
        assert error(app.get(f'{NS}?visibility=shared', headers=JSON, status=400)) == (
            'Invalid visibility value: shared')

    def test_a_marker_must_exist_and_be_visible(self, other, three):
        other.get(f'{NS}?marker=nothing', status=404)
        other.get(f'{NS}?marker=b', status=403)
        assert names(other.get(f'{NS}?marker=c')) == ['a']

    def test_pages_have_links(self, app, three):
        page = app.get(f'{NS}?limit=2&visibility=public&marker=c').json
        assert page['first'] == f'{NS}?limit=2&visibility=public'
        assert page['schema'] == '/v2/schemas/metadefs/namespaces'
        assert 'next' not in page

        page = app.get(f'{NS}?limit=1&visibility=public&marker=c').json
        assert page['next'] == f'{NS}?limit=1&visibility=public&marker=a'
        assert app.get(page['next']).json['namespaces'] == []
        assert app.get(NS).json['first'] == NS

    def test_only_associations_are_listed_with_a_namespace(self, admin):
        admin.post_json(NS, FULL)

        listed, = admin.get(NS).json['namespaces']

        assert listed.keys() & FULL.keys() == FULL.keys() - {'properties', 'objects', 'tags'}
        assert [each['name'] for each in listed['resource_type_associations']] == [
            'OS::Nova::Flavor', 'OS::Glance::Image']

    def test_the_limit_has_a_default_and_a_maximum(self, variant, three):
        limited = variant(limit_param_default=1, api_limit_max=2)

        assert names(limited.get(NS)) == ['c']
        assert names(limited.get(f'{NS}?limit=3')) == ['c', 'b']
