"""The deletion of an image ends the work on its data within seconds, and nothing is left."""

import select
import socket
import time

import pytest

from tests.durability import imports, small_imports
from tests.durability.cluster import MIB, PATIENCE
from tests.durability.moments import Hold, Moments
from tests.servers import dropping_web, process

#: seconds between two pieces of a slow client
PAUSE = 0.2
PIECE = bytes(64 << 10)


class SlowClient:
    """Stages data for a quarter of an hour, unless the server answers."""

    def __init__(self, server, image_id):
        self._socket = socket.create_connection(('127.0.0.1', server.port))
        self._socket.sendall(
            f'PUT /v2/images/{image_id}/stage HTTP/1.1\r\nHost: x\r\n'
            f'Content-Type: application/octet-stream\r\nContent-Length: {300 * MIB}\r\n\r\n'
            .encode())

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self._socket.close()

    def send(self, seconds):
        """Send data for so long; return the answer, if there is one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._socket.sendall(PIECE)
            if select.select([self._socket], [], [], PAUSE)[0]:
                return self._socket.recv(1 << 16)
        return None


def delete(cluster, image_id):
    with cluster.client(1) as client:
        assert client.ask('DELETE', f'/v2/images/{image_id}')[0] == 204
        assert client.show(image_id) is None


def test_the_deletion_of_an_image_ends_its_stage(cluster):
    with cluster.client() as client:
        image_id = client.create()
    with SlowClient(cluster.apis[0], image_id) as slow:
        assert slow.send(1) is None

        delete(cluster, image_id)

        answer = slow.send(PATIENCE)
    assert answer is not None
    assert answer.startswith(b'HTTP/1.1 410 '), answer
    assert b'was deleted while its data was staged' in answer
    cluster.check_clean()


@pytest.fixture
def stalling_web():
    """A web server that sends three quarters of an image."""
    with dropping_web.running(imports.COMPRESSED,
                              stall=len(imports.COMPRESSED) * 3 // 4) as server:
        yield server


def ended(cluster, task_id):
    """The task has ended because of the deletion, in the process that began it."""
    task = cluster.finished(task_id)
    assert (task['status'], task['attempt']) == ('failure', 1)
    assert task['message'] in ('The image was deleted.', 'The task was cancelled.')
    cluster.check_clean()


def test_the_deletion_of_an_image_ends_its_download(calm_cluster, stalling_web):
    cluster = calm_cluster
    task_id = imports.begin(cluster, 'web-download', stalling_web)
    assert process.until(lambda: stalling_web.sent == stalling_web.site.stall, PATIENCE)

    delete(cluster, cluster.task(task_id)['image_id'])

    ended(cluster, task_id)


def test_the_deletion_of_an_image_ends_its_download_that_has_not_begun(calm_cluster):
    with dropping_web.running(small_imports.COMPRESSED, pause=PATIENCE) as web:
        task_id = imports.begin(calm_cluster, 'web-download', web)
        assert process.until(lambda: web.requests, PATIENCE)

        delete(calm_cluster, calm_cluster.task(task_id)['image_id'])

        ended(calm_cluster, task_id)


def test_the_deletion_of_an_image_ends_a_step_of_its_import(calm_cluster, web, sizes):
    cluster, hold = calm_cluster, Hold()
    phase = 'step:decompression'
    watch = Moments({phase: sizes['web-download'][phase] // 2}, hold)
    task_id = imports.begin(cluster, 'web-download', web, watch)
    hold.wait()

    delete(cluster, cluster.task(task_id)['image_id'])
    hold.release()

    ended(cluster, task_id)
