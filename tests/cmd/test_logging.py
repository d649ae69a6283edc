"""The log is configured in the configuration file, and changed by reloading it."""

import os
import signal
import socket
import urllib.request

import pytest

from tests.servers import live, process

MEMORY = {
    'DEFAULT': {'enabled_backends': 'memory:memory', 'workers': '1', 'log_file': 'api.log'},
    'glance_store': {'default_backend': 'memory'},
    'layers': {'auth': 'noauth', 'database': 'memory'},
}


@pytest.fixture
def server():
    with live.server(MEMORY) as server:
        yield server


def reload(server, log):
    """Reload, and wait until the new workers are ready."""
    server.process.send_signal(signal.SIGHUP)
    process.until(lambda: log.exists() and 'reloaded' in log.read_text())


def test_a_line_names_request_user_and_project():
    config = {**MEMORY, 'layers': {**MEMORY['layers'], 'notifier': 'log'},
              'noauth': {'user_id': 'ann', 'project_id': 'acme'}}
    with live.server(config) as server:
        request = urllib.request.Request(
            f'{server.url}/v2/images', b'{}', {'X-Openstack-Request-ID': 'req-one'})
        urllib.request.urlopen(request).close()
        log = server.dir / 'api.log'
        process.until(lambda: 'image.create' in log.read_text())
        lines = [line for line in log.read_text().splitlines() if 'image.create' in line]

    assert lines
    assert all('[None req-one ann acme - - - -]' in line for line in lines)


def test_an_invalid_request_is_not_logged_as_one_of_the_last_user(server):
    urllib.request.urlopen(f'{server.url}/v2/images').close()
    with socket.create_connection(('127.0.0.1', server.port)) as client:
        client.sendall(b'X\r\n\r\n')
        client.recv(100)
    log = server.dir / 'api.log'
    process.until(lambda: 'invalid request' in log.read_text())
    [line] = [line for line in log.read_text().splitlines() if 'invalid request' in line]

    assert ' [-] invalid request from 127.0.0.1' in line


def test_the_log_says_where_the_service_is_ready_and_how_to_try_it(server):
    log = server.dir / 'api.log'
    process.until(lambda: 'ready at' in log.read_text())
    [line] = [line for line in log.read_text().splitlines() if 'ready at' in line]

    assert line.endswith(f'ready at {server.url}; to try it: curl {server.url}/versions')


def test_reloading_reopens_a_renamed_log_file(server):
    log, rotated = server.dir / 'api.log', server.dir / 'api.log.1'
    log.rename(rotated)

    reload(server, log)

    assert 'reloaded' in log.read_text()
    assert 'reloaded' not in rotated.read_text()
    handles = [os.readlink(f'/proc/{server.pid}/fd/{name}')
               for name in os.listdir(f'/proc/{server.pid}/fd')]
    assert str(rotated) not in handles


def test_reloading_changes_log_level_and_file(server):
    file = server.dir / 'glancelite-api.conf'
    assert 'DEBUG' not in (server.dir / 'api.log').read_text()
    file.write_text(file.read_text().replace('api.log', 'new.log\ndebug = true'))

    reload(server, server.dir / 'new.log')

    assert ' DEBUG ' in (server.dir / 'new.log').read_text()


def test_a_log_that_cannot_be_written_changes_nothing(server):
    file = server.dir / 'glancelite-api.conf'
    file.write_text(file.read_text().replace('api.log', '/nowhere/api.log'))

    reload(server, server.dir / 'api.log')

    logged = (server.dir / 'api.log').read_text()
    assert 'not reloaded: the log cannot be written as configured: ' in logged
    assert live.answers(server.port)
