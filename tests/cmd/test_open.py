"""A service that asks nobody who they are stays on its own machine."""

import signal
import time

import pytest

from glancelite.cmd import api
from tests.servers import live

OPEN = {
    'DEFAULT': {'enabled_backends': 'memory:memory', 'workers': '1'},
    'glance_store': {'default_backend': 'memory'},
    'layers': {'auth': 'noauth', 'database': 'memory'},
}


@pytest.mark.parametrize(('address', 'status'), [
    ('127.0.0.1', '200 OK'), ('127.8.0.1', '200 OK'), ('::1', '200 OK'),
    ('::ffff:127.0.0.1', '200 OK'), ('192.0.2.1', '403 Forbidden'),
    ('2001:db8::1', '403 Forbidden'), ('::ffff:192.0.2.1', '403 Forbidden'),
    ('localhost', '403 Forbidden'), ('', '403 Forbidden'),
])
def test_only_its_own_machine_gets_in_whoever_listens(address, status):
    def app(environ, start_response):
        start_response('200 OK', [])
        return []

    said = []

    api.for_this_machine(app)({'REMOTE_ADDR': address}, lambda status, _: said.append(status))

    assert said == [status]


def test_reloading_does_not_open_it():
    with live.server(OPEN) as server:
        path, = server.dir.glob('*.conf')
        path.write_text(path.read_text().replace('127.0.0.1', '0.0.0.0'))

        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while 'not reloaded' not in server.log.read_text() and time.monotonic() < end:
            time.sleep(0.05)

        assert 'lets everybody in, so it listens on loopback only' in server.log.read_text()
