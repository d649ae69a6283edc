"""Single requests: heads, request bodies, connections that are kept or closed."""

import hashlib
import json
import socket
import time

import pytest

from tests.server.conftest import read_all

BODY = bytes(range(256)) * 12_345      # a little more than 3 MiB
DIGEST = hashlib.sha256(BODY).hexdigest()


def chunked(data, size):
    for at in range(0, len(data), size):
        piece = data[at:at + size]
        yield b'%x\r\n%s\r\n' % (len(piece), piece)
    yield b'0\r\n\r\n'


def head(path, *lines, method='PUT'):
    return '\r\n'.join([f'{method} {path} HTTP/1.1', 'Host: lab', *lines, '', '']).encode()


def status(answer):
    return int(answer.split(b' ', 2)[1])


# --- request bodies

@pytest.mark.parametrize('piece', [1, 100_000, 1 << 20, 1 << 23])
@pytest.mark.parametrize('kind', ['server', 'tls_server'])
def test_a_sized_body_is_read_completely_in_pieces_of_the_requested_size(kind, piece, request):
    server = request.getfixturevalue(kind)
    body = BODY if piece > 1 else BODY[:5000]

    _, _, answer = server.get(f'/digest?piece={piece}', 'PUT', body=body)

    assert json.loads(answer) == {'size': len(body), 'largest': min(piece, len(body)),
                                  'sha256': hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize('chunk', [7, 8192, 65536, 300_000, 1 << 21])
@pytest.mark.parametrize('kind', ['server', 'tls_server'])
def test_a_chunked_body_is_read_completely_in_pieces_of_the_requested_size(kind, chunk, request):
    server = request.getfixturevalue(kind)
    body = BODY if chunk > 7 else BODY[:50_000]

    with server.connect() as sock:
        sock.sendall(head('/digest', 'Transfer-Encoding: chunked', 'Connection: close'))
        sock.sendall(b''.join(chunked(body, chunk)))
        answer = read_all(sock)

    assert json.loads(answer.split(b'\r\n\r\n')[1]) == {
        'size': len(body), 'largest': min(1 << 20, len(body)),
        'sha256': hashlib.sha256(body).hexdigest()}


def test_chunks_may_arrive_byte_by_byte(server):
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = (head('/digest', 'Transfer-Encoding: chunked', 'Connection: close')
                + b'3;name="value"\r\nabc\r\nA \r\n0123456789\r\nA \r\n0123456789\r\n'
                + b'0\r\nTrailer: yes\r\n\r\n')
        for byte in data:
            sock.sendall(bytes([byte]))
        answer = read_all(sock)

    assert json.loads(answer.split(b'\r\n\r\n')[1])['sha256'] == hashlib.sha256(
        b'abc01234567890123456789').hexdigest()


@pytest.mark.parametrize(('how', 'expected'), [
    ('each', ['a\n', 'bcd\n', '\n', 'end']),
    ('all', ['a\n', 'bcd\n', '\n', 'end']),
    ('sized?size=2', ['a\n', 'bc', 'd\n', '\n', 'en', 'd']),
    ('mixed', ['a\n', 'bcd', '\n', '\nend']),
])
@pytest.mark.parametrize('encode', [False, True])
def test_lines_can_be_read(server, how, expected, encode):
    body = b'a\nbcd\n\nend'

    _, _, answer = server.get(f'/lines/{how}', 'PUT', encode_chunked=encode,
                              body=iter([body[:3], body[3:]]) if encode else body,
                              headers={'Transfer-Encoding': 'chunked'} if encode else {})

    assert json.loads(answer) == expected


@pytest.mark.parametrize(('framing', 'sent'), [
    ('Content-Length: 1000', b'x' * 999),
    ('Content-Length: 3000000', b'x' * 2_000_000),
    ('Transfer-Encoding: chunked', b'400\r\n' + b'x' * 1000),
    ('Transfer-Encoding: chunked', b'3\r\nabc\r\n'),
    ('Transfer-Encoding: chunked', b'3\r\nabc\r\n0\r\n'),
], ids=['small', 'large', 'in a chunk', 'after a chunk', 'before the last line'])
def test_a_body_that_ends_early_is_an_error(start, framing, sent):
    server = start()

    with server.connect() as sock:
        sock.sendall(head('/digest', framing) + sent)
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)

    kinds, text = server.written('failure')
    assert 'BodyCutShort' in kinds
    assert 'OSError' in kinds
    assert 'cut short' in text
    assert status(answer) == 400


@pytest.mark.parametrize('sent', [
    b'x\r\nabc\r\n0\r\n\r\n', b'3\r\nabcd\r\n0\r\n\r\n', b'-3\r\nabc\r\n0\r\n\r\n',
    b'0x3\r\nabc\r\n0\r\n\r\n', b'\r\nabc\r\n0\r\n\r\n', b'3\nabc\n0\n\r\n\r\n',
    b'3\r\nabc\r\n0\r\nbad trailer\r\n\r\n', b'3;\x00\r\nabc\r\n0\r\n\r\n',
    b'3\r\nabc\r\n3\r\nabcd\r\n0\r\n\r\n', b'3\r\nabc\r\n3\r\nabc\r\n3 3\r\nabc\r\n0\r\n\r\n',
    b'f' * 17 + b'\r\n', b'3' + b';' * 10_000 + b'\r\nabc\r\n0\r\n\r\n',
])
def test_malformed_chunks_are_an_error_and_end_the_connection(server, sent):
    answer = server.raw(head('/digest', 'Transfer-Encoding: chunked') + sent
                        + head('/hello', method='GET'))

    assert status(answer) == 400
    assert b'hello' not in answer
    assert 'BodyMalformed' in server.written('failure')[0]


def test_a_stalled_body_is_cut_short(start):
    server = start(client_socket_timeout=1)

    answer = server.raw(head('/digest', 'Content-Length: 100000') + b'12345')

    assert status(answer) == 400
    assert 'BodyCutShort' in server.written('failure')[0]


@pytest.mark.parametrize('sent', [
    head('/digest', 'Content-Length: 10') + b'12345',
    b'GET /hello HTTP/1.1\r\nHost: l', b'G',
])
@pytest.mark.parametrize('kind', ['start', 'start_tls'])
def test_a_short_request_that_stays_incomplete_is_answered_with_408(request, kind, sent):
    server = request.getfixturevalue(kind)(client_socket_timeout=1)

    answer = server.raw(sent)

    assert status(answer) == 408
    assert answer.count(b'HTTP/1.1') == 1
    assert not (server.folder / 'failure').exists()


def test_a_small_body_is_complete_before_the_application_runs(server):
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(head('/digest', 'Content-Length: 12', 'Connection: close'))
        for byte in b'0123456789ab':
            sock.sendall(bytes([byte]))
            time.sleep(0.01)
        answer = read_all(sock)

    assert json.loads(answer.split(b'\r\n\r\n')[1])['sha256'] == hashlib.sha256(
        b'0123456789ab').hexdigest()


@pytest.mark.parametrize('piece', [1, 3, 4, 1000])
@pytest.mark.parametrize('data', [b'', b'abc', b'\r\n\r\n' * 20, b'0\r\n\r\n', bytes(3000)],
                         ids=['empty', 'short', 'line ends', 'an end', 'long'])
@pytest.mark.parametrize('kind', ['server', 'tls_server'])
def test_a_small_body_in_chunks_is_read_whole_however_it_arrives(kind, data, piece, request):
    server = request.getfixturevalue(kind)
    sent = b''.join(chunked(data, 70)) + head('/hello', 'Connection: close', method='GET')
    if piece == 1 and len(data) > 1000:
        piece = 7

    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        sock.sendall(head('/digest', 'Transfer-Encoding: chunked'))
        for start in range(0, len(sent), piece):
            sock.sendall(sent[start:start + piece])
        answer = read_all(sock)

    assert answer.count(b'HTTP/1.1 200') == 2
    assert hashlib.sha256(data).hexdigest().encode() in answer
    assert answer.endswith(b'hello')


# --- Expect: 100-continue

def test_100_continue_is_sent_when_the_body_is_read(server):
    with server.connect() as sock:
        sock.sendall(head('/digest', 'Expect: 100-continue', 'Content-Length: 3'))
        interim = read_all(sock, until=b'\r\n\r\n')
        sock.sendall(b'abc')
        final = read_all(sock, until=b'}')

    assert interim == b'HTTP/1.1 100 Continue\r\n\r\n'
    assert status(final) == 200


def test_100_continue_is_sent_once_before_a_small_body_in_chunks(server):
    with server.connect() as sock:
        sock.sendall(head('/digest', 'Expect: 100-continue', 'Transfer-Encoding: chunked'))
        interim = read_all(sock, until=b'\r\n\r\n')
        for piece in chunked(b'abcdef', 2):
            sock.sendall(piece)
        final = read_all(sock, until=b'}')

    assert interim == b'HTTP/1.1 100 Continue\r\n\r\n'
    assert final.startswith(b'HTTP/1.1 200')
    assert hashlib.sha256(b'abcdef').hexdigest().encode() in final


def test_100_continue_is_not_sent_when_the_body_stays_unread(server):
    answer = server.raw(head('/early/409', 'Expect: 100-continue', 'Content-Length: 3000000'),
                        until=b'no, thanks')

    assert status(answer) == 409
    assert b'100 Continue' not in answer
    assert b'Connection: close' in answer


# --- unread bodies

@pytest.mark.parametrize('kind', ['server', 'tls_server'])
@pytest.mark.parametrize('framing', ['sized', 'chunked'])
def test_an_early_response_reaches_a_client_that_sends_everything_first(kind, framing, request):
    server = request.getfixturevalue(kind)
    body = bytes(5_000_000)

    with server.connect() as sock:
        if framing == 'sized':
            sock.sendall(head('/early/413', f'Content-Length: {len(body)}') + body)
        else:
            sock.sendall(head('/early/413', 'Transfer-Encoding: chunked'))
            for piece in chunked(body, 50_000):
                sock.sendall(piece)
        answer = read_all(sock)

    assert status(answer) == 413
    assert answer.endswith(b'no, thanks')


def test_a_small_unread_body_does_not_end_the_connection(server):
    unread = head('/early/409', 'Content-Length: 30000')
    again = head('/hello', 'Connection: close', method='GET')

    with server.connect() as sock:
        sock.sendall(unread + b'GET /pid HTTP/1.1\r\nHost: lab\r\n\r\n'.ljust(10_000))
        sock.sendall(bytes(20_000))
        first = read_all(sock, until=b'no, thanks')
        sock.sendall(again)
        second = read_all(sock)

    assert b'Connection: close' not in first
    assert second.count(b'HTTP/1.1') == 1
    assert second.endswith(b'hello')


def test_an_unread_body_is_never_taken_for_a_request(server):
    smuggled = head('/hello', method='GET') * 3000

    for framing in (f'Content-Length: {len(smuggled)}', 'Transfer-Encoding: chunked'):
        answer = server.raw(head('/early/409', framing) + smuggled)

        assert answer.count(b'HTTP/1.1') == 1
        assert b'hello' not in answer


def test_a_client_that_never_stops_sending_is_disconnected(start):
    server = start()

    with server.connect() as sock:
        sock.sendall(head('/early/413', 'Content-Length: 99999999999'))
        with pytest.raises(OSError):    # noqa: PT012 - it ends at some point
            began = time.monotonic()
            while time.monotonic() < began + 8:
                time.sleep(6 if read_all(sock, until=b'thanks') else 0)
                sock.sendall(bytes(1 << 20))
                sock.sendall(bytes(1 << 20))


# --- connections

def test_requests_follow_one_another_on_a_connection(server):
    with server.http() as http:
        for path, method, body in (('/hello', 'GET', None), ('/digest', 'PUT', BODY),
                                   ('/stream', 'GET', None), ('/empty/204', 'GET', None),
                                   ('/hello', 'HEAD', None), ('/hello', 'GET', None)):
            http.request(method, path, body=body)
            if not (sock := http.sock):
                pytest.fail('the connection was closed')
            answer = http.getresponse()
            data = answer.read()

            assert answer.status in (200, 204)
            assert http.sock is sock
    assert data == b'hello'


@pytest.mark.parametrize('headers', [
    [['X-Two: a'], ['X-Two: b'], ['X-Two: b'], []],
    [['X-Two: a', 'X-Two: b'], [], ['X-Two: a', 'X-Two: b'], ['X-Two: a', 'X-Two: b']],
])
def test_headers_are_those_of_the_request_and_not_of_the_one_before(headers, server):
    expected = [','.join(line.partition(': ')[2] for line in lines) for lines in headers]
    seen = []
    with server.connect() as sock:
        for number, lines in enumerate(headers):
            sock.sendall(head(f'/environ/{number}', *lines, method='GET'))
            environ = json.loads(read_all(sock, until=b'}').split(b'\r\n\r\n')[1])
            assert environ['PATH_INFO'] == f'/environ/{number}'
            seen.append(environ.get('HTTP_X_TWO', ''))

    assert seen == expected


def test_an_expectation_that_http_1_0_ignores_holds_for_the_next_request(server):
    request = head('/digest', 'Connection: keep-alive', 'Expect: 100-continue',
                   'Content-Length: 3')
    with server.connect() as sock:
        sock.sendall(request.replace(b'HTTP/1.1', b'HTTP/1.0') + b'abc')
        first = read_all(sock, until=b'}')
        answers = []
        for _ in range(2):
            sock.sendall(request)
            answers.append(read_all(sock, until=b'\r\n\r\n'))
            sock.sendall(b'abc')
            read_all(sock, until=b'}')

    assert status(first) == 200
    assert answers == [b'HTTP/1.1 100 Continue\r\n\r\n'] * 2


def test_pipelined_requests_are_answered_in_order(server):
    answer = server.raw(
        head('/digest', 'Content-Length: 3') + b'abc' + head('/hello', method='GET')
        + head('/digest', 'Transfer-Encoding: chunked') + b'3\r\nabc\r\n0\r\n\r\n'
        + head('/empty/204', 'Connection: close', method='GET'))

    assert [int(part[:3]) for part in answer.split(b'HTTP/1.1 ')[1:]] == [200, 200, 200, 204]


def test_http_1_0_gets_no_chunks_and_may_keep_the_connection(server):
    plain = server.raw(b'GET /stream?count=3 HTTP/1.0\r\n\r\n')
    kept = server.raw(b'GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', until=b'hello')

    assert b'chunked' not in plain
    assert len(plain.split(b'\r\n\r\n', 1)[1]) == 3 << 16
    assert b'Connection: keep-alive' in kept


def test_keep_alive_can_be_switched_off(start):
    server = start(http_keepalive=False)

    answer = server.raw(head('/hello', method='GET'))

    assert b'Connection: close' in answer


def test_idle_and_stalling_clients_hold_no_thread_and_are_closed_in_time(start):
    server = start(threads=1, client_socket_timeout=2)
    idle, stalling, kept = server.connect(), server.connect(), server.connect()
    stalling.sendall(b'GET /hello HTTP/1.1\r\nHost: lab\r\nX-Slow')
    kept.sendall(head('/hello', method='GET'))
    read_all(kept, until=b'hello')
    began = time.monotonic()

    assert server.get('/hello')[2] == b'hello'
    for sock in (idle, stalling, kept):
        assert read_all(sock)[:13] == (b'HTTP/1.1 408 ' if sock is stalling else b'')
        sock.close()
    assert time.monotonic() - began < 6


# --- heads

@pytest.mark.parametrize('bad', [
    head('/digest', 'Content-Length: 3', 'Transfer-Encoding: chunked') + b'0\r\n\r\n',
    head('/digest', 'Content-Length: 3', 'Content-Length: 4') + b'abcd',
    head('/digest', 'Content-Length: +3') + b'abc',
    head('/digest', 'Content-Length: -1'),
    head('/digest', 'Transfer-Encoding: identity') + b'abc',
    head('/hello', 'X-Folded: a', ' b', method='GET'),
    head('/hello', 'X-Space : a', method='GET'),
    head('/hello', 'X-Null: a\x00b', method='GET'),
    b'GET /hello HTTP/1.1\nHost: lab\n\n',
    b'GET  /hello HTTP/1.1\r\nHost: lab\r\n\r\n',
    b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
])
def test_ambiguous_requests_are_rejected_and_end_the_connection(server, bad):
    answer = server.raw(bad + head('/hello', method='GET'))

    assert status(answer) == 400
    assert b'Connection: close' in answer
    assert b'200 OK' not in answer


@pytest.mark.parametrize('lines', [[], ['Host: lab', 'Host: lab'], ['Host : lab']])
def test_http_1_1_requires_exactly_one_host(server, lines):
    answer = server.raw('\r\n'.join(['GET /hello HTTP/1.1', *lines, '', '']).encode())

    assert status(answer) == 400
    assert b'Connection: close' in answer


@pytest.mark.parametrize('lines', ['Host:', 'host: lab:9292', 'HOST: [::1]'])
def test_any_one_host_is_accepted(server, lines):
    answer = server.raw(f'GET /hello HTTP/1.1\r\n{lines}\r\nConnection: close\r\n\r\n'.encode())

    assert status(answer) == 200


@pytest.mark.parametrize('empty', [b'\r\n', b'\r\n' * 5])
def test_empty_lines_before_a_request_are_skipped(server, empty):
    with server.connect() as sock:
        sock.sendall(empty)
        time.sleep(0.05)
        sock.sendall(empty + head('/digest', 'Content-Length: 3') + b'abc' + empty
                     + head('/hello', 'Connection: close', method='GET'))
        answer = read_all(sock)

    assert [int(part[:3]) for part in answer.split(b'HTTP/1.1 ')[1:]] == [200, 200]
    assert answer.endswith(b'hello')


def test_endless_empty_lines_are_not_a_request(server):
    assert status(server.raw(b'\r\n' * 200)) == 400


@pytest.mark.parametrize(('path', 'lines', 'code'), [
    ('/digest', ['Transfer-Encoding: gzip, chunked'], 501),
    ('/digest', ['Transfer-Encoding: cow'], 501),
    ('/hello', ['Expect: a miracle'], 417),
    ('/' + 'a' * 9000, [], 414),
    ('/environ?name=in:' + 'a' * 8100, [], 200),
    ('/hello', ['X-Auth-Token: ' + 'g' * 17_000], 431),
    ('/hello', ['X: y'] * 300, 431),
    ('/hello', [f'X-{number}: ' + 'g' * 15_000 for number in range(9)], 431),
    ('/hello', ['X-Auth-Token: ' + 'g' * 16_000], 200),
    ('/hello', [f'X-{number}: ' + 'g' * 400 for number in range(100)], 200),
])
def test_limits_of_the_head_are_enforced(server, path, lines, code):
    answer = server.raw(head(path, *lines, 'Connection: close', method='GET'))

    assert status(answer) == code


def test_a_head_without_end_is_rejected(server):
    with server.connect() as sock:
        for _ in range(70):
            sock.sendall(b'X' * 1000)
        answer = read_all(sock)

    assert status(answer) == 431


def test_longer_header_lines_can_be_allowed(start):
    server = start(max_header_line=65536)

    answer = server.get('/hello', headers={'X-Service-Catalog': 'c' * 60_000})

    assert answer[0] == 200


def test_the_environment_describes_the_request(server):
    _, _, answer = server.get(
        '/environ/a%20b%C3%A9?x=1&y=%20', 'POST', body=b'{}',
        headers={'X-Two': '1', 'Content-Type': 'application/json', 'X_Two': 'spoofed',
                 'X-Forwarded-Proto': 'https', 'Script-Name': '/evil'})

    environ = json.loads(answer)
    expected = {
        'REQUEST_METHOD': 'POST', 'SCRIPT_NAME': '', 'PATH_INFO': '/environ/a b\xc3\xa9',
        'RAW_URI': '/environ/a%20b%C3%A9?x=1&y=%20', 'QUERY_STRING': 'x=1&y=%20',
        'CONTENT_LENGTH': '2', 'CONTENT_TYPE': 'application/json', 'HTTP_X_TWO': '1',
        'SERVER_NAME': '127.0.0.1', 'SERVER_PORT': str(server.port), 'REMOTE_ADDR': '127.0.0.1',
        'SERVER_PROTOCOL': 'HTTP/1.1', 'wsgi.url_scheme': 'http', 'wsgi.multithread': True,
        'wsgi.input_terminated': True, 'glancelite.sendfile': True, 'glancelite.readinto': True,
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert 'HTTP_CONTENT_LENGTH' not in environ


@pytest.mark.parametrize(('version', 'expected'), [
    ('HTTP/1.0', 200), ('HTTP/1.1', 200), ('HTTP/1.2', 505), ('HTTP/1.3', 505), ('HTTP/2.0', 505),
    ('HTTP/0.9', 505), ('HTTP/3', 400), ('HTTP/1.10', 400), ('http/1.1', 400), ('ICY/1.0', 400)])
def test_other_versions_of_http_are_refused(server, version, expected):
    with server.connect() as sock:
        sock.sendall(f'GET /hello {version}\r\nHost: lab\r\nConnection: close\r\n\r\n'.encode())

        assert status(read_all(sock)) == expected
