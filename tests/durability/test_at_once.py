"""Many imports at once: all end, and none runs twice."""

import concurrent.futures
import gzip
import hashlib
import json
import time

import pytest

from tests.durability import cluster as clusters
from tests.servers import dropping_web, process

DATA = b'one of many' * 1000
COMPRESSED = gzip.compress(DATA, 1)


@pytest.fixture
def small():
    """A web server with a small image."""
    with dropping_web.running(COMPRESSED) as server:
        yield server


def begin(cluster, uri, count):
    """Begin imports at both nodes at once; return the ids of their images."""
    def one(number):
        with cluster.client(number % 2) as client:
            image_id = client.create()
            status, body = client.ask('POST', f'/v2/images/{image_id}/import', json.dumps(
                {'method': {'name': 'web-download', 'uri': uri}}))
            assert status == 202, body
            return image_id
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        return list(pool.map(one, range(count)))


def ended(cluster, image_ids):
    """Wait until all imports have succeeded, at once; return the ids of their tasks."""
    listed = ', '.join(f"'{image_id}'" for image_id in image_ids)
    tasks = ('SELECT id, status, attempt, message FROM tasks JOIN task_info ON id = task_id '
             f'WHERE image_id IN ({listed})')
    left = f"{tasks} AND status IN ('pending', 'processing')"
    assert process.until(lambda: not cluster.rows(left), 300), cluster.rows(left)
    found = cluster.rows(tasks)
    assert {row[1:] for row in found} == {('success', 1, '')}
    assert len(found) == len(image_ids)
    return [row[0] for row in found]


@pytest.mark.parametrize('count', [30, pytest.param(200, marks=pytest.mark.long)])
def test_many_imports_at_once_end_and_none_runs_twice(calm_cluster, small, count):
    cluster = calm_cluster
    image_ids = begin(cluster, small.url, count)
    tasks = ended(cluster, image_ids)

    begun = [sum(f'task {task_id} (' in worker.log for task_id in tasks)
             for worker in cluster.workers]
    assert sum(begun) == count
    if count == 200:
        assert all(begun)
    with cluster.client() as client:
        images = client.images()
    for image_id in image_ids:
        assert images[image_id]['status'] == 'active'
        assert images[image_id]['os_hash_value'] == hashlib.sha512(DATA).hexdigest()
    cluster.check_clean()


@pytest.mark.long
def test_the_throughput_grows_with_the_workers(run_server, postgres_url, ceph_s3, small, capsys):
    """The source is slow by itself: it waits for a second before it answers."""
    small.site.pause = 1
    rates = {}
    with clusters.running(run_server, postgres_url(), ceph_s3, workers=4,
                          taskflow_executor={'max_workers': 2},
                          worker={'lease': 60}) as cluster:
        cluster.start()
        for count in 4, 2, 1:
            for worker in cluster.workers[count:]:
                worker.kill()
            ended(cluster, begin(cluster, small.url, 2 * count))
            started = time.monotonic()
            ended(cluster, begin(cluster, small.url, 12 * count))
            rates[count] = 12 * count / (time.monotonic() - started)
    with capsys.disabled():
        print(''.join(f'\n{count} workers: {rates[count]:.2f} imports/s'
                      for count in sorted(rates)))
    assert rates[1] < rates[2] < rates[4]
