"""The responses of this service, compared with those that Glance 33 gave to the same requests.

Each row is a request and its response: status, headers and body.  ``error`` stands for any
error.  Requests to which Glance responds wrongly have no row.  A path may name an image:
``{queued}``, ``{active}``, ``{deactivated}``, ``{empty}``, ``{shared}`` (with the project
``other``, which has accepted, and ``third``, which has not), ``{private}``, ``{public}``,
``{community}`` and ``{protected}``, all of the project ``own``.
"""

import json

import pytest

from tests.api.conftest import client

V21 = {'Content-Type': 'application/openstack-images-v2.1-json-patch'}
V20 = {'Content-Type': 'application/openstack-images-v2.0-json-patch'}
DATA = {'Content-Type': 'application/octet-stream'}
BOTH = {'Accept-Patch': f'{V20["Content-Type"]}, {V21["Content-Type"]}'}
MD5 = 'a925576942e94b2ef57a066101b48876'

CALLERS = {
    'own': 'own', 'reader': 'own:reader', 'blind': 'own:member', 'nothing': 'own:none',
    'other': 'other', 'third': 'third', 'stranger': 'stranger', 'admin': 'admins:admin',
    'no_token': None,
}
IMAGE = frozenset((
    'name', 'disk_format', 'container_format', 'visibility', 'size', 'virtual_size', 'status',
    'checksum', 'protected', 'min_ram', 'min_disk', 'owner', 'os_hidden', 'os_hash_algo',
    'os_hash_value', 'id', 'created_at', 'updated_at', 'tags', 'self', 'file', 'schema'))
PAGE = frozenset(('images', 'first', 'schema'))
MEMBER = frozenset(('member_id', 'image_id', 'status', 'created_at', 'updated_at', 'schema'))


def patch(op, path, *value):
    return [{'op': op, 'path': path, **({'value': value[0]} if value else {})}]


#: method, path, caller, headers, body; status, headers and body of the response:
#: a part of its JSON, or the set of its names, or its bytes; None for any
ROWS = [
    # versions and paths
    ('GET', '/', 'no_token', {}, None, 300, {'Content-Type': 'application/json'}, {'versions'}),
    ('GET', '/versions/x/y', 'no_token', {}, None, 200, {}, {'versions'}),
    ('GET', '/v2.99/images', 'no_token', {}, None, 300, {}, {'versions'}),
    ('GET', '/v2.07/images', 'own', {}, None, 300, {}, {'versions'}),
    ('GET', '/v2.7/images?limit=0', 'own', {}, None, 200, {}, PAGE),
    ('GET', '//v2//images?limit=0', 'own', {}, None, 200, {}, PAGE),
    ('GET', '/v2/images/', 'own', {}, None, 404, {}, 'error'),
    ('GET', '/images?limit=0', 'own', {'Accept': 'application/vnd.openstack.images-v2.5'}, None,
     200, {}, PAGE),
    ('GET', '/v2/nope', 'no_token', {}, None, 401, {}, 'error'),
    ('FOO', '/v2/nope', 'own', {}, None, 501, {}, 'error'),
    ('FOO', '/v2/images', 'own', {}, None, 405, {'Allow': 'GET, POST'}, 'error'),
    ('HEAD', '/v2/images', 'own', {}, None, 405, {'Allow': 'GET, POST'}, b''),
    ('PUT', '/v2/images/x', 'own', {}, '{}', 405, {'Allow': 'GET, PATCH, DELETE'}, 'error'),
    ('POST', '/v2/images/x/file', 'own', {}, None, 405, {'Allow': 'GET, PUT'}, 'error'),
    ('GET', '/v2/images/x/tags/t', 'own', {}, None, 405, {'Allow': 'PUT, DELETE'}, 'error'),
    ('DELETE', '/v2/info/usage', 'own', {}, None, 404, {}, 'error'),
    ('GET', '/v2/schemas/image', 'nothing', {}, None, 200, {},
     {'name', 'properties', 'additionalProperties', 'links'}),
    ('GET', '/v2/schemas/location', 'own', {}, None, 404, {}, 'error'),
    # the form of errors
    ('GET', '/v2/images/x', 'own', {'Accept': '*/*'}, None, 404,
     {'Content-Type': 'text/html; charset=UTF-8'}, 'error'),
    ('GET', '/v2/images/x', 'own', {'Accept': 'image/png'}, None, 404,
     {'Content-Type': 'text/plain; charset=UTF-8'}, 'error'),
    ('GET', '/v2/images/x', 'own', {'Accept': ''}, None, 404,
     {'Content-Type': 'text/plain; charset=UTF-8'}, 'error'),
    ('GET', '/v2/images/x', 'own', {'Accept': 'text/html;q=0.5, application/json'}, None, 404,
     {'Content-Type': 'application/json'}, {'code': '404 Not Found', 'title': 'Not Found'}),
    ('GET', '/v2/images/{active}/file', 'own', {'Accept': 'application/json', 'Range': 'x'}, None,
     416, {}, {'code': '416 Request Range Not Satisfiable'}),
    # bodies
    ('GET', '/v2/images/{queued}', 'own', {}, 'x', 400, {}, 'error'),
    ('GET', '/v2/images?limit=0', 'own', {}, 'x', 200, {}, PAGE),
    ('POST', '/v2/images', 'own', {}, None, 400, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '1', 400, {}, 'error'),
    ('POST', '/v2/images', 'own', {'Content-Type': 'text/plain'}, '{"min_ram": 1e2}', 201, {},
     {'min_ram': 100, 'status': 'queued', 'visibility': 'shared', 'tags': []}),
    ('POST', '/v2/images/{active}/actions/deactivate', 'own', {}, '{}', 400, {}, 'error'),
    ('PUT', '/v2/images/{queued}/tags/x', 'own', {}, '{}', 400, {}, 'error'),
    # creation
    ('POST', '/v2/images', 'own', {}, '{"status": "bogus"}', 400, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"status": "active"}', 403, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"self": "x", "min_ram": "x"}', 403, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"location": "x", "min_ram": "y"}', 400, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"os_glance_x": "x"}', 403, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"min_ram": 2147483648}', 400, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"size": 1, "visibility": "public"}', 403, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"owner": "other"}', 403, {}, 'error'),
    ('POST', '/v2/images', 'admin', {}, '{"owner": null}', 201, {}, {'owner': None}),
    ('POST', '/v2/images', 'reader', {}, '{}', 403, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"protected": "true"}', 400, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"name": "\U0001f600"}', 400, {}, 'error'),
    ('POST', '/v2/images', 'own', {}, '{"visibility": "community"}', 201, {}, IMAGE),
    # patches
    ('PATCH', '/v2/images/x', 'own', V21, patch('add', '/id', 'x'), 403, {}, 'error'),
    ('PATCH', '/v2/images/x', 'own', V21, patch('add', '/a'), 400, {}, 'error'),
    ('PATCH', '/v2/images/{queued}', 'own', {'Content-Type': 'application/json'}, [], 415, BOTH,
     'error'),
    ('PATCH', '/v2/images/{queued}', 'own', V21, [], 200, {}, IMAGE | {'foo'}),
    ('PATCH', '/v2/images/{queued}', 'own', V21, patch('add', '/tags/-', 'x'), 400, {}, 'error'),
    ('PATCH', '/v2/images/{queued}', 'own', V21, patch('remove', '/name'), 403, {}, 'error'),
    ('PATCH', '/v2/images/{queued}', 'own', V21, patch('remove', '/bar'), 409, {}, 'error'),
    ('PATCH', '/v2/images/{queued}', 'own', V21, patch('add', '/foo', 'y'), 200, {},
     {'foo': 'y'}),
    ('PATCH', '/v2/images/{queued}', 'own', V21, patch('add', '/a~1b', 'y'), 200, {},
     {'a/b': 'y'}),
    ('PATCH', '/v2/images/{queued}', 'own', V21, patch('add', '/a~2b', 'y'), 400, {}, 'error'),
    ('PATCH', '/v2/images/{queued}', 'own', V21, patch('move', '/foo', 'y'), 400, {}, 'error'),
    ('PATCH', '/v2/images/{queued}', 'own', V21, patch('add', '/locations/-', {
        'url': 'file:///x', 'metadata': {}}), 403, {}, 'error'),
    ('PATCH', '/v2/images/{queued}', 'own', V20, [{'add': '/foo', 'value': 'y'}], 409, {},
     'error'),
    ('PATCH', '/v2/images/{queued}', 'own', V20, [{'add': '/x', 'remove': '/foo', 'value': 'y'}],
     400, {}, 'error'),
    ('PATCH', '/v2/images/{active}', 'own', V21, patch('replace', '/disk_format', 'iso'), 403,
     {}, 'error'),
    ('PATCH', '/v2/images/{public}', 'other', V21, patch('add', '/a', 'b'), 403, {}, 'error'),
    ('PATCH', '/v2/images/{public}', 'other', V21, [], 200, {}, {'visibility': 'public'}),
    ('PATCH', '/v2/images/{public}', 'own', V21, patch('replace', '/visibility', 'public'), 403,
     {}, 'error'),
    ('PATCH', '/v2/images/{private}', 'other', V21, [], 404, {}, 'error'),
    ('PATCH', '/v2/images/{protected}', 'own', V21, patch('add', '/a', 'b'), 200, {},
     {'a': 'b'}),
    ('DELETE', '/v2/images/{protected}', 'own', {}, None, 403, {}, 'error'),
    ('DELETE', '/v2/images/{public}', 'other', {}, None, 403, {}, 'error'),
    # lists
    ('GET', '/v2/images', 'blind', {}, None, 403, {}, 'error'),
    ('GET', '/v2/images?limit=+1', 'own', {}, None, 200, {}, PAGE | {'next'}),
    ('GET', '/v2/images?limit=-1', 'own', {}, None, 400, {}, 'error'),
    ('GET', '/v2/images?marker={private}', 'other', {}, None, 403, {}, 'error'),
    ('GET', '/v2/images?marker=x', 'own', {}, None, 400, {}, 'error'),
    ('GET', '/v2/images?name=in:"a,b', 'own', {}, None, 400, {}, 'error'),
    ('GET', r'/v2/images?name=in:\"a', 'own', {}, None, 200, {}, {'images': []}),
    ('GET', '/v2/images?name=x:y', 'own', {}, None, 400, {}, 'error'),
    ('GET', '/v2/images?foo=in:bar', 'own', {}, None, 200, {}, {'images': []}),
    ('GET', '/v2/images?created_at=lt:2000', 'own', {}, None, 200, {}, {'images': []}),
    ('GET', '/v2/images?created_at=gt:2000-W01-1', 'own', {}, None, 400, {}, 'error'),
    ('GET', '/v2/images?protected=True', 'own', {}, None, 400, {}, 'error'),
    ('GET', '/v2/images?os_hidden=TRUE', 'own', {}, None, 200, {}, {'images': []}),
    ('GET', '/v2/images?sort=name&sort_key=id', 'own', {}, None, 400, {}, 'error'),
    ('GET', '/v2/images?sort_key=name&sort_dir=asc&sort_dir=asc', 'own', {}, None, 400, {},
     'error'),
    # uploads
    ('PUT', '/v2/images/x/file', 'own', {'Content-Type': 'text/plain'}, 'x', 415, {}, 'error'),
    ('PUT', '/v2/images/{queued}/file', 'own', {**DATA, 'x-openstack-image-size': '2'}, 'x', 400,
     {}, 'error'),
    ('PUT', '/v2/images/{queued}/file', 'own', {**DATA, 'x-image-meta-store': 'no'}, 'x', 400,
     {}, 'error'),
    ('PUT', '/v2/images/{queued}/file', 'own', DATA, '', 204, {}, b''),
    ('PUT', '/v2/images/{active}/file', 'own', DATA, 'x', 409, {}, 'error'),
    ('PUT', '/v2/images/{public}/file', 'other', DATA, 'x', 403, {}, 'error'),
    # downloads
    ('GET', '/v2/images/{active}/file', 'own', {'Accept': 'text/html'}, None, 200,
     {'Content-Type': 'application/octet-stream', 'Content-Length': '10', 'Content-MD5': MD5},
     b'abcdefghij'),
    ('GET', '/v2/images/{queued}/file', 'own', {}, None, 204, {}, b''),
    ('GET', '/v2/images/{active}/file', 'own', {'Range': 'bytes=2-99'}, None, 206,
     {'Content-Range': 'bytes 2-9/10', 'Content-MD5': MD5}, b'cdefghij'),
    ('GET', '/v2/images/{active}/file', 'own', {'Range': 'bytes=-99'}, None, 206,
     {'Content-Range': 'bytes 0-9/10'}, b'abcdefghij'),
    ('GET', '/v2/images/{active}/file', 'own', {'Range': 'bytes=0-1,3-4'}, None, 400, {},
     'error'),
    ('GET', '/v2/images/{active}/file', 'own', {'Range': ''}, None, 416, {}, 'error'),
    ('GET', '/v2/images/{active}/file', 'own', {'Content-Range': 'bytes 1-2/*'}, None, 206,
     {'Content-Range': 'bytes 1-2/10'}, b'bc'),
    ('GET', '/v2/images/{empty}/file', 'own', {'Range': 'bytes=0-'}, None, 416, {}, 'error'),
    ('GET', '/v2/images/{public}/file', 'reader', {}, None, 403, {}, 'error'),
    ('GET', '/v2/images/{public}/file', 'stranger', {}, None, 200, {}, b'abcdefghij'),
    ('GET', '/v2/images/{deactivated}/file', 'own', {}, None, 403, {}, 'error'),
    ('GET', '/v2/images/{deactivated}/file', 'admin', {}, None, 200, {}, b'abcdefghij'),
    ('POST', '/v2/images/{deactivated}/actions/deactivate', 'own', {}, None, 204, {}, b''),
    ('POST', '/v2/images/{queued}/actions/reactivate', 'own', {}, None, 403, {}, 'error'),
    # members and tags
    ('POST', '/v2/images/{private}/members', 'own', {}, '{"member": "x"}', 403, {}, 'error'),
    ('POST', '/v2/images/{shared}/members', 'own', {}, '{"member": "x"}', 200, {}, MEMBER),
    ('POST', '/v2/images/{shared}/members', 'own', {}, '{"member": "other"}', 409, {}, 'error'),
    ('POST', '/v2/images/{shared}/members', 'blind', {}, '{"member": "x"}', 404, {}, 'error'),
    ('GET', '/v2/images/{public}/members', 'nothing', {}, None, 403, {}, 'error'),
    ('GET', '/v2/images/{public}/members/x', 'own', {}, None, 404, {}, 'error'),
    ('GET', '/v2/images/{shared}/members', 'stranger', {}, None, 404, {}, 'error'),
    ('PUT', '/v2/images/{shared}/members/other', 'own', {}, '{"status": "maybe"}', 403, {},
     'error'),
    ('PUT', '/v2/images/{shared}/members/other', 'other', {}, '{"status": "maybe"}', 400, {},
     'error'),
    ('PUT', '/v2/images/{shared}/members/third', 'other', {}, '{"status": "rejected"}', 404, {},
     'error'),
    ('PUT', '/v2/images/{shared}/members/third', 'third', {}, '{"status": "rejected"}', 200, {},
     {'status': 'rejected', 'member_id': 'third'}),
    ('DELETE', '/v2/images/{shared}/members/other', 'other', {}, None, 403, {}, 'error'),
    ('DELETE', '/v2/images/{shared}/members/third', 'other', {}, None, 404, {}, 'error'),
    ('PUT', '/v2/images/{queued}/tags/a%20b', 'own', {}, None, 204, {}, b''),
    ('PUT', '/v2/images/{queued}/tags/a%2Fb', 'own', {}, None, 404, {}, 'error'),
    ('PUT', '/v2/images/{queued}/tags/' + 'x' * 256, 'own', {}, None, 400, {}, 'error'),
    ('DELETE', '/v2/images/{queued}/tags/none', 'own', {}, None, 404, {}, 'error'),
    ('PUT', '/v2/images/{public}/tags/x', 'other', {}, None, 403, {}, 'error'),
]


@pytest.fixture
def images(wsgi, app, admin, new, upload):
    """Creates the image that a path names."""
    def register(name):
        attributes = {'foo': 'bar'} if name == 'queued' else {}
        if name in ('private', 'community', 'shared'):
            attributes['visibility'] = name
        if name == 'protected':
            attributes['protected'] = True
        image = new(**attributes)
        if name in ('active', 'deactivated', 'public', 'community', 'empty'):
            upload(image, b'' if name == 'empty' else b'abcdefghij')
        if name == 'public':
            admin.patch_json(f'/v2/images/{image}', patch('replace', '/visibility', name),
                             content_type=V21['Content-Type'])
        if name == 'deactivated':
            app.post(f'/v2/images/{image}/actions/deactivate')
        if name == 'shared':
            for member in ('other', 'third'):
                app.post_json(f'/v2/images/{image}/members', {'member': member})
            client(wsgi, 'other').put_json(f'/v2/images/{image}/members/other',
                                           {'status': 'accepted'})
        return image

    return register


def _label(row):
    method, path, caller, headers, body, status, *_ = row
    sent = ''.join(f' {name}={value}' for name, value in headers.items() if name != 'Content-Type')
    return f'{status} {method} {path[:60]} as {caller}{sent[:40]} {str(body or "")[:40]}'


@pytest.mark.parametrize('row', ROWS, ids=_label)
def test_a_request_gets_the_response_of_glance(row, wsgi, images, new):
    method, path, caller, headers, body, status, expected, content = row
    new(), new()
    before, brace, rest = path.partition('{')
    if brace:
        name, _, after = rest.partition('}')
        path = f'{before}{images(name)}{after}'

    answer = ask(wsgi, method, path, CALLERS[caller], headers, body)

    assert answer.status_int == status
    for name, value in expected.items():
        assert answer.headers[name] == value
    check(answer, content)


def ask(wsgi, method, path, token, headers, body):
    app = client(wsgi, token)
    if token is None:
        del app.extra_environ['HTTP_X_AUTH_TOKEN']
    body = body if isinstance(body, str) else json.dumps(body) if body is not None else ''
    return app.request(path.replace('"', '%22'), method=method, headers=headers,
                       body=body.encode(), expect_errors=True)


def check(answer, content):
    if content == 'error':
        assert answer.body
    elif isinstance(content, bytes):
        assert answer.body == content
    elif isinstance(content, dict):
        members = answer.json
        assert {name: members.get(name, 'nothing') for name in content} == content
    else:
        assert set(answer.json) == content
