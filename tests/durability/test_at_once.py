"""Many imports at once: all end, and none runs twice."""

import time

import pytest

from tests.durability import cluster as clusters
from tests.durability import small_imports


@pytest.mark.parametrize('count', [30, pytest.param(200, marks=pytest.mark.long)])
def test_many_imports_at_once_end_and_none_runs_twice(calm_cluster, small, count):
    cluster = calm_cluster
    image_ids = small_imports.begin(cluster, small.url, count)
    tasks = small_imports.succeeded(cluster, image_ids)

    begun = [sum(f'task {task_id} (' in worker.log for task_id in tasks)
             for worker in cluster.workers]
    assert sum(begun) == count
    if count == 200:
        assert all(begun)
    cluster.check_clean()


def run(cluster, uri, count):
    small_imports.succeeded(cluster, small_imports.begin(cluster, uri, count))


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
            run(cluster, small.url, 2 * count)
            started = time.monotonic()
            run(cluster, small.url, 12 * count)
            rates[count] = 12 * count / (time.monotonic() - started)
    with capsys.disabled():
        print(''.join(f'\n{count} workers: {rates[count]:.2f} imports/s'
                      for count in sorted(rates)))
    assert rates[1] < rates[2] < rates[4]
