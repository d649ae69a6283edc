"""The list of versions, and the version that a request selects."""

import pytest
import webtest

from glancelite.api.versions import offered_versions

MULTI_CACHE = [18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
ORDER = {
    (True, True): (MULTI_CACHE, 18),
    (True, False): ([18, 17, 16, 15, 14, 9, 7, 6, 5, 4, 3, 2, 1, 0], 18),
    (False, True): ([15, 13, 12, 11, 10, 9, 8, 17, 7, 6, 5, 4, 3, 2, 1, 0], 17),
    (False, False): ([15, 9, 17, 7, 6, 5, 4, 3, 2, 1, 0], 17),
}


@pytest.mark.parametrize(('cache', 'multi'), ORDER)
def test_versions_have_the_known_order(cache, multi):
    minors, current = ORDER[cache, multi]

    versions = offered_versions(cache=cache, multi_store=multi)

    assert versions == [(f'v2.{minor}', 'CURRENT' if minor == current else 'SUPPORTED')
                     for minor in minors]


@pytest.mark.parametrize('path', ['/', '/v1/images', '/v3', '/v2.18/images', '/nothing/at/all'])
def test_unknown_versions_return_the_list_with_300(no_token, path):
    answer = no_token.get(path, status=300)

    assert answer.content_type == 'application/json'
    assert answer.json['versions'][0] == {
        'id': 'v2.15', 'status': 'SUPPORTED',
        'links': [{'rel': 'self', 'href': 'http://localhost/v2/'}]}


@pytest.mark.parametrize('path', ['/versions', '/versions/', '/versions/v2', '//versions'])
def test_versions_returns_the_list_with_200(no_token, path):
    assert no_token.get(path, status=200).json == no_token.get('/', status=300).json


@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND'])
def test_any_method_returns_the_list(no_token, method):
    assert no_token.request('/', method=method, status=300).json['versions']


def test_the_list_has_no_body_for_head(no_token):
    assert no_token.head('/', status=300).body == b''


@pytest.mark.parametrize('path', ['/v2', '/v2/', '/v2/versions'])
def test_the_root_of_a_version_is_not_found(app, no_token, path):
    no_token.get(path, status=401)
    app.get(path, status=404)


@pytest.mark.parametrize('path', ['/v2.0/images', '/v2.17/images', '/v2.8/images', '//v2/images',
                                  '/v2//images', '/v2.9//images'])
def test_a_minor_version_is_an_alias_and_doubled_slashes_are_one(app, path):
    assert app.get(path).json['first'] == '/v2/images'


@pytest.mark.parametrize('path', ['/v2/images/', '/v2/images/x/', '/v2/images//'])
def test_a_trailing_slash_is_another_path(app, path):
    app.get(path, status=404)


def test_the_media_type_can_select_the_version(app):
    headers = {'Accept': 'application/vnd.openstack.images-v2'}

    assert app.get('/images', headers=headers).json['schema'] == '/v2/schemas/images'
    app.get('/images', headers={'Accept': 'application/vnd.openstack.images-v9'}, status=300)


def test_the_offered_versions_follow_the_settings(variant):
    cached = variant(cache=True)

    cached.get('/v2.18/images', status=200)
    assert cached.get('/versions').json['versions'][0]['id'] == 'v2.18'


def test_links_have_the_public_endpoint(variant):
    app = variant(public_endpoint='https://images.example/image/')

    links = app.get('/versions').json['versions'][0]['links']

    assert links[0]['href'] == 'https://images.example/image/v2/'


@pytest.mark.parametrize(('environ', 'base'), [
    ({'HTTP_HOST': 'h.example:9292', 'SCRIPT_NAME': '/image'}, 'http://h.example:9292/image'),
    ({'HTTP_HOST': 'h.example:443', 'wsgi.url_scheme': 'https'}, 'https://h.example'),
    ({'HTTP_HOST': 'h.example:443', 'wsgi.url_scheme': 'HTTPS'}, 'https://h.example'),
    ({'HTTP_HOST': 'h.example', 'wsgi.url_scheme': 'ftp'}, 'http://h.example'),
    ({'HTTP_HOST': '[2001:db8::80]:80'}, 'http://[2001:db8::80]'),
    ({'HTTP_HOST': 'h.example', 'SCRIPT_NAME': '//image/v//'}, 'http://h.example/image/v'),
    ({'HTTP_HOST': 'h.example', 'SCRIPT_NAME': '/'}, 'http://h.example'),
    ({'HTTP_HOST': 'h.example', 'SCRIPT_NAME': '/a b\xc3\xa9'}, 'http://h.example/a%20b%C3%A9'),
    ({'HTTP_HOST': 'evil.test/"<a>', 'SERVER_NAME': '::1', 'SERVER_PORT': '9292'},
     'http://[::1]:9292'),
])
def test_links_have_host_and_mount_point_of_the_request(wsgi, environ, base):
    app = webtest.TestApp(wsgi, {'HTTP_X_AUTH_TOKEN': 'own', **environ}, lint=False)

    links = app.get('/versions').json['versions'][0]['links']
    location = app.post_json('/v2/images', {}).headers['Location']

    assert links[0]['href'] == f'{base}/v2/'
    assert location.startswith(f'{base}/v2/images/')
