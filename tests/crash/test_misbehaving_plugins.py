"""A plugin that raises what ends a process ends neither the worker nor other requests."""

import os
import pathlib
import signal
import threading
import time

import pytest

from tests.crash import service
from tests.servers.process import until

#: plugins that work, but raise what the file ``$ACME_FAULT`` says: layer, method and error
PACKAGE = '''
import builtins
import os
import time

from glancelite import contract
from glancelite.plugins.auth.noauth import NoAuth
from glancelite.plugins.database.sql import SQLDatabase
from glancelite.plugins.inspector.format import FormatInspector
from glancelite.plugins.location.as_listed import AsListed
from glancelite.plugins.middleware.healthcheck import Healthcheck
from glancelite.plugins.notifier.log import LogNotifier
from glancelite.plugins.policy.ownership import Ownership
from glancelite.plugins.quota.limits import Limits
from glancelite.plugins.store.file import FileStore


def check(layer, method):
    with open(os.environ['ACME_FAULT']) as file:
        wanted, name, error = (file.read() + '  ').split(' ')[:3]
    if (wanted, name) == (layer, method):
        if error == 'hangs':
            time.sleep(1000)
        raise getattr(builtins, error)('acme')


def faulty(kind, *methods):
    """Return a subclass whose methods raise what the file says."""
    def replace(method):
        def call(self, *args, **named):
            check(kind.LAYER, method)
            return getattr(super(made, self), method)(*args, **named)
        return call
    made = type('Acme' + kind.__name__, (kind,), {name: replace(name) for name in methods})
    return made


class Database(SQLDatabase):

    @property
    def images(self):
        check('database', 'images')
        return super().images


class Middleware(Healthcheck):

    def wrap(self, app):
        def wrapped(environ, start_response):
            check('middleware', 'request')
            return app(environ, start_response)
        return wrapped


Auth = faulty(NoAuth, 'identify')
Policy = faulty(Ownership, 'enforce', 'filter', 'is_admin')
Quota = faulty(Limits, 'check')
Notifier = faulty(LogNotifier, 'notify', 'close')
Inspector = faulty(FormatInspector, 'open')
Location = faulty(AsListed, 'order')
Store = faulty(FileStore, 'write', 'read', 'delete', 'discard', 'health', 'close', 'properties')
'''
LAYERS = ('auth', 'policy', 'quota', 'notifier', 'inspector', 'location', 'database', 'store',
          'middleware')


@pytest.fixture(scope='module')
def world(run_server, tmp_path_factory):
    home = tmp_path_factory.mktemp('acme')
    info, fault = home / 'acme_faults-1.0.dist-info', home / 'fault'
    info.mkdir()
    (home / 'acme_faults.py').write_text(PACKAGE)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme-faults\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text('\n'.join(
        f'[glancelite.{layer}]\nacme = acme_faults:{layer.title()}' for layer in LAYERS))
    fault.touch()
    config = service.config(
        home, f'sqlite:///{home}/glancelite.sqlite', layers={
            'policy': 'acme, oslo', 'quota': 'acme', 'notifier': 'acme', 'inspector': 'acme',
            'location': 'acme', 'database': 'acme', 'auth': 'acme', 'middleware': 'acme',
            'sync_database': 'true'},
        DEFAULT={'enabled_backends': 'file:acme', 'workers': 1})
    root = pathlib.Path(__file__).parents[2]
    env = {'PYTHONPATH': f'{home}{os.pathsep}{root}', 'ACME_FAULT': str(fault)}
    with run_server(config, env) as server:
        yield server, fault


@pytest.fixture
def server(world):
    server, fault = world
    yield server
    fault.write_text('')


@pytest.fixture
def fault(world):
    return world[1]


@pytest.fixture
def client(server):
    with service.Client(server) as client:
        yield client


def everything(client, image_id):
    """Use each layer; return the statuses of the answers."""
    new = '{"disk_format": "raw", "container_format": "bare"}'
    return [client.ask(method, path, body, kind)[0] for method, path, body, kind in (
        ('GET', '/v2/images', None, ''), ('GET', f'/v2/images/{image_id}', None, ''),
        ('GET', f'/v2/images/{image_id}/file', None, ''),
        ('GET', '/v2/info/stores/detail', None, ''),
        ('POST', '/v2/images', new, 'application/json'),
        ('PUT', f'/v2/images/{client.waiting}/file', b'data', 'application/octet-stream'),
        ('DELETE', f'/v2/images/{image_id}', None, ''))]


@pytest.mark.parametrize('error', ['SystemExit', 'KeyboardInterrupt', 'GeneratorExit',
                                   'RuntimeError'])
@pytest.mark.parametrize('where', [
    'auth identify', 'policy enforce', 'policy filter', 'policy is_admin', 'quota check',
    'notifier notify', 'inspector open', 'location order', 'database images', 'store write',
    'store read', 'store delete', 'store properties', 'middleware request'])
def test_no_plugin_ends_the_worker_or_the_upload_of_another(server, client, fault, where, error):
    """The worker is the same before and after: an upload of another client goes on in it."""
    image_id, other, client.waiting = client.create(), client.create(), client.create()
    assert client.upload(image_id, b'data') == 204
    started, go_on = threading.Event(), threading.Event()
    workers, answers = service.processes(server), []

    def slowly():
        yield b'x' * 100_000
        # the data is being written when this fills the buffers of the connection
        yield b'x' * (16 << 20)
        started.set()
        go_on.wait(60)
        yield b'x' * 100_000

    def upload():
        with service.Client(server) as uploader:
            answers.append(uploader.upload(other, slowly()))

    uploading = threading.Thread(target=upload)
    uploading.start()
    assert started.wait(30)
    assert until(lambda: client.show(other)['status'] == 'saving')
    fault.write_text(f'{where} {error}')
    statuses = everything(client, image_id)
    fault.write_text('')
    go_on.set()
    uploading.join()

    assert set(statuses) <= {200, 201, 204, 500, 503}
    assert answers == [204]
    assert service.processes(server) == workers
    assert client.show(other)['size'] == 200_000 + (16 << 20)
    assert client.ask('GET', '/v2/images')[0] == 200


def test_a_plugin_that_does_not_close_does_not_prevent_the_stop(server, client, fault):
    """The last test of the module: it stops the server."""
    fault.write_text('notifier close hangs')
    began = time.monotonic()

    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)

    assert time.monotonic() - began < 50
    assert 'the notifier plugin acme was not closed' in server.log.read_text()
