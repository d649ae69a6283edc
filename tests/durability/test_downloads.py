"""A download over many broken connections fetches each byte once."""

import random

import pytest

from tests.durability.cluster import MIB
from tests.servers import dropping_web


@pytest.mark.parametrize('size', [32 * MIB, pytest.param(1024 * MIB, marks=pytest.mark.long)])
def test_a_download_from_a_server_that_drops_connections_takes_one_pass(calm_cluster, size):
    data = random.Random(size).randbytes(MIB + 1) * (size // MIB)
    with dropping_web.running(data, drop=3 * MIB) as web, calm_cluster.client() as client:
        image_id = client.create()
        task_id = calm_cluster.begin(image_id, {'name': 'web-download', 'uri': web.url})
        calm_cluster.succeeded(task_id, data, copies=['one'], patience=600)
        assert calm_cluster.task(task_id)['attempt'] == 1
        assert web.sent == len(data)
        assert len(web.requests) == -(-len(data) // (3 * MIB))
