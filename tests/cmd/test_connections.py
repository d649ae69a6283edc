"""No database connection is held during transfers with slow clients."""

import contextlib
import json
import os
import socket

import pytest

from tests.cmd.requests import ask, create
from tests.servers import process

TIMEOUT = 20
#: larger than the buffers of a connection
DATA = os.urandom(1 << 20) * 30


@pytest.fixture
def server(live_server, fresh_postgres, tmp_path):
    """A server with one database connection, and a pool timeout of three seconds."""
    return live_server({
        'DEFAULT': {'workers': '1', 'enabled_backends': 'file:file'},
        'glance_store': {'default_backend': 'file'},
        'file': {'filesystem_store_datadir': tmp_path / 'images'},
        'database': {'connection': fresh_postgres, 'max_pool_size': '1',
                     'max_overflow': '0', 'pool_timeout': '3'},
        'layers': {'auth': 'noauth', 'sync_database': 'true'},
    })


@contextlib.contextmanager
def begin(server, method, path, *lines, rest=b''):
    """Begin a request on a connection with a small receive buffer."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(TIMEOUT)
        client.connect(('127.0.0.1', server.port))
        head = [f'{method} {path} HTTP/1.1', 'Host: localhost', 'Connection: close', *lines]
        client.sendall('\r\n'.join([*head, '', '']).encode() + rest)
        yield client


def status_of(server, path):
    status, text = ask(server, 'GET', path)
    assert status == 200, text
    return json.loads(text)['status']


def test_transfers_hold_no_connection_to_the_database(server):
    active, filled = create(server), create(server)
    assert ask(server, 'PUT', f'{active}/file', DATA, 'application/octet-stream')[0] == 204
    with (begin(server, 'GET', f'{active}/file') as download,
          begin(server, 'PUT', f'{filled}/file', 'Content-Type: application/octet-stream',
                'Transfer-Encoding: chunked', rest=b'5\r\nbegun\r\n') as upload):
        received = download.recv(1024)
        assert received.startswith(b'HTTP/1.1 200 ')
        process.until(lambda: status_of(server, filled) == 'saving')

        assert [status_of(server, filled) for _ in range(5)] == ['saving'] * 5
        assert status_of(server, active) == 'active'

        upload.sendall(b'0\r\n\r\n')
        assert upload.recv(1024).startswith(b'HTTP/1.1 204 ')
        assert status_of(server, filled) == 'active'
        received = len(received)
        while piece := download.recv(1 << 16):
            received += len(piece)
        assert received > len(DATA)
