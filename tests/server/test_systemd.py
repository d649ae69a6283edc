"""systemd is told when the server is ready, reloads and stops."""

import signal
import socket

import pytest

TIMEOUT = 20


@pytest.fixture(params=['path', 'abstract'])
def messages(request, tmp_path, monkeypatch):
    """Receives the messages of servers that start now; ``messages()`` returns the next one."""
    if request.param == 'path':
        name = address = str(tmp_path / 'n')
    else:
        name, address = f'@glancelite-{tmp_path}', f'\0glancelite-{tmp_path}'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(TIMEOUT)
        monkeypatch.setenv('NOTIFY_SOCKET', name)
        yield lambda: receiver.recv(4096).decode().splitlines()


def test_the_start_is_reported_when_the_workers_are_ready(run_server, messages):
    server = run_server(workers=2)

    first = messages()

    assert first == ['READY=1']
    checked_and_two_workers = 3
    assert len(server.written('built').splitlines()) == checked_and_two_workers


def test_a_reload_is_reported_from_its_begin_to_its_end(start, messages):
    server = start()
    assert messages() == ['READY=1']

    server.send_signal(signal.SIGHUP)

    state, begun = messages()
    assert state == 'RELOADING=1'
    assert begun.removeprefix('MONOTONIC_USEC=').isdigit()
    assert messages() == ['READY=1']


def test_after_a_reload_that_fails_the_server_is_ready_again(start, messages):
    server = start()
    assert messages() == ['READY=1']
    server.configure(threads='none')

    server.send_signal(signal.SIGHUP)

    assert messages()[0] == 'RELOADING=1'
    assert messages() == ['READY=1']
    assert server.get('/hello')[0] == 200


def test_the_end_is_reported(start, messages):
    server = start()
    assert messages() == ['READY=1']

    server.stop()

    assert messages() == ['STOPPING=1']


def test_a_service_manager_that_is_gone_stops_nothing(start, tmp_path, monkeypatch):
    monkeypatch.setenv('NOTIFY_SOCKET', str(tmp_path / 'gone'))

    server = start()

    assert server.get('/hello')[0] == 200
    assert server.stop() == 0
