"""No connection to the database waits for a slow client."""

import contextlib
import http.client
import json
import os
import socket
import time

import pytest

PATIENCE = 20
#: more than the buffers of a connection take
DATA = os.urandom(1 << 20) * 30


@pytest.fixture
def server(live_server, fresh_postgres, tmp_path):
    """Has one connection to the database, which nobody waits for longer than three seconds."""
    return live_server({
        'DEFAULT': {'workers': '1', 'enabled_backends': 'file:file'},
        'glance_store': {'default_backend': 'file'},
        'file': {'filesystem_store_datadir': tmp_path / 'images'},
        'database': {'connection': fresh_postgres, 'max_pool_size': '1',
                     'max_overflow': '0', 'pool_timeout': '3'},
        'layers': {'auth': 'noauth', 'sync_database': 'true'},
    })


def ask(server, method, path, body=None, kind='application/json'):
    """Status and text of an answer, on a connection of its own."""
    with contextlib.closing(http.client.HTTPConnection(
            '127.0.0.1', server.port, timeout=PATIENCE)) as connection:
        connection.request(method, path, body, {'Content-Type': kind})
        answer = connection.getresponse()
        return answer.status, answer.read()


def made(server):
    """The path of a new image."""
    status, text = ask(server, 'POST', '/v2/images', json.dumps(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    assert status == 201, text
    return f'/v2/images/{json.loads(text)["id"]}'


@contextlib.contextmanager
def begun(server, method, path, *lines, rest=b''):
    """A request on a connection that takes little at a time."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(('127.0.0.1', server.port))
        head = [f'{method} {path} HTTP/1.1', 'Host: localhost', 'Connection: close', *lines]
        client.sendall('\r\n'.join([*head, '', '']).encode() + rest)
        yield client


def status_of(server, path):
    status, text = ask(server, 'GET', path)
    assert status == 200, text
    return json.loads(text)['status']


def test_transfers_hold_no_connection_to_the_database(server):
    active, filled = made(server), made(server)
    assert ask(server, 'PUT', f'{active}/file', DATA, 'application/octet-stream')[0] == 204
    with (begun(server, 'GET', f'{active}/file') as download,
          begun(server, 'PUT', f'{filled}/file', 'Content-Type: application/octet-stream',
                'Transfer-Encoding: chunked', rest=b'5\r\nbegun\r\n') as upload):
        received = download.recv(1024)
        assert received.startswith(b'HTTP/1.1 200 ')
        deadline = time.monotonic() + PATIENCE
        while status_of(server, filled) != 'saving' and time.monotonic() < deadline:
            time.sleep(0.05)

        assert [status_of(server, filled) for _ in range(5)] == ['saving'] * 5
        assert status_of(server, active) == 'active'

        upload.sendall(b'0\r\n\r\n')
        assert upload.recv(1024).startswith(b'HTTP/1.1 204 ')
        assert status_of(server, filled) == 'active'
        received = len(received)
        while piece := download.recv(1 << 16):
            received += len(piece)
        assert received > len(DATA)
