"""A crash at any time loses no data of an active image and leaves no partial data."""

import contextlib
import dataclasses
import hashlib
import http.client
import http.server
import json
import os
import random
import threading
import time

import pytest

from tests.crash import service

ROUNDS = 3
CLIENTS = 8
PIECE = 20_000


@dataclasses.dataclass
class Known:
    """What the clients know of an image."""

    sent: str | None = None         # sha512 of the data sent last
    acknowledged: str | None = None     # sha512 of the data of a successful upload
    deleting: bool = False          # its deletion was requested


class Clients:
    """Clients that create, fill and delete images until the server has ended."""

    def __init__(self, server, known, seed):
        self._server = server
        self._known = known
        self._threads = [threading.Thread(target=self._work, args=(random.Random(seed + number),))
                         for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self):
        for thread in self._threads:
            thread.join()

    def _work(self, rng):
        with contextlib.suppress(OSError, http.client.HTTPException), \
                service.Client(self._server) as client:
            while True:
                image_id = client.create()
                about = self._known.setdefault(image_id, Known())
                data = os.urandom(rng.choice([0, 10, 5_000, 200_000, 2_000_000]))
                about.sent = hashlib.sha512(data).hexdigest()
                body = data if rng.random() < 0.5 else _slowly(data, rng)
                if client.upload(image_id, body) == 204:
                    about.acknowledged = about.sent
                if rng.random() < 0.3:
                    about.deleting = True
                    client.ask('DELETE', f'/v2/images/{image_id}')


def _slowly(data, rng):
    for start in range(0, len(data), PIECE):
        if rng.random() < 0.1:
            time.sleep(0.02)
        yield data[start:start + PIECE]


@pytest.fixture(params=[pytest.param('sqlite', marks=pytest.mark.long), 'postgresql'])
def database(request, tmp_path):
    if request.param == 'sqlite':
        return f'sqlite:///{tmp_path}/glancelite.sqlite'
    return request.getfixturevalue('fresh_postgres')


def test_acknowledged_uploads_are_complete_and_others_are_queued_again(
        database, tmp_path, run_server):
    known = {}
    config = service.config(tmp_path, database)
    seed = random.randrange(1 << 30)
    print(f'seed {seed}')

    for number in range(ROUNDS):
        with run_server(config) as server:
            clients = Clients(server, known, seed + 100 * number)
            # a busy machine needs longer for the first upload
            assert service.until(lambda: any(about.acknowledged and not about.deleting
                                             for about in list(known.values())))
            time.sleep(random.Random(seed + number).uniform(0.4, 1.2))
            service.crash(server)
            clients.join()

    with run_server(config) as server, service.Client(server) as client:
        assert service.swept(tmp_path, database), (service.rows(database),
                                                   service.stored(tmp_path))
        images = client.images()
        assert {image['status'] for image in images.values()} <= {'queued', 'active'}
        finished = 0
        for image_id, about in known.items():
            image = images.get(image_id)
            if image is None:
                assert about.deleting
            elif image['status'] == 'active':
                found = client.sha512(image_id) or hashlib.sha512(b'').hexdigest()
                assert found == about.sent == image['os_hash_value']
                finished += 1
            else:
                assert about.acknowledged is None
                assert image['size'] is None
                assert client.upload(image_id, b'again') == 204
                assert client.sha512(image_id) == hashlib.sha512(b'again').hexdigest()
        assert finished
        for image_id in images:
            assert client.ask('DELETE', f'/v2/images/{image_id}')[0] == 204
        assert service.swept(tmp_path, database)
        assert service.stored(tmp_path) == []


def test_a_killed_worker_loses_only_its_own_uploads(tmp_path, run_server):
    database = f'sqlite:///{tmp_path}/glancelite.sqlite'
    with run_server(service.config(tmp_path, database, DEFAULT={'workers': 1})) as server, \
            service.Client(server) as first, service.Client(server) as other:
        kept, lost = first.create(), first.create()
        assert first.upload(kept, b'kept') == 204

        def endless():
            yield b'x' * PIECE
            assert service.until(lambda: first.show(lost)['status'] == 'saving')
            worker, = set(service.processes(server)) - {server.pid}
            os.kill(worker, 9)
            while True:
                time.sleep(0.05)
                yield b'x' * PIECE

        with pytest.raises(OSError):
            other.upload(lost, endless())

        with service.Client(server) as client:
            assert service.until(lambda: client.show(lost)['status'] == 'queued')
            assert client.upload(lost, b'again') == 204
            assert client.sha512(kept) == hashlib.sha512(b'kept').hexdigest()
        assert service.swept(tmp_path, database)


class Web(http.server.BaseHTTPRequestHandler):
    """Data whose rest is sent when ``server.resume`` is set."""

    DATA = b'web' * PIECE

    def do_HEAD(self):
        self.send_response(200)
        self.send_header('Content-Length', str(len(self.DATA)))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.DATA[:PIECE])
        self.server.requested.set()
        self.server.resume.wait(20)
        self.wfile.write(self.DATA[PIECE:])


@pytest.fixture
def web():
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Web) as server:
        server.requested, server.resume = threading.Event(), threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.resume.set()
        server.shutdown()


def test_the_hash_of_a_web_location_is_computed_after_a_crash(tmp_path, run_server, web):
    config = service.config(
        tmp_path, f'sqlite:///{tmp_path}/glancelite.sqlite',
        DEFAULT={'enabled_backends': 'file:file, web:http'},
        import_filtering_opts={'allowed_hosts': '127.0.0.1',
                               'allowed_ports': web.server_address[1]})
    with run_server(config) as server, service.Client(server) as client:
        image_id = client.create()
        assert client.ask('POST', f'/v2/images/{image_id}/locations', json.dumps(
            {'url': f'http://127.0.0.1:{web.server_address[1]}/image'}))[0] == 202
        assert web.requested.wait(10)
        assert client.show(image_id)['status'] == 'active'
        service.crash(server)
    web.resume.set()

    with run_server(config) as server, service.Client(server) as client:
        assert service.until(lambda: client.show(image_id)['os_hash_value'])
        assert client.show(image_id)['os_hash_value'] == hashlib.sha512(Web.DATA).hexdigest()
