"""The gunicorn example serves requests while an upload stands still."""

import socket
import sys

import pytest

from tests.contrib import examples
from tests.servers import live, process

CONFIG = {
    'DEFAULT': {'enabled_backends': 'memory:memory'},
    'glance_store': {'default_backend': 'memory'},
    'layers': {'auth': 'noauth', 'database': 'memory', 'inspector': ''},
}


@pytest.fixture
def port():
    with process.directory('gunicorn') as home:
        port = process.free_port()
        live.write_config(home / 'glancelite-api.conf', CONFIG)
        (home / 'glancelite.conf.py').write_text(examples.adapted(
            'gunicorn/glancelite.conf.py', {
                '0.0.0.0:9292': f'127.0.0.1:{port}', 'workers = 4': 'workers = 1'}))
        with process.running(
                [sys.executable, '-m', 'gunicorn', '--config', home / 'glancelite.conf.py',
                 'glancelite.wsgi:application'],
                answers=lambda: live.answers(port), log=home / 'log', cwd=home,
                env=live.private(home)):
            yield port


def test_requests_are_answered_while_uploads_stand_still(port):
    path, _ = examples.create(port)
    with socket.create_connection(('127.0.0.1', port)) as silent:
        silent.sendall(f'PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n'
                       'Content-Type: application/octet-stream\r\n\r\nabc'.encode())

        assert examples.request(port, 'GET', '/v2/images')[0] == 200


def test_a_part_of_an_image_is_refused(port):
    path, _ = examples.create(port)

    assert examples.upload(port, path, b'abcd', **{'Content-Range': 'bytes 0-3/8'}) == 400
    assert examples.upload(port, path, iter([b'ab', b'cd'])) == 204
