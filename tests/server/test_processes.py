"""Starting, stopping and reloading the server; many concurrent clients."""

import contextlib
import hashlib
import http.client
import os
import signal
import socket
import threading
import time

import pytest

from tests.server.conftest import read_all, wait_for
from tests.servers import process

PIECE = 1 << 16


class Transfer(threading.Thread):
    """A long request in another thread."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self._work = work
        self.started = threading.Event()
        self.result = None
        self.start()
        assert self.started.wait(20)

    def run(self):
        self.result = self._work(self.started)

    def done(self):
        self.join(30)
        assert not self.is_alive()
        return self.result


def slow_download(server, seconds):
    def work(started):
        with server.http() as connection:
            connection.request('GET', f'/stream?count=20&pause={seconds / 20}')
            answer = connection.getresponse()
            data = answer.read(PIECE)
            started.set()
            with contextlib.suppress(http.client.IncompleteRead, OSError):
                data += answer.read()
            return data

    return Transfer(work)


def slow_upload(server, seconds, body):
    def work(started):
        with server.connect() as sock:
            sock.sendall(f'PUT /digest HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n'
                         f'Content-Length: {len(body)}\r\n\r\n'.encode())
            for at in range(0, len(body), len(body) // 20):
                sock.sendall(body[at:at + len(body) // 20])
                time.sleep(seconds / 20)
                started.set()
            return read_all(sock)

    return Transfer(work)


EXPECTED = b''.join(bytes([number]) * PIECE for number in range(20))


# --- starting

def test_an_error_in_the_application_stops_the_start_with_one_line(run_server):
    server = run_server(workers=2, broken='no database')

    assert server.process.wait(20) == 2
    assert server.log() == 'cannot start: no database\n'


@pytest.mark.parametrize(('options', 'named'), [
    ({'workers': 'many'}, 'workers'),
    ({'cert_file': '/nonexistent'}, 'cert_file'),
    ({'key_file': '/nonexistent'}, 'cert_file'),
    ({'bind_host': '192.0.2.1'}, 'cannot listen on 192.0.2.1'),
])
def test_a_wrong_option_stops_the_start_with_one_line(run_server, options, named):
    server = run_server(**options)

    assert server.process.wait(20) == 2
    assert server.log().count('\n') == 1
    assert named in server.log()


def test_a_port_in_use_stops_the_start(start, run_server):
    first = start()

    second = run_server(bind_port=first.port)

    assert second.process.wait(20) == 2
    assert f'cannot listen on 127.0.0.1:{first.port}' in second.log()


def test_zero_workers_mean_one(start):
    assert start(workers=0).get('/hello')[2] == b'hello'


def test_a_dead_worker_is_replaced(start):
    server = start()
    with pytest.raises(OSError):
        server.get('/kill')

    server.await_port()

    assert 'exited with code 7' in server.log()


# --- stopping

@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_running_requests_finish_before_the_server_stops(start, number):
    server = start(workers=2)
    download = slow_download(server, 1.5)
    upload = slow_upload(server, 1.5, EXPECTED)
    idle = server.connect()

    code = server.stop(number)

    assert code == 0
    assert download.done() == EXPECTED
    assert hashlib.sha256(EXPECTED).hexdigest().encode() in upload.done()
    assert read_all(idle) == b''
    checks = 1      # the application is built once before the workers
    assert (server.folder / 'closed').read_text() == 'closed\n' * (checks + 2)
    idle.close()


def test_no_client_is_accepted_while_the_server_stops(start):
    server = start()
    download = slow_download(server, 1.5)

    server.send_signal(signal.SIGTERM)
    wait_for(lambda: not _accepts(server))

    assert download.done() == EXPECTED
    assert server.process.wait(20) == 0


def _accepts(server):
    with socket.socket() as sock:
        return sock.connect_ex(('127.0.0.1', server.port)) == 0


def test_a_request_on_a_kept_connection_is_still_answered_while_the_server_stops(start):
    server = start()
    slow_download(server, 2)
    with server.connect() as sock:
        server.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        sock.sendall(b'GET /hello HTTP/1.1\r\nHost: lab\r\n\r\n')
        answer = read_all(sock)

    assert b'Connection: close' in answer
    assert answer.endswith(b'hello')


def test_running_requests_are_ended_after_the_shutdown_timeout(start):
    server = start(graceful_shutdown_timeout=1)
    slow_download(server, 60)
    began = time.monotonic()

    assert server.stop() == 0
    assert 0.9 < time.monotonic() - began < 5
    assert (server.folder / 'closed').exists()


def test_a_second_signal_stops_at_once(start):
    server = start()
    slow_download(server, 60)
    began = time.monotonic()

    server.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    server.send_signal(signal.SIGTERM)

    assert server.process.wait(5) == 0
    assert time.monotonic() - began < 3


def test_workers_end_with_their_master(start):
    server = start()
    pid = int(server.get('/pid')[2])

    server.stop(signal.SIGKILL)

    wait_for(lambda: not _alive(pid))


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f'/proc/{pid}/stat') as stat:
        return stat.read().rsplit(')', 1)[1].split()[0] != 'Z'


# --- reloading

def test_reloading_drops_no_transfer(start):
    server = start(workers=2, graceful_shutdown_timeout=1)
    download = slow_download(server, 4)
    upload = slow_upload(server, 4, EXPECTED)

    server.configure(workers=2, greeting='again', graceful_shutdown_timeout=1)
    server.send_signal(signal.SIGHUP)
    wait_for(lambda: {server.get('/hello')[2] for _ in range(20)} == {b'again'})

    assert download.is_alive()
    assert upload.is_alive()
    assert download.done() == EXPECTED
    assert hashlib.sha256(EXPECTED).hexdigest().encode() in upload.done()
    assert server.stop() == 0


def test_reloading_loses_no_request(start):
    server = start(workers=2)
    stop, failures, answered = threading.Event(), [], []

    def ask():
        while not stop.is_set():
            try:
                answered.append(server.get('/hello')[2])
            except OSError as exc:
                failures.append(exc)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    server.configure(workers=2, greeting='again')
    server.send_signal(signal.SIGHUP)
    wait_for(lambda: answered and answered[-1] == b'again')
    time.sleep(1.5)
    stop.set()
    for asker in askers:
        asker.join()

    assert failures == []
    assert set(answered) == {b'hello', b'again'}


@pytest.mark.parametrize('options', [
    {'broken': 'no database'}, {'workers': 'many'}, {'cert_file': '/nonexistent'},
])
def test_a_broken_configuration_is_not_loaded(start, options):
    server = start()
    pid = server.get('/pid')[2]

    server.configure(**options)
    server.send_signal(signal.SIGHUP)
    wait_for(lambda: 'not reloaded' in server.log())

    assert server.get('/pid')[2] == pid
    server.configure(greeting='repaired')
    server.send_signal(signal.SIGHUP)
    wait_for(lambda: server.get('/hello')[2] == b'repaired')


def test_a_port_can_be_changed_by_reloading(start):
    server = start()
    download = slow_download(server, 2)
    former, current = server.port, process.free_port()

    server.configure(bind_port=current)
    server.send_signal(signal.SIGHUP)
    server.await_port()

    with pytest.raises(ConnectionRefusedError):     # noqa: PT012 - until the old one is closed
        while True:
            socket.create_connection(('127.0.0.1', former)).close()
            time.sleep(0.05)
    assert download.done() == EXPECTED


def test_an_address_in_use_changes_nothing_on_reload(start):
    server, other = start(), start()
    pid, former = server.get('/pid')[2], server.port

    server.configure(bind_port=other.port)
    server.send_signal(signal.SIGHUP)
    wait_for(lambda: f'not reloaded: cannot listen on 127.0.0.1:{other.port}' in server.log())
    server.port = former

    assert server.get('/pid')[2] == pid


@pytest.mark.parametrize(('count', 'pause'), [(1, 0.05), (1, 0.5), (10, 0), (10, 0.2), (10, 1)])
def test_stopping_after_a_reload_takes_no_longer_than_without(start, count, pause):
    server = start(workers=2, start_seconds=0.3)
    for _ in range(count):
        server.send_signal(signal.SIGHUP)
    time.sleep(pause)
    began = time.monotonic()

    assert server.stop() == 0

    assert time.monotonic() - began < 10


def test_stopping_does_not_wait_for_the_check_of_a_new_configuration(start):
    server = start()
    server.configure(start_seconds=100)
    server.send_signal(signal.SIGHUP)
    time.sleep(0.3)

    assert server.stop() == 0


def test_signals_to_reload_in_a_row_are_followed_by_the_last_configuration(start):
    server = start()
    for number in range(5):
        server.configure(greeting=f'greeting {number}')
        server.send_signal(signal.SIGHUP)
        time.sleep(0.02)

    wait_for(lambda: server.get('/hello')[2] == b'greeting 4')
    assert server.stop() == 0


@pytest.mark.parametrize('pause', [0, 0.3, 0.6, 0.9, 1.2])
def test_the_server_can_be_stopped_while_it_starts(run_server, pause):
    server = run_server(workers=2, start_seconds=0.2)
    time.sleep(pause)
    began = time.monotonic()

    assert server.stop() in (0, -signal.SIGTERM)    # before the server runs, the signal ends it

    assert time.monotonic() - began < 10
    assert not _accepts(server)


# --- many clients

def test_slow_readers_are_all_served_without_blocking_others(start):
    server = start(workers=2, threads=64)
    size = 4 << 20
    (server.folder / 'data').write_bytes(bytes(size))
    readers = [server.connect(receive_buffer=1 << 14) for _ in range(64)]
    for sock in readers:
        sock.sendall(f'GET /file?length={size} HTTP/1.1\r\nHost: lab\r\n'
                     'Connection: close\r\n\r\n'.encode())

    assert all(sock.recv(100).startswith(b'HTTP/1.1 200') for sock in readers)
    began = time.monotonic()
    assert server.get('/hello')[2] == b'hello'
    assert time.monotonic() - began < 5
    for sock in readers:
        assert len(read_all(sock)) > size - 100
        sock.close()


def test_clients_are_spread_over_the_workers(start):
    server, ready = start(workers=2), set()
    wait_for(lambda: ready.add(server.get('/pid')[2]) or len(ready) == 2)

    clients = [server.connect() for _ in range(16)]
    workers = set()
    for sock in clients:
        sock.sendall(b'GET /pid HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n')
        workers.add(read_all(sock).rsplit(b'\r\n', 1)[1])
        sock.close()

    assert len(workers) == 2


def test_clients_beyond_the_threads_wait_for_their_turn(start):
    server = start(threads=2)
    sleepers = [Transfer(lambda started: (started.set(), server.get('/sleep/0.3'))[1])
                for _ in range(6)]

    assert [sleeper.done()[2] for sleeper in sleepers] == [b'rested'] * 6
