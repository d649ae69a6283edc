"""Whatever clients do or fail to do, short requests of others are answered at once."""

import contextlib
import http.client
import os
import resource
import signal
import time

import pytest

from tests.server.conftest import read_all, wait_for

MANY = 1000
#: many more than threads; where the number matters more, tests have ``MANY``
SOME = 150
BAD = b'X\r\n\r\n'
GET = b'GET /hello HTTP/1.1\r\nHost: lab\r\n\r\n'
BYTE = b'x'


def put(path, size):
    return f'PUT {path} HTTP/1.1\r\nHost: lab\r\nContent-Length: {size}\r\n\r\n'.encode()


#: what a client sends at first, and what it goes on with
KINDS = {
    'silent': (b'', b''),
    'half a head': (b'GET /hello HTTP/1.1\r\nHost: lab\r\nX: ', BYTE),
    'malformed head': (BAD, b''),
    'malformed head, and more': (BAD, BYTE),
    'empty lines': (b'\r\n', b'\r\n'),
    'refused body': (put('/early/413', 1 << 40) + bytes(5000), BYTE),
    'refused small body': (put('/early/401', 5000), BYTE),
    'small body': (put('/digest', 5000) + bytes(100), BYTE),
    'large body': (put('/digest', 1 << 40) + bytes(5000), BYTE),
    'chunks': (b'PUT /digest HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n',
               BYTE),
    'expects 100': (b'PUT /digest HTTP/1.1\r\nHost: lab\r\nExpect: 100-continue\r\n'
                    b'Content-Length: 5\r\n\r\n', b''),
    'answer not read': (b'GET /much/4000000 HTTP/1.1\r\nHost: lab\r\n\r\n', b''),
    'answers not read': (b'GET /much/100000 HTTP/1.1\r\nHost: lab\r\n\r\n' * 50, b''),
    'many requests': (GET * 5, GET),
    'download not read': (b'GET /stream?count=1000 HTTP/1.1\r\nHost: lab\r\n\r\n', b''),
    'file not read': (b'GET /file?length=90000000 HTTP/1.1\r\nHost: lab\r\n\r\n', b''),
}


@pytest.fixture(scope='module', autouse=True)
def _many_files():
    """Let this process have as many open connections as the tests need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def seconds_of_a_request(server):
    began = time.monotonic()
    assert server.get('/hello')[2] == b'hello'
    return time.monotonic() - began


@contextlib.contextmanager
def clients(server, count, first, *, raw=False, receive_buffer=4096):
    """Many clients that have sent ``first``, and read nothing."""
    tls, server.tls = server.tls, None if raw else server.tls
    with contextlib.ExitStack() as stack:
        try:
            socks = [stack.enter_context(server.connect(receive_buffer))
                     for _ in range(count)]
        finally:
            server.tls = tls
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.sendall(first)
        yield socks


def go_on(socks, more):
    for sock in socks:
        with contextlib.suppress(OSError):      # the server may have closed it
            sock.sendall(more)


@pytest.fixture(scope='module')
def four_threads(start):
    """A server whose four threads are fewer than the clients; the tests of all kinds share it."""
    return with_data(start(threads=4))


@pytest.fixture(scope='module')
def four_tls_threads(start_tls):
    """As `four_threads`, with TLS."""
    return with_data(start_tls(threads=4))


def with_data(server):
    with open(server.folder / 'data', 'wb') as data:
        data.truncate(90_000_000)
    return server


@pytest.mark.parametrize('kind', KINDS)
def test_a_request_is_answered_soon_beside_many_clients(four_threads, kind):
    server = four_threads
    first, more = KINDS[kind]
    many = MANY if kind in ('silent', 'large body') else SOME
    if kind.startswith('answer'):
        many = 30       # the kernel keeps 3 MB of each

    with clients(server, many, first) as socks:
        took = [seconds_of_a_request(server)]
        for _ in range(3):
            go_on(socks, more)
            took.append(seconds_of_a_request(server))

    assert max(took) < 5


def test_many_requests_in_advance_on_many_connections_delay_no_request(start):
    server = start(threads=4)

    with clients(server, MANY, GET * 200, receive_buffer=None):
        took = [seconds_of_a_request(server) for _ in range(2)]

    assert max(took) < 5        # the answers to all take longer


@pytest.mark.parametrize(('first', 'many'), [
    (b'', SOME), (b'\x16\x03\x01\x02\x00\x01', MANY), (BAD, SOME)])
def test_unfinished_tls_handshakes_delay_no_request(four_tls_threads, first, many):
    server = four_tls_threads

    with clients(server, many, first, raw=True) as socks:
        took = [seconds_of_a_request(server)]
        go_on(socks, b'\x00')
        took.append(seconds_of_a_request(server))

    assert max(took) < 5


@pytest.mark.parametrize('kind', ['malformed head, and more', 'refused body', 'half a head',
                                  'answer not read', 'large body', 'file not read'])
def test_tls_clients_that_do_nothing_delay_no_request(four_tls_threads, kind):
    server = four_tls_threads
    first, more = KINDS[kind]

    with clients(server, 30, first) as socks:
        took = [seconds_of_a_request(server)]
        go_on(socks, more)
        took.append(seconds_of_a_request(server))

    assert max(took) < 5


def test_transfers_beyond_the_threads_wait_for_their_turn(start):
    server = start(threads=2)

    with clients(server, 2, put('/digest', 1 << 20)) as uploads, contextlib.ExitStack() as later:
        for _ in range(5):
            seconds_of_a_request(server)    # until the uploads have begun
        downloads = later.enter_context(clients(
            server, 3, b'GET /stream?count=2 HTTP/1.1\r\nHost: lab\r\n'
                       b'Connection: close\r\n\r\n'))
        seconds_of_a_request(server)
        downloads[0].settimeout(0.3)
        with pytest.raises(TimeoutError):
            downloads[0].recv(1)
        downloads[0].settimeout(20)
        uploads[0].sendall(bytes(1 << 20))
        sizes = [len(read_all(sock)) for sock in downloads]

        assert min(sizes) > 2 << 16
        assert uploads[0].recv(100).startswith(b'HTTP/1.1 200')
        uploads[1].sendall(bytes(1 << 20))
        assert uploads[1].recv(100).startswith(b'HTTP/1.1 200')


@pytest.mark.parametrize('how', ['Transfer-Encoding: chunked',
                                 'Content-Length: 3\r\nExpect: 100-continue',
                                 'Transfer-Encoding: chunked\r\nExpect: 100-continue'])
def test_a_small_body_does_not_wait_for_transfers_however_it_is_sent(start, how):
    server = start(threads=2)

    with clients(server, 2, put('/digest', 1 << 20)), server.connect() as sock:
        seconds_of_a_request(server)
        sock.sendall(f'PUT /digest HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n{how}'
                     '\r\n\r\n'.encode())
        if 'Expect' in how:
            assert read_all(sock, until=b'\r\n\r\n') == b'HTTP/1.1 100 Continue\r\n\r\n'
        sock.sendall(b'3\r\nabc\r\n0\r\n\r\n' if 'chunked' in how else b'abc')

        assert read_all(sock).startswith(b'HTTP/1.1 200')


def test_a_stream_that_finds_no_room_is_refused_with_a_time_to_retry(start):
    server = start(threads=1)
    assert server.get('/plugin')[2] == b'data'

    with clients(server, 1, put('/digest', 1 << 20)) as uploads:
        wait_for(lambda: server.get('/plugin')[0] == 503)
        refused = server.get('/plugin')
        uploads[0].sendall(bytes(1 << 20))
        assert uploads[0].recv(100).startswith(b'HTTP/1.1 200')

    assert refused[1]['Retry-After'] == '10'
    wait_for(lambda: server.get('/plugin')[2] == b'data')


@pytest.mark.parametrize('kind', ['start', 'start_tls'])
def test_a_slow_reader_gets_its_whole_answers_in_order(request, kind):
    server = request.getfixturevalue(kind)(threads=1)
    requests = (b'GET /much/4000000 HTTP/1.1\r\nHost: lab\r\n\r\n' * 2
                + b'GET /hello HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n')

    with clients(server, 3, requests, receive_buffer=None) as socks:
        seconds_of_a_request(server)
        answers = [read_all(sock) for sock in socks]

    for answer in answers:
        assert answer.count(b'HTTP/1.1 200') == 3
        assert answer.endswith(b'hello')
        assert len(answer) > 8_000_000


def test_unsent_answers_are_kept_up_to_a_limit(start):
    server = start()
    pid = int(server.get('/pid')[2])
    before = memory(pid)

    with clients(server, 150, b'GET /much/4000000 HTTP/1.1\r\nHost: lab\r\n\r\n'):
        seconds_of_a_request(server)
        assert memory(pid) - before < 400 << 20     # 600 MB of answers


def test_requests_that_wait_for_their_turn_cost_little_memory(start):
    server = start(threads=4)
    pid = int(server.get('/pid')[2])
    before = memory(pid)

    with clients(server, MANY, KINDS['chunks'][0]):
        seconds_of_a_request(server)
        assert memory(pid) - before < 60 << 20


def memory(pid):
    """Bytes of a process in memory."""
    with open(f'/proc/{pid}/statm') as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def test_connections_of_one_address_can_be_limited(start):
    server = start(max_connections_per_address=10)

    with clients(server, 30, b'') as socks:
        go_on(socks, GET)
        assert 8 <= sum(map(_is_answered, socks)) <= 10     # others may just have ended
    wait_for(lambda: _answers(server))


def _is_answered(sock):
    try:
        return sock.recv(100).startswith(b'HTTP/1.1 200')
    except OSError:
        return False


def _answers(server):
    try:
        return server.get('/hello')[2] == b'hello'
    except (http.client.HTTPException, OSError):
        return False


def test_idle_connections_make_room_for_others(start):
    server = start(threads=2, open_files=200)

    with clients(server, 300, b'') as socks:
        assert seconds_of_a_request(server) < 3
        assert socks[0].recv(1) == b''


def test_a_request_on_a_connection_that_just_made_room_ends_no_worker(start):
    server = start(threads=2, open_files=200)
    pid = int(server.get('/pid')[2])

    with clients(server, 169, b'') as idle, contextlib.ExitStack() as stack:
        seconds_of_a_request(server)
        os.kill(pid, signal.SIGSTOP)    # so that it finds all these events at once
        for _ in range(5):
            stack.enter_context(server.connect())
        go_on(idle[:20], GET)
        os.kill(pid, signal.SIGCONT)
        seconds_of_a_request(server)
        assert int(server.get('/pid')[2]) == pid


def test_stopping_does_not_wait_for_clients_that_linger(start):
    server = start()
    began = time.monotonic()

    with clients(server, 10, BAD):
        seconds_of_a_request(server)
        assert server.stop() == 0

    assert time.monotonic() - began < 15
