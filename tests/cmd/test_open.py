"""A service without authentication accepts local requests only."""

import http.client
import os
import signal
import subprocess
import sys

import pytest
import webtest

from glancelite import config
from glancelite.cmd import api
from tests.servers import live, process

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
def test_only_requests_from_loopback_are_accepted(address, status):
    def app(environ, start_response):
        start_response('200 OK', [])
        return []

    statuses = []

    api.loopback_only(app)({'REMOTE_ADDR': address}, lambda status, _: statuses.append(status))

    assert statuses == [status]


def test_reloading_does_not_open_the_service_to_other_hosts():
    with live.server(OPEN, executable=True) as server:
        path, = server.dir.glob('*.conf')
        path.write_text(path.read_text().replace('127.0.0.1', '0.0.0.0'))

        server.process.send_signal(signal.SIGHUP)
        process.until(lambda: 'not reloaded' in server.log.read_text())

        assert ('accepts everyone, so the service must listen on loopback only'
                in server.log.read_text())


def test_allow_insecure_bind_allows_other_addresses():
    with live.server({**OPEN, 'DEFAULT': {**OPEN['DEFAULT'], 'bind_host': '0.0.0.0'},
                      'layers': {**OPEN['layers'], 'allow_insecure_bind': 'true'}}) as server:
        connection = http.client.HTTPConnection('127.0.0.2', server.port, timeout=10)
        connection.request('GET', '/v2/images')

        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.parametrize(('allowed', 'status'), [('false', 403), ('true', 200)])
def test_other_hosts_are_accepted_only_with_allow_insecure_bind(
        allowed, status, tmp_path, monkeypatch):
    monkeypatch.setattr(config, 'set_up_logging', lambda conf: None)    # keeps pytest's logging
    file = tmp_path / 'glancelite-api.conf'
    live.write_config(file, {**OPEN, 'DEFAULT': {**OPEN['DEFAULT'], 'bind_host': 'localhost'},
                             'layers': {**OPEN['layers'], 'allow_insecure_bind': allowed}})
    app = api.application(api.configuration(['--config-file', str(file)]))
    try:
        webtest.TestApp(app).get('/v2/images', status=status,
                                 extra_environ={'REMOTE_ADDR': '192.0.2.1'})
    finally:
        app.close()


def test_the_embedded_service_imports_no_key_manager(tmp_path):
    """Castellan and its clients take long to import, so they are imported on first use."""
    program = ('import sys\n'
               'from glancelite import assembly, config\n'
               'core = assembly.build(config.load([]))\n'
               'core.close()\n'
               'slow = "castellan", "cursive", "barbicanclient"\n'
               'print([name for name in sys.modules if name.startswith(slow)])')

    ended = subprocess.run([sys.executable, '-c', program], text=True, capture_output=True,
                           check=True, env={**os.environ, **live.private(tmp_path)})

    assert ended.stdout.splitlines()[-1] == '[]'


def test_other_users_of_the_machine_cannot_read_images_of_the_embedded_service(tmp_path):
    program = 'from glancelite import assembly, config\nassembly.build(config.load([])).close()'

    subprocess.run([sys.executable, '-c', program], capture_output=True, check=True,
                   env={**os.environ, **live.private(tmp_path)})

    modes = {path.name: path.stat().st_mode & 0o777
             for path in tmp_path.rglob('*') if path.name in ('images', 'staging')}
    assert modes == {'images': 0o700, 'staging': 0o700}
