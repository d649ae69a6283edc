"""Failures are reported in time, and leave the image unchanged."""

import contextlib
import hashlib
import http.client
import os
import resource
import socket
import threading

import pytest

from tests.crash import service

BYTES = 'application/octet-stream'


class World:
    """A running service with its files and its database."""

    def __init__(self, server, folder, database):
        self.server, self.folder, self.database = server, folder, database

    def client(self):
        return service.Client(self.server)

    def has_no_data(self):
        return service.swept(self.folder, self.database) and service.stored(self.folder) == []


@pytest.fixture(scope='module')
def world(run_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp('failures')
    database = f'sqlite:///{folder}/glancelite.sqlite'
    with run_server(service.config(folder, database)) as server:
        yield World(server, folder, database)


@pytest.fixture
def client(world):
    with world.client() as client:
        yield client
        for image_id in client.images():
            client.ask('DELETE', f'/v2/images/{image_id}')


@contextlib.contextmanager
def files_no_larger_than(size, server):
    """Simulate a full disk: writes beyond this size fail."""
    pids = service.processes(server)
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
              for pid in pids]
    try:
        yield
    finally:
        for pid, limits in zip(pids, before, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize('chunked', [False, True], ids=['known size', 'unknown size'])
def test_an_upload_to_a_full_store_is_rejected_and_leaves_no_data(chunked, world, client):
    image_id, data = client.create(), os.urandom(4_000_000)
    with files_no_larger_than(3_000_000, world.server):

        status = client.upload(image_id, iter([data]) if chunked else data)

    assert status == 413
    assert client.show(image_id)['status'] == 'queued'
    assert client.show(image_id)['size'] is None
    assert world.has_no_data()
    assert client.upload(image_id, data) == 204
    assert client.sha512(image_id) == hashlib.sha512(data).hexdigest()


@pytest.fixture(params=['nothing', 'a file', 'an empty directory'])
def away(request, world):
    """Call it to move the data directory away for a ``with`` block."""
    @contextlib.contextmanager
    def moved():
        images, elsewhere = world.folder / 'images', world.folder / 'away'
        images.rename(elsewhere)
        try:
            if request.param == 'a file':
                images.touch()
            elif request.param == 'an empty directory':     # a mount point without its mount
                images.mkdir()
            yield
        finally:
            if images.is_dir():
                images.rmdir()
            images.unlink(missing_ok=True)
            elsewhere.rename(images)
    return moved


def test_an_unavailable_store_is_reported_and_may_return(away, world, client):
    image_id, kept = client.create(), client.create()
    assert client.upload(kept, b'kept') == 204

    with away():
        status = client.upload(image_id, b'data')

    assert status == 503
    assert client.show(image_id)['status'] == 'queued'
    assert client.upload(image_id, b'data') == 204
    assert client.sha512(kept) == hashlib.sha512(b'kept').hexdigest()


def test_no_image_is_deleted_while_its_store_is_away(away, world, client):
    image_id = client.create()
    assert client.upload(image_id, b'data') == 204

    with away():
        read, _ = client.ask('GET', f'/v2/images/{image_id}/file')
        deleted, _ = client.ask('DELETE', f'/v2/images/{image_id}')

    assert (read, deleted) == (503, 503)
    assert client.show(image_id)['status'] == 'active'
    assert client.sha512(image_id) == hashlib.sha512(b'data').hexdigest()
    assert client.ask('DELETE', f'/v2/images/{image_id}')[0] == 204
    assert world.has_no_data()


@pytest.mark.parametrize('head', [b'Content-Length: 5000000', b'Transfer-Encoding: chunked'],
                         ids=['known size', 'chunked'])
def test_partial_data_of_a_disconnected_client_is_discarded(head, world, client):
    image_id = client.create()
    with socket.create_connection(('127.0.0.1', world.server.port)) as leaving:
        leaving.sendall(f'PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\n'
                        f'Content-Type: {BYTES}\r\n'.encode() + head + b'\r\n\r\n'
                        b'100000\r\n' + os.urandom(500_000))
        assert service.until(lambda: client.show(image_id)['status'] == 'saving')

    assert service.until(lambda: client.show(image_id)['status'] == 'queued', 5)
    assert client.show(image_id)['size'] is None
    assert world.has_no_data()
    assert client.upload(image_id, b'again') == 204


def test_an_image_that_is_deleted_during_its_upload_stays_deleted(world, client):
    image_id = client.create()

    def delete_meanwhile():
        yield b'x' * 100_000
        assert service.until(lambda: client.show(image_id)['status'] == 'saving')
        assert client.ask('DELETE', f'/v2/images/{image_id}')[0] == 204
        yield b'x' * 100_000

    with world.client() as uploader:
        status = uploader.upload(image_id, delete_meanwhile())

    assert status == 410
    assert client.show(image_id) is None
    assert world.has_no_data()


def test_of_concurrent_uploads_one_succeeds_and_its_data_stays(world, client):
    image_id = client.create()
    datas = [bytes([number]) * 300_000 for number in range(6)]
    together = threading.Barrier(len(datas))
    statuses = [None] * len(datas)

    def upload(number):
        with world.client() as uploader:
            together.wait()
            with contextlib.suppress(OSError, http.client.HTTPException):
                statuses[number] = uploader.upload(image_id, datas[number])

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(len(datas))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses.count(204) == 1
    assert set(statuses) == {204, 409}
    winner = datas[statuses.index(204)]
    assert client.sha512(image_id) == hashlib.sha512(winner).hexdigest()
    assert service.stored(world.folder) == [image_id]


class TestDatabase:
    """PostgreSQL becomes unavailable and returns while the service runs."""

    @pytest.fixture
    def world(self, run_server, tmp_path, fresh_postgres):
        with run_server(service.config(tmp_path, fresh_postgres)) as server:
            yield World(server, tmp_path, fresh_postgres)

    @staticmethod
    def change(postgres_server, database, clause):
        """Change the database, and end all connections to it."""
        name = database.rpartition('/')[2]
        postgres_server._execute(f'ALTER DATABASE {name} {clause}')
        postgres_server._execute('SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
                                 f"WHERE datname = '{name}'")

    def test_requests_get_503_until_the_database_returns(
            self, world, client, postgres_server):
        image_id = client.create()

        self.change(postgres_server, world.database, 'ALLOW_CONNECTIONS false')
        away = [client.ask('GET', '/v2/images')[0], client.upload(image_id, b'data'),
                client.ask('POST', '/v2/images', '{}')[0],
                client.ask('GET', f'/v2/images/{image_id}')[0]]
        self.change(postgres_server, world.database, 'ALLOW_CONNECTIONS true')

        assert away == [503] * 4
        assert client.upload(image_id, b'data') == 204
        assert list(client.images()) == [image_id]

    def test_an_upload_interrupted_by_the_database_is_recovered_by_the_sweep(
            self, world, client, postgres_server):
        image_id = client.create()

        def interrupted():
            yield b'x' * 100_000
            assert service.until(lambda: client.show(image_id)['status'] == 'saving')
            self.change(postgres_server, world.database, 'ALLOW_CONNECTIONS false')
            yield b'x' * 100_000

        with world.client() as uploader:
            status = uploader.upload(image_id, interrupted())
        self.change(postgres_server, world.database, 'ALLOW_CONNECTIONS true')

        assert status == 503
        assert service.until(lambda: client.show(image_id)['status'] == 'queued')
        assert world.has_no_data()
        assert client.upload(image_id, b'again') == 204

    def test_images_can_be_read_while_the_database_is_read_only(
            self, world, client, postgres_server):
        image_id, waiting = client.create(), client.create()
        assert client.upload(image_id, b'data') == 204

        self.change(postgres_server, world.database, 'SET default_transaction_read_only = on')
        read = [client.ask('GET', path)[0] for path in (
            '/v2/images', f'/v2/images/{image_id}', f'/v2/images/{image_id}/file')]
        written = [client.ask('POST', '/v2/images', '{}')[0], client.upload(waiting, b'data'),
                   client.ask('DELETE', f'/v2/images/{image_id}')[0]]
        self.change(postgres_server, world.database, 'SET default_transaction_read_only = off')

        assert read == [200] * 3
        assert written == [503] * 3
        assert client.upload(waiting, b'data') == 204
        assert client.sha512(image_id) == hashlib.sha512(b'data').hexdigest()
