"""Responses: framing, files, errors."""

import contextlib
import hashlib
import json
import os
import socket
import struct
import types

import pytest

from glancelite.server import body, connection, response
from tests.server.conftest import read_all

DATA = os.urandom(1 << 20) * 40


@pytest.fixture(scope='module', params=['plain', 'tls'])
def files(request):
    """A server, with and without TLS, that has ``data``."""
    server = request.getfixturevalue('start' if request.param == 'plain' else 'start_tls')()
    (server.folder / 'data').write_bytes(DATA)
    return server


@pytest.fixture
def position(files):
    """``position()``: the position of the last file when it was closed."""
    record = files.folder / 'position'
    record.unlink(missing_ok=True)

    def position_():
        return int(files.written('position'))

    return position_


# --- files

def test_a_file_is_sent_completely(files, position):
    status, _, body = files.get(f'/file?length={len(DATA)}')

    assert status == 200
    assert hashlib.sha256(body).digest() == hashlib.sha256(DATA).digest()
    assert position() == len(DATA)


@pytest.mark.parametrize('buffer', ['-1', '0'])
def test_a_range_is_sent_and_the_connection_is_kept(files, buffer, position):
    with files.http() as http:
        for offset, length in ((5, 1), (1_000_001, 3_000_000), (len(DATA) - 7, 7), (9, 0)):
            http.request('GET', f'/file?offset={offset}&length={length}&buffer={buffer}')
            body = http.getresponse().read()

            assert body == DATA[offset:offset + length]
            assert position() == offset + length
            (files.folder / 'position').unlink()


def test_a_file_without_content_length_is_sent_to_its_end(files):
    _, headers, body = files.get(f'/file?offset={len(DATA) - 1000}')

    assert headers['Content-Length'] == '1000'
    assert body == DATA[-1000:]


def test_a_file_that_is_too_short_ends_the_connection(files, position):
    with files.connect() as sock:
        sock.sendall(f'GET /file?offset={len(DATA) - 9}&length=10 HTTP/1.1\r\n'
                     'Host: lab\r\n\r\n'.encode())
        body = read_all(sock).split(b'\r\n\r\n', 1)[1]

    assert body == DATA[-9:]
    assert position() == len(DATA)


def test_only_the_head_of_a_file_is_sent_for_head(files, position):
    status, headers, body = files.get('/file?offset=3&length=100', 'HEAD')

    assert (status, headers['Content-Length'], body) == (200, '100', b'')
    assert position() == 3


@pytest.mark.parametrize('failure', [None, OSError('broken'), ConnectionResetError('gone')])
def test_the_socket_is_corked_only_while_a_file_is_sent(
        tmp_path, monkeypatch, failure):
    """Otherwise the end of the next response would be delayed by 0.2 seconds."""
    real, corked = os.sendfile, []
    (tmp_path / 'data').write_bytes(DATA[:100_000])

    def sends(out, *arguments):
        corked.append(server_end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))
        if failure is not None:
            raise failure
        return real(out, *arguments)

    monkeypatch.setattr(os, 'sendfile', sends)
    with tcp() as (server_end, client_end), (tmp_path / 'data').open('rb') as file:
        client_end.settimeout(10)
        conn = connection.Connection(None, server_end, None, None, None)
        request = types.SimpleNamespace(method='GET', version=(1, 1), body=body.Body(),
                                        should_close=lambda: False)
        answer = response.Response(request, conn, None, response.Clock())
        answer.start_response('200 OK', [('Content-Length', '100000')])

        with contextlib.nullcontext() if failure is None else pytest.raises(OSError):
            answer.write_file(response.FileWrapper(file))

        assert corked == [1]
        assert server_end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 0


@contextlib.contextmanager
def tcp():
    """Both ends of a connection."""
    with (socket.create_server(('127.0.0.1', 0)) as listener,
          socket.create_connection(listener.getsockname()) as there, listener.accept()[0] as here):
        yield here, there


def test_a_file_is_closed_when_the_client_goes_away(files, position):
    with files.connect(receive_buffer=1 << 16) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        sock.sendall(f'GET /file?length={len(DATA)} HTTP/1.1\r\nHost: lab\r\n\r\n'.encode())
        for _ in range(100):
            sock.recv(1 << 14)

    assert 0 < position() < len(DATA)


def test_a_client_that_receives_nothing_is_disconnected(start):
    server = start(client_socket_timeout=1)
    (server.folder / 'data').write_bytes(DATA)

    with server.connect(receive_buffer=1 << 14) as sock:
        sock.sendall(f'GET /file?length={len(DATA)} HTTP/1.1\r\nHost: lab\r\n\r\n'.encode())

        assert 0 < int(server.written('position')) < len(DATA)


# --- framing

@pytest.mark.parametrize('kind', ['server', 'tls_server'])
def test_pieces_without_a_length_are_sent_in_chunks(kind, request):
    _, headers, body = request.getfixturevalue(kind).get('/stream?count=20')

    assert headers['Transfer-Encoding'] == 'chunked'
    assert body == b''.join(bytes([number]) * (1 << 16) for number in range(20))


@pytest.mark.parametrize(('path', 'method', 'announced'), [
    ('/bare/204', 'GET', None), ('/bare/304', 'GET', '4'), ('/bare/200', 'HEAD', '4'),
    ('/empty/204', 'GET', None), ('/empty/200', 'HEAD', None), ('/stream', 'HEAD', None),
])
def test_no_body_is_sent_where_none_belongs(server, path, method, announced):
    answer = server.raw(
        f'{method} {path} HTTP/1.1\r\nHost: lab\r\n\r\n'
        'GET /hello HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n'
        .encode())

    first, rest = answer.split(b'\r\n\r\n', 1)
    assert rest.startswith(b'HTTP/1.1 200 OK')
    assert b'Transfer-Encoding' not in first
    assert (b'Content-Length: 4' in first) == (announced == '4')
    assert (b'Content-Length' in first) == (announced is not None)


def test_too_few_bytes_end_the_connection(server):
    answer = server.raw(b'GET /short HTTP/1.1\r\nHost: lab\r\n\r\n')

    assert answer.endswith(b'\r\n\r\nnot a hundred')


def test_the_head_has_no_server_version(server):
    _, headers, _ = server.get('/hello')

    assert 'Server' not in headers
    assert headers['Date'].endswith('GMT')


# --- errors

def test_a_failing_application_is_logged_without_details_for_the_client(start):
    server = start()

    status, _, body = server.get('/fail')

    assert status == 500
    assert b'secret' not in body
    assert b'Traceback' not in body
    assert 'RuntimeError: secret detail' in server.log()


def test_a_failure_in_the_middle_is_visible_to_the_client(server):
    in_chunks = server.raw(b'GET /fail_late HTTP/1.1\r\nHost: lab\r\n\r\n')
    with server.connect() as sock:
        sock.sendall(b'GET /fail_late HTTP/1.0\r\n\r\n')
        with pytest.raises(ConnectionResetError):
            read_all(sock)

    assert in_chunks.endswith(b'begun\r\n')


def test_headers_cannot_be_split(server):
    status, headers, _ = server.get('/split')

    assert status == 500
    assert 'Set-Cookie' not in headers


# --- TLS

def test_requests_over_tls_have_the_scheme_https(tls_server):
    _, _, answer = tls_server.get('/environ')

    assert json.loads(answer)['wsgi.url_scheme'] == 'https'


def test_several_requests_share_a_tls_connection(tls_server):
    with tls_server.connect() as sock:
        sock.sendall(b'GET /hello HTTP/1.1\r\nHost: lab\r\n\r\n' * 2)
        first = read_all(sock, until=b'hello')
        sock.sendall(b'GET /hello HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n')
        rest = read_all(sock)

    assert (first + rest).count(b'HTTP/1.1 200 OK') == 3


def test_clients_must_present_a_certificate_if_one_is_required(start_tls, certificates):
    server = start_tls(clients=True)
    trusted = server.get('/hello')
    server.tls = type(server.tls)(server.tls.protocol)
    server.tls.load_verify_locations(certificates[0])

    assert trusted[2] == b'hello'
    with pytest.raises(OSError):
        server.get('/hello')


def test_a_client_that_stalls_in_the_handshake_holds_no_thread(start_tls):
    server = start_tls(threads=1, client_socket_timeout=2)
    with socket.create_connection(('127.0.0.1', server.port)) as stalling:
        stalling.sendall(b'\x16\x03\x01')

        assert server.get('/hello')[2] == b'hello'


def test_plain_http_to_a_tls_port_does_no_harm(tls_server):
    with socket.create_connection(('127.0.0.1', tls_server.port)) as sock:
        sock.settimeout(20)
        sock.sendall(b'GET /hello HTTP/1.1\r\nHost: lab\r\n\r\n')
        with contextlib.suppress(ConnectionResetError):
            assert b'HTTP' not in read_all(sock)

    assert tls_server.get('/hello')[2] == b'hello'


def test_repeated_headers_of_a_request_are_joined(server):
    answer = server.raw(b'GET /environ HTTP/1.1\r\nHost: lab\r\nX-Two: a\r\nX-Two: b\r\n'
                        b'Connection: close\r\n\r\n')

    assert json.loads(answer.split(b'\r\n\r\n')[1])['HTTP_X_TWO'] == 'a,b'
