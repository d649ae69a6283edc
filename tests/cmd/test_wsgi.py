"""The service runs in a WSGI container that is not its own server."""

import http.client
import json
import pathlib
import sys
import urllib.request

import pytest

from glancelite import wsgi
from tests.servers import live, process

IMAGE = {'name': 'one', 'disk_format': 'raw', 'container_format': 'bare'}


@pytest.fixture(scope='module')
def port():
    port = process.free_port()
    gunicorn = pathlib.Path(sys.executable).with_name('gunicorn')
    with process.directory('wsgi') as home, process.running(
            [gunicorn, '--bind', f'127.0.0.1:{port}', '--threads', '2',
             'glancelite.wsgi:application'],
            answers=lambda: live.answers(port), log=home / 'log', cwd=home,
            env=live.private(home)):
        yield port


def _create(port):
    request = urllib.request.Request(
        f'http://127.0.0.1:{port}/v2/images', json.dumps(IMAGE).encode(),
        {'Content-Type': 'application/json'})
    with urllib.request.urlopen(request) as reply:
        return f'/v2/images/{json.load(reply)["id"]}/file'


def test_a_chunked_upload_arrives_whole_in_gunicorn(port):
    path = _create(port)
    connection = http.client.HTTPConnection('127.0.0.1', port)

    connection.request('PUT', path, iter([b'12', b'345']),
                       {'Content-Type': 'application/octet-stream'})
    status = connection.getresponse().status
    connection.close()

    assert status == 204
    with urllib.request.urlopen(f'http://127.0.0.1:{port}{path}') as reply:
        assert reply.read() == b'12345'


@pytest.mark.parametrize(('environ', 'status'), [
    ({'HTTP_TRANSFER_ENCODING': 'chunked'}, '411 Length Required'),
    ({'HTTP_TRANSFER_ENCODING': 'chunked', 'wsgi.input_terminated': True}, '200 OK'),
    ({'CONTENT_LENGTH': '5'}, '200 OK'),
])
def test_a_body_whose_end_is_unknown_is_refused(environ, status):
    class Built(wsgi.Application):
        def _build(self):
            self._app = lambda environ, start_response: start_response('200 OK', []) or [b'']

    said = []
    b''.join(Built()(environ, lambda status, headers: said.append(status)))

    assert said == [status]
