"""The deletion of an image ends the requests that send its data."""

import contextlib
import json
import socket

import pytest

from tests.cmd.requests import ask, create
from tests.servers import process

TIMEOUT = 20
SIZED = ('Content-Length: 100000', b'some')
CHUNKED = ('Transfer-Encoding: chunked', b'4\r\nsome\r\n')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The directory of the store, the staging area and the database."""
    return tmp_path_factory.mktemp('stores')


@pytest.fixture(scope='module')
def server(run_server, folder):
    with run_server({
        'DEFAULT': {'workers': '1', 'threads': '10', 'enabled_backends': 'file:file'},
        'glance_store': {'default_backend': 'file'},
        'file': {'filesystem_store_datadir': folder / 'images'},
        'os_glance_staging_store': {'filesystem_store_datadir': folder / 'staging'},
        'database': {'connection': f'sqlite:///{folder}/records.sqlite'},
        'layers': {'auth': 'noauth', 'sync_database': 'true'},
    }, program='glancelite-api-watching') as server:
        yield server


def status_of(server, path):
    return json.loads(ask(server, 'GET', path)[1])['status']


def files(folder):
    """Files with data, also such as are not complete."""
    return [path for path in folder.rglob('*')
            if path.is_file() and not path.name.startswith('records.')]


@contextlib.contextmanager
def begun(server, image, what, length, sent):
    """A request that sends data, and waits."""
    with socket.create_connection(('127.0.0.1', server.port), TIMEOUT) as client:
        client.sendall('\r\n'.join([
            f'PUT {image}/{what} HTTP/1.1', 'Host: localhost', length,
            'Content-Type: application/octet-stream', '', '']).encode() + sent)
        status = {'file': 'saving', 'stage': 'uploading'}[what]
        assert process.until(lambda: status_of(server, image) == status)
        yield client


def read_all(client):
    return b''.join(iter(lambda: client.recv(1 << 16), b''))


@pytest.mark.parametrize(('length', 'sent'), [SIZED, CHUNKED, (CHUNKED[0], b'')],
                         ids=['sized', 'chunked', 'nothing'])
@pytest.mark.parametrize('what', ['file', 'stage'])
def test_a_client_that_is_silent_reads_at_once_that_the_image_was_deleted(
        server, folder, what, length, sent):
    image, other = create(server), create(server)
    with (begun(server, image, what, length, sent) as client,
          begun(server, other, what, length, sent) as waiting):
        assert ask(server, 'DELETE', image)[0] == 204
        answer = read_all(client)

        assert answer.startswith(b'HTTP/1.1 410 ')
        assert b'Connection: close' in answer
        assert b'was deleted' in answer
        assert ask(server, 'GET', image)[0] == 404
        assert status_of(server, other) in ('saving', 'uploading')
        assert ask(server, 'DELETE', other)[0] == 204
        assert read_all(waiting).startswith(b'HTTP/1.1 410 ')
    assert files(folder) == []


@pytest.mark.parametrize('what', ['file', 'stage'])
def test_a_client_that_sends_reads_that_the_image_was_deleted(server, folder, what):
    image = create(server)
    with begun(server, image, what, *CHUNKED) as client:
        assert ask(server, 'DELETE', image)[0] == 204
        client.settimeout(0.005)
        for _ in range(2000):
            with contextlib.suppress(TimeoutError):
                answer = client.recv(1 << 16)
                break
            client.sendall(b'1000\r\n' + bytes(4096) + b'\r\n')

    assert answer.startswith(b'HTTP/1.1 410 ')
    assert files(folder) == []


@pytest.mark.parametrize(('what', 'status'), [('file', b'active'), ('stage', b'uploading')])
def test_a_client_that_pauses_is_not_disturbed(server, folder, what, status):
    image = create(server)
    with begun(server, image, what, *CHUNKED) as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(TIMEOUT)
        client.sendall(b'0\r\n\r\n')

        assert client.recv(1 << 16).startswith(b'HTTP/1.1 204 ')
    assert status_of(server, image).encode() == status
    assert ask(server, 'DELETE', image)[0] == 204
    assert files(folder) == []
