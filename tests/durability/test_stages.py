"""A client stages data, and the API process that receives it is killed."""

import os
import random
import signal

import pytest

from tests.crash import service
from tests.durability import imports, stores
from tests.servers import process

PIECE = 1 << 16
PIECES = [imports.COMPRESSED[start:start + PIECE]
          for start in range(0, len(imports.COMPRESSED), PIECE)]


@pytest.mark.parametrize('seeds', [range(1), pytest.param(range(1, 21), marks=pytest.mark.long)])
def test_a_stage_that_is_killed_leaves_a_queued_image_and_can_be_repeated(cluster, seeds):
    for seed in seeds:
        print(f'seed {seed}')
        moment = random.Random(seed).randrange(len(PIECES))
        with cluster.client() as client:
            image_id = client.create()
            task_id = interrupted_and_repeated(cluster, client, image_id, moment)

        cluster.succeeded(task_id, imports.DATA)


def interrupted_and_repeated(cluster, client, image_id, moment):
    """Kill the process that receives the data; stage it again, and import it."""
    server = cluster.apis[0]

    def body():
        for number, piece in enumerate(PIECES):
            if number == moment:
                worker, = set(service.processes(server)) - {server.pid}
                os.kill(worker, signal.SIGKILL)
            yield piece

    path = f'/v2/images/{image_id}/stage'
    with pytest.raises(OSError):
        client.ask('PUT', path, body(), 'application/octet-stream')
    with cluster.client(1) as other:
        assert process.until(lambda: other.show(image_id)['status'] == 'queued')
        cluster.check_clean()
        status, answer = other.ask('PUT', path, imports.COMPRESSED, 'application/octet-stream')
        assert status == 204, answer
    return cluster.begin(image_id, {'name': 'glance-direct'}, node=1, stores=[*stores.NAMES])
