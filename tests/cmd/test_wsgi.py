"""The service runs in a WSGI container that is not its own server."""

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
    """The port of a gunicorn that reads the configuration in ``home``; its log is beside that."""
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


def test_a_mistake_is_logged_as_a_sentence_and_can_be_mended(tmp_path):
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
def asked():
    """Asks the module for an answer; gives its status and what the service got to see."""
    def ask(**environ):
        class Built(wsgi.Application):
            def _build(self):
                self._app = service

        def service(environ, start_response):
            seen.update(environ)
            start_response('200 OK', [])
            return [b'']

        said, seen = [], {}
        b''.join(Built()(environ, lambda status, headers: said.append(status)))
        return said[0], seen
    return ask


def test_a_body_whose_end_is_unknown_is_refused(asked):
    assert asked(HTTP_TRANSFER_ENCODING='chunked') == ('411 Length Required', {})


@pytest.mark.parametrize('environ', [
    {'HTTP_TRANSFER_ENCODING': 'chunked', 'wsgi.input_terminated': True},
    {'HTTP_TRANSFER_ENCODING': 'chunked', 'uwsgi.version': b'2.0.31'},
    {'CONTENT_LENGTH': '5'}])
def test_a_body_whose_end_can_be_found_goes_through(environ, asked):
    assert asked(**environ) == ('200 OK', environ)


def test_chunks_that_nginx_has_collected_for_uwsgi_are_a_body_with_a_length(asked):
    told = {'CONTENT_LENGTH': '5', 'uwsgi.version': b'2.0.31'}

    assert asked(HTTP_TRANSFER_ENCODING='chunked', **told) == ('200 OK', told)
