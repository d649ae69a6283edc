"""The service runs in other WSGI servers."""

import contextlib
import http.client
import json
import pathlib
import sys
import urllib.request

import pytest

from glancelite import wsgi
from tests.cmd import programs
from tests.servers import live, process

IMAGE = {'name': 'one', 'disk_format': 'raw', 'container_format': 'bare'}


@contextlib.contextmanager
def serving(home, answers=live.answers):
    """The port of a gunicorn with the configuration in ``home``; its log is there, too."""
    port = process.free_port()
    gunicorn = pathlib.Path(sys.executable).with_name('gunicorn')
    with process.running(
            [gunicorn, '--bind', f'127.0.0.1:{port}', '--threads', '2',
             'glancelite.wsgi:application'],
            answers=lambda: answers(port), log=home / 'log', cwd=home, env=live.private(home)):
        yield port


@pytest.fixture(scope='module')
def port():
    with process.directory('wsgi') as home, serving(home) as port:
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


def _get(port):
    connection = http.client.HTTPConnection('127.0.0.1', port)
    connection.request('GET', '/v2/images')
    reply = connection.getresponse()
    found = reply.status, reply.read().decode()
    connection.close()
    return found


def test_a_configuration_error_is_logged_as_a_sentence_and_can_be_fixed(tmp_path):
    file = tmp_path / 'glancelite-api.conf'
    live.write_config(file, {
        'DEFAULT': {'enabled_backends': 'memory:memory', 'surplus': '1'},
        'glance_store': {'default_backend': 'memory'}, 'layers': {'auth': 'noauth'},
        'database': {'connection': f'sqlite:///{tmp_path}/images.sqlite'}})

    with serving(tmp_path, lambda port: _get(port)[0] == 500) as port:
        assert _get(port) == (
            500, 'The service cannot start with its configuration; see its log.\n')
        log = (tmp_path / 'log').read_text()
        assert 'run: glancelite-manage db sync' in log
        assert 'not used by glancelite: [DEFAULT] surplus' in log
        assert 'Traceback' not in log

        programs.run('manage', ['--config-file', file, 'db', 'sync'], tmp_path)

        assert _get(port)[0] == 200


@pytest.fixture
def call():
    """``call(**environ)``: the status of the response, and the environ that the service got."""
    def call_(**environ):
        class Built(wsgi.Application):
            def _build(self):
                self._app = service

        def service(environ, start_response):
            received.update(environ)
            start_response('200 OK', [])
            return [b'']

        statuses, received = [], {}
        b''.join(Built()(environ, lambda status, headers: statuses.append(status)))
        return statuses[0], received
    return call_


def test_a_body_of_unknown_length_is_rejected(call):
    assert call(HTTP_TRANSFER_ENCODING='chunked') == ('411 Length Required', {})


@pytest.mark.parametrize('environ', [
    {'HTTP_TRANSFER_ENCODING': 'chunked', 'wsgi.input_terminated': True},
    {'HTTP_TRANSFER_ENCODING': 'chunked', 'uwsgi.version': b'2.0.31'},
    {'CONTENT_LENGTH': '5'}])
def test_a_body_of_known_end_is_passed_on(environ, call):
    assert call(**environ) == ('200 OK', environ)


def test_a_body_that_nginx_has_decoded_for_uwsgi_has_a_length(call):
    environ = {'CONTENT_LENGTH': '5', 'uwsgi.version': b'2.0.31'}

    assert call(HTTP_TRANSFER_ENCODING='chunked', **environ) == ('200 OK', environ)
