"""A copy from another region ends with the data or with a reason when its process is killed.

The process that accepts the request has the token of the caller; it is recorded nowhere.
"""

import hashlib
import json
import random

import pytest

from tests.durability import cluster as clusters
from tests.durability import stores
from tests.durability.imports import DATA
from tests.durability.moments import Moments, kills
from tests.servers import dropping_web, process
from tests.servers.keystone import REGION

SEEDS = 20
PHASES = 'begin', 'fetch', 'step:decompression', 'store', 'end'
#: those that end with the data, whichever process goes on
DOWNLOADED = PHASES[2:]
REMOTE = '7b97f37c-899d-44e8-aaa0-543edbc4eaad'
RECORD = {'id': REMOTE, 'status': 'active', 'size': len(DATA), 'disk_format': 'raw',
          'container_format': 'bare', 'hw_disk_bus': 'scsi', 'os_hash_algo': 'sha512',
          'os_hash_value': hashlib.sha512(DATA).hexdigest()}


@pytest.fixture(scope='module')
def region():
    """The image service of another region."""
    with dropping_web.running(DATA, record=json.dumps(RECORD).encode()) as server:
        yield server


@pytest.fixture(scope='module')
def cluster(run_server, postgres_url, keystone, region):
    """Two API servers which run the tasks themselves, in a cloud with two regions."""
    keystone.set_image_url(region.url)
    with clusters.running(
            run_server, postgres_url(), workers=0,
            layers={'auth': 'keystone', 'executor': 'threads'},
            keystone_authtoken=keystone.authtoken(),
            worker={'lease': 3},
            DEFAULT={'enabled_import_methods': '[glance-download]'}) as running:
        running.headers = {'X-Auth-Token': keystone.token('alpha-member')}
        yield running


@pytest.fixture(scope='module')
def sizes(cluster):
    """Phase -> size of the events of an import that nothing disturbs."""
    watch = Moments()
    cluster.succeeded(begin(cluster, watch), DATA)
    assert tuple(watch.passed) == PHASES
    return dict(watch.passed)


def begin(cluster, watch=None):
    with cluster.client() as client:
        image_id = client.create()
    return cluster.begin(image_id, {
        'name': 'glance-download', 'glance_region': REGION, 'glance_image_id': REMOTE},
        watch=watch, stores=[*stores.NAMES])


def outcome(cluster, task_id):
    """Return the status of the task when it has ended, as it may."""
    task = cluster.finished(task_id)
    if task['status'] == 'success':
        cluster.succeeded(task_id, DATA)
    else:
        assert 'only the process that accepted the request' in task['message']
        with cluster.client() as client:
            image = client.show(task['image_id'])
        assert (image['status'], image['size']) == ('queued', None)
        cluster.check_clean()
    return task['status']


@pytest.mark.parametrize(('phase', 'status'), [('fetch', 'failure'), ('store', 'success')])
def test_a_copy_from_another_region_ends_when_its_process_is_killed(
        cluster, sizes, phase, status):
    watch = Moments({phase: sizes[phase] // 2}, kills(phase))

    assert outcome(cluster, begin(cluster, watch)) == status

    assert watch.done == [phase]


@pytest.mark.long
@pytest.mark.parametrize('phase', PHASES)
def test_a_copy_from_another_region_that_is_killed_at_a_random_moment_ends(
        cluster, sizes, phase):
    for seed in range(SEEDS):
        print(f'seed {seed}')
        moment = random.Random(f'region {phase} {seed}').randrange(sizes[phase])
        watch = Moments({phase: moment}, kills(f'region {phase} {seed}'))

        status = outcome(cluster, begin(cluster, watch))

        assert status == 'success' or phase not in DOWNLOADED
        assert watch.done == [phase]


def test_the_deletion_of_an_image_ends_its_copy_from_another_region(cluster, region):
    region.site.stall = len(DATA) // 2
    region.sent = 0
    try:
        task_id = begin(cluster)
        assert process.until(lambda: region.sent == region.site.stall)
        with cluster.client(1) as client:
            image_id = cluster.task(task_id)['image_id']
            assert client.ask('DELETE', f'/v2/images/{image_id}')[0] == 204

        task = cluster.finished(task_id)
    finally:
        region.site.stall = None
    assert (task['status'], task['attempt']) == ('failure', 1)
    cluster.check_clean()
