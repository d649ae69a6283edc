"""Unsupported methods, unexpected bodies and invalid text."""

import pytest

from tests.api.conftest import client, error

ALLOW = {
    '/v2/images': 'GET, POST',
    '/v2/images/x': 'GET, PATCH, DELETE',
    '/v2/images/x/file': 'GET, PUT',
    '/v2/images/x/actions/deactivate': 'POST',
    '/v2/images/x/actions/reactivate': 'POST',
    '/v2/images/x/tags/t': 'PUT, DELETE',
    '/v2/images/x/members': 'GET, POST',
    '/v2/images/x/members/m': 'GET, PUT, DELETE',
    '/v2/schemas/image': 'GET',
}
METHODS = ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND')


@pytest.mark.parametrize('path', ALLOW)
def test_other_methods_return_405_with_the_allowed_ones(app, path):
    for method in METHODS:
        if method not in ALLOW[path].split(', '):
            answer = app.request(path, method=method, status=405)

            assert answer.headers['Allow'] == ALLOW[path]


def test_the_method_is_checked_before_the_body(app):
    app.request('/v2/images', method='PUT', body=b'{', status=405)


@pytest.mark.parametrize('method', ['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
def test_other_methods_of_info_usage_return_404(app, method):
    assert 'Allow' not in app.request('/v2/info/usage', method=method, status=404).headers


def test_unusual_methods_on_unknown_paths_are_not_implemented(app):
    app.request('/v2/nothing', method='PROPFIND', status=501)
    app.request('/v2/info/usage', method='PROPFIND', status=501)
    app.request('/v2/nothing', method='OPTIONS', status=404)


@pytest.mark.parametrize('path', ['/v2/images/x/tags', '/v2/images/x/actions', '/v2/info',
                                  '/v2/schemas', '/v2/images/x/members/m/n',
                                  '/v2/images/x/actions/explode', '/v2/images/x/tags/a%2Fb'])
def test_a_path_without_methods_is_not_found(app, path):
    app.get(path, status=404)


@pytest.mark.parametrize('name', ['get', 'verbs', 'below', '_route', 'paths', 'new', 'edit',
                                  '__class__'])
def test_attributes_of_controllers_are_not_paths(app, name):
    app.get(f'/v2/{name}', status=404)
    app.get(f'/v2/images/x/{name}', status=404)


def test_no_parameter_changes_the_method(app, new):
    image = new()

    app.get(f'/v2/images/{image}?_method=delete')
    app.post('/v2/images?_method=put', '{}', status=201)
    app.get(f'/v2/images/{image}')


@pytest.mark.parametrize(('method', 'path'), [
    ('GET', '/v2/images/x'), ('GET', '/v2/schemas/image'), ('GET', '/v2/images/x/members'),
    ('GET', '/v2/images/x/members/m'), ('GET', '/v2/images/x/file'), ('DELETE', '/v2/images/x'),
    ('DELETE', '/v2/images/x/tags/t'), ('DELETE', '/v2/images/x/members/m'),
    ('PUT', '/v2/images/x/tags/t'), ('POST', '/v2/images/x/actions/deactivate'),
    ('POST', '/v2/images/x/actions/reactivate'), ('DELETE', '/v2/stores/s/x'),
    ('GET', '/v2/info/stores'), ('GET', '/v2/info/stores/detail'),
])
def test_an_unexpected_body_is_refused(app, method, path):
    app.request(path, method=method, body=b'{}', status=400)


@pytest.mark.parametrize('path', ['/v2/images', '/v2/info/usage', '/v2/schemas/task',
                                  '/v2/schemas/tasks'])
def test_some_operations_ignore_a_body(app, path):
    app.request(path, method='GET', body=b'{', status=200)


def test_a_transfer_coding_means_a_body_for_methods_that_usually_have_one(app, new):
    image = new(tags=['t'])
    chunked = {'Transfer-Encoding': 'chunked'}

    app.put(f'/v2/images/{image}/tags/t', headers=chunked, status=400)
    app.delete(f'/v2/images/{image}/tags/t', headers=chunked, status=204)


NESTED = b'[' * 900 + rb'"\u0000"' + b']' * 900
JSON_PATHS = [('POST', '/v2/images'), ('POST', '/v2/images/x/members'),
              ('PUT', '/v2/images/x/members/m')]


@pytest.mark.parametrize(('method', 'path'), JSON_PATHS)
@pytest.mark.parametrize('body', [
    b'', b'{', b'"text"', b'1', b'null', b'[]', b'\xff\xfe{}', b'{"a": "\xff"}',
    b'{}{}', b'[' * 100_000, rb'{"a": "\ud800"}', rb'{"a": "\u0000"}', rb'{"\udfff": "a"}',
    rb'{"member": "m", "status": "accepted", "a": ' + NESTED + b'}',
], ids=lambda body: repr(body[:20]))
def test_a_body_that_is_not_a_json_object_is_refused(app, method, path, body):
    app.request(path, method=method, body=body, status=400)


@pytest.mark.parametrize('name', ['tags', 'name', 'custom', 'min_disk', 'locations'])
def test_deeply_nested_json_is_refused(app, name):
    body = b'{"%s": %s"x"%s}' % (name.encode(), b'[' * 900, b']' * 900)

    app.request('/v2/images', method='POST', body=body, status=[400, 403])


def test_surrogate_pairs_are_accepted(app):
    answer = app.post('/v2/images', rb'{"a": "\\u0000 \\ud800"}', status=201)

    assert answer.json['a'] == r'\u0000 \ud800'


@pytest.mark.parametrize('kind', ['application/octet-stream', 'text/plain', '',
                                  'application/x-www-form-urlencoded',
                                  'multipart/form-data; boundary=x'])
def test_json_is_accepted_with_any_content_type(app, kind):
    answer = app.request('/v2/images', method='POST', body=b'{"name": "a=b&c"}',
                         content_type=kind, status=201)

    assert answer.json['name'] == 'a=b&c'


@pytest.mark.parametrize(('method', 'path'), [
    ('PUT', '/{}/file'), ('POST', ''), ('PATCH', '/{}'), ('POST', '/{}/members'),
    ('PUT', '/{}/members/m'), ('POST', '/{}/locations')])
@pytest.mark.parametrize('value', ['bytes 0-3/10', 'bytes */10', ''])
def test_a_part_of_a_body_is_refused(app, new, method, path, value):
    image = new()
    kind = ('application/octet-stream' if path.endswith('file')
            else 'application/openstack-images-v2.1-json-patch')

    answer = app.request('/v2/images' + path.format(image), method=method, body=b'abcd',
                         status=400, content_type=kind,
                         headers={'Content-Range': value, 'Accept': 'application/json'})

    assert 'Content-Range is not supported' in error(answer)
    assert app.get(f'/v2/images/{image}').json['status'] == 'queued'


def test_the_size_of_a_json_body_is_limited(variant):
    variant(max_json_size=100).post('/v2/images', '{"name": "%s"}' % ('x' * 100), status=413)


@pytest.mark.parametrize('path', ['/v2/images/%ff', '/v2/images?name=%ff', '/v2/images/%00',
                                  '/v2/images?name=%00', '/v2/images/x/tags/%e2%28%a1'])
def test_a_url_that_is_not_text_is_refused(app, path):
    app.get(path, status=400)


def test_success_does_not_depend_on_accept(app, new):
    image = new()

    for accept in ('image/png', 'text/html', '', 'nonsense'):
        answer = app.get(f'/v2/images/{image}', headers={'Accept': accept})

        assert answer.content_type == 'application/json'


@pytest.mark.parametrize(('method', 'path'), [
    ('POST', ''), ('PATCH', '/{}'), ('DELETE', '/{}'), ('PUT', '/{}/file'), ('PUT', '/{}/tags/t'),
    ('DELETE', '/{}/tags/t'), ('POST', '/{}/members'), ('PUT', '/{}/members/m'),
    ('DELETE', '/{}/members/m'), ('POST', '/{}/actions/deactivate'), ('POST', '/{}/locations'),
    ('DELETE', '/unknown')])
def test_anonymous_callers_may_only_read(wsgi, admin, new, method, path):
    image = new()
    admin.patch_json(f'/v2/images/{image}', [
        {'op': 'replace', 'path': '/visibility', 'value': 'public'}],
        headers={'Content-Type': 'application/openstack-images-v2.1-json-patch'})

    answer = client(wsgi, '?').request('/v2/images' + path.format(image), method=method,
                                       headers={'Accept': 'application/json'}, status=403)

    assert error(answer) == 'Read-only access'
    client(wsgi, '?').get('/v2/schemas/image', status=200)
    admin.get(f'/v2/images/{image}', status=200)
