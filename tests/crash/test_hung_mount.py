"""A hung mount does not hang the service, and is used again after its recovery.

One of two stores is on a FUSE mount whose process is stopped. Where mounting is not permitted,
a stand-in is used; see tests/servers/mount.py.
"""

import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.crash import service
from tests.servers import mount, process, programs

THREADS = 8
TIMEOUT = 1     # second
MIB = 1 << 20


class World:

    def __init__(self, server, mounted, folder):
        self.server, self.mounted, self.folder = server, mounted, folder

    def client(self):
        return service.Client(self.server)

    def manage(self, *arguments):
        """Run ``glancelite-manage`` with the configuration of the server."""
        return subprocess.run(
            [pathlib.Path(sys.executable).with_name('glancelite-manage'), '--config-file',
             self.server.dir / 'glancelite-api.conf', *arguments], capture_output=True,
            text=True, timeout=30, check=False, env={**os.environ, **self.mounted.env})


def config(folder, mounted, **options):
    return service.config(
        folder, f'sqlite:///{folder}/glancelite.sqlite',
        DEFAULT={'enabled_backends': 'file:file, far:file', 'workers': 1, 'threads': THREADS,
                 'graceful_shutdown_timeout': 1, 'upload_lease': 60},
        far={'filesystem_store_datadir': mounted.path / 'images',
             'filesystem_store_timeout': TIMEOUT, 'filesystem_store_thread_pool_size': 3,
             **options})


@pytest.fixture(scope='module')
def folder_and_mount():
    """A folder, and the mount in it."""
    with process.directory('mount') as folder, \
            mount.mounted(programs.require('bindfs'), folder) as mounted:
        yield folder, mounted


@pytest.fixture(scope='module')
def world(folder_and_mount, run_server):
    folder, mounted = folder_and_mount
    with run_server(config(folder, mounted), mounted.env,
                    executable=bool(mounted.env)) as server:
        yield World(server, mounted, folder)


@pytest.fixture
def silence(world):
    """A function that makes the mount hang; it recovers after the test."""
    yield world.mounted.silence
    world.mounted.answer()
    with world.client() as client:
        assert service.until(lambda: put(client, client.create(), b'x', 'far') == 204)


def put(client, image_id, data, store):
    return client.ask('PUT', f'/v2/images/{image_id}/file', data, 'application/octet-stream',
                      **{'X-Image-Meta-Store': store})[0]


def upload(client, data, store):
    """Return the id of a new image in ``store``."""
    image_id = client.create()
    assert put(client, image_id, data, store) == 204
    return image_id


def timed(act, *arguments):
    """Return the result and the duration in seconds."""
    started = time.monotonic()
    return act(*arguments), time.monotonic() - started


def fastest(act, *arguments):
    """Return that of the fastest of three calls; a busy machine delays some."""
    return min((timed(act, *arguments) for _ in range(3)), key=lambda pair: pair[1])


def test_the_service_stays_usable_while_a_mount_hangs(world, silence):
    with world.client() as client:
        near, far = upload(client, b'near', 'file'), upload(client, b'far', 'far')
        queued = client.create()

        def download(image_id):
            with world.client() as another:
                return another.ask('GET', f'/v2/images/{image_id}/file')[0]

        with concurrent.futures.ThreadPoolExecutor(3 * THREADS) as pool:
            silence()
            hanging = [pool.submit(timed, download, far) for _ in range(3 * THREADS)]
            time.sleep(0.1)
            others = [timed(client.ask, 'GET', path) for path in (
                '/v2/images', f'/v2/images/{near}/file', '/v2/images')]
            refused = [each.result() for each in hanging]
        known = fastest(download, far)
        uploads = [fastest(put, client, queued, b'data', 'far'),
                   timed(put, client, client.create(), b'data', 'file')]
        state = client.show(queued)['status']
        checked = world.manage('check')

        world.mounted.answer()
        assert service.until(lambda: download(far) == 200)

    assert [answer[0] for answer, _ in others] == [200] * 3
    assert max(took for _, took in others) < 10 * TIMEOUT
    assert {status for status, _ in refused} == {503}
    assert max(took for _, took in refused) < 10 * TIMEOUT
    assert known[0] == 503
    assert known[1] < TIMEOUT / 2
    assert [status for status, _ in uploads] == [503, 204]
    assert max(took for _, took in uploads) < TIMEOUT / 2
    assert state == 'queued'
    assert checked.returncode == 1
    assert (f'FAIL  store far: {world.mounted.path}/images: the directory does not answer'
            in checked.stdout)


def test_a_download_that_hangs_is_aborted(world, silence):
    size = 64 * MIB
    with world.client() as client:
        far = upload(client, b'x' * size, 'far')
    connection = http.client.HTTPConnection('127.0.0.1', world.server.port, timeout=20)
    with contextlib.closing(connection):
        connection.request('GET', f'/v2/images/{far}/file')
        reply = connection.getresponse()
        reply.read(MIB)
        silence()

        started = time.monotonic()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            reply.read()

        assert reply.status == 200
        assert time.monotonic() - started < 10 * TIMEOUT


def test_an_upload_that_hangs_fails_and_is_cleaned_up(world, silence):
    def source():
        yield b'x' * 3 * MIB
        silence()
        for _ in range(3):
            yield b'y' * MIB

    before = sorted(os.listdir(world.mounted.path / 'images'))
    with world.client() as client:
        image_id = client.create()

        status, took = timed(put, client, image_id, source(), 'far')
        state = client.show(image_id)['status']

        assert status == 503
        assert took < 10 * TIMEOUT
        assert state == 'queued'
        world.mounted.answer()
        assert service.until(
            lambda: sorted(os.listdir(world.mounted.path / 'images')) == before)
        assert service.until(lambda: put(client, image_id, b'again', 'far') == 204)


@pytest.mark.parametrize('options', [{}, {'filesystem_store_timeout': 0}],
                         ids=['with timeout', 'without timeout'])
def test_a_service_starts_and_stops_while_a_mount_hangs(world, run_server, silence,
                                                       tmp_path, options):
    """Without a timeout a request waits, but the service stops nevertheless."""
    with world.client() as client:
        far = upload(client, b'far', 'far')
    silence()
    (tmp_path / 'glancelite.sqlite').symlink_to(world.folder / 'glancelite.sqlite')

    with run_server(config(tmp_path, world.mounted, **options), world.mounted.env,
                    executable=bool(world.mounted.env)) as server:
        with service.Client(server) as client:
            near = upload(client, b'near', 'file')
            assert client.ask('GET', f'/v2/images/{near}/file') == (200, b'near')
            if not options:
                assert client.ask('GET', f'/v2/images/{far}/file')[0] == 503
        waiting = http.client.HTTPConnection('127.0.0.1', server.port, timeout=30)
        waiting.request('GET', f'/v2/images/{far}/file')
        time.sleep(0.3)
        _, took = timed(lambda: (server.process.send_signal(signal.SIGTERM),
                                 server.process.wait(30)))
        waiting.close()

    assert took < 10


def test_the_stand_in_for_a_mount_hangs(tmp_path):
    """The tests above use it where mounting is not permitted."""
    look = [sys.executable, '-c', 'import os, sys; print(os.stat(sys.argv[1]).st_size)']
    with mount.interposed(tmp_path) as mounted:
        env = {**os.environ, **mounted.env}
        for folder in mounted.path, tmp_path:
            (folder / 'file').write_text('12345')

        mounted.silence()
        waiting = subprocess.Popen([*look, mounted.path / 'file'], env=env, text=True,
                                   stdout=subprocess.PIPE)
        other = subprocess.check_output([*look, tmp_path / 'file'], env=env, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
        mounted.answer()

        assert other == '5\n'
        assert waiting.communicate(timeout=10)[0] == '5\n'
