"""An import whose process is killed in a step, such as a conversion, succeeds."""

import os
import random

import pytest

from tests.durability import stores
from tests.durability.moments import Moments, kills
from tests.plugins.step import disks
from tests.servers import dropping_web

SEEDS = 20
PHASES = 'begin', 'fetch', 'step:conversion', 'step:inject_metadata', 'store', 'end'
STEPS = PHASES[2:4]
DISK = disks.content()


@pytest.fixture
def cluster(shared_cluster):
    """Two API processes, and three workers which convert images and inject properties."""
    shared_cluster.start(
        image_import_opts={'image_import_plugins': 'image_conversion, inject_image_metadata'},
        image_conversion={'output_format': 'raw', 'reserved_space': 0},
        inject_metadata_properties={'inject': 'hw_disk_bus:scsi', 'ignore_user_roles': 'none'},
        task={'work_dir': shared_cluster.home / 'work'})
    return shared_cluster


@pytest.fixture(scope='module')
def disk_web(tmp_path_factory):
    """A web server with a disk image in the format qcow2."""
    image = disks.image(tmp_path_factory.mktemp('disk'), 'qcow2', DISK)
    with dropping_web.running(image) as server:
        yield server


@pytest.fixture(scope='module')
def found():
    return {}


@pytest.fixture
def disk_sizes(cluster, disk_web, found):
    """Phase -> size of the events of an import that nothing disturbs."""
    if not found:
        watch = Moments()
        imported(cluster, disk_web, watch)
        assert tuple(watch.passed) == PHASES
        found.update(watch.passed)
    return found


def imported(cluster, web, watch=None):
    """The disk is imported: converted, and with the property."""
    with cluster.client() as client:
        image_id = client.create(disk_format='qcow2')
    task_id = cluster.begin(image_id, {'name': 'web-download', 'uri': web.url}, watch=watch,
                            stores=[*stores.NAMES])
    cluster.succeeded(task_id, DISK)
    with cluster.client() as client:
        image = client.show(image_id)
    assert (image['disk_format'], image['hw_disk_bus']) == ('raw', 'scsi')


def check_working_files(cluster, web):
    """The files that killed processes have left are removed after a while."""
    work = cluster.home / 'work'
    for worker in cluster.workers:
        worker.kill()
    for name in os.listdir(work):
        os.utime(work / name, (0, 0))       # that is long ago
    for worker in cluster.workers:
        worker.start()      # looks for them, as an import does once a minute
    imported(cluster, web)
    assert os.listdir(work) == []


def test_an_import_that_is_killed_in_each_step_succeeds(cluster, disk_web, disk_sizes):
    rng = random.Random(4)
    plan = {phase: rng.randrange(disk_sizes[phase] * 3 // 4) for phase in STEPS}
    watch = Moments(plan, kills('steps'))

    imported(cluster, disk_web, watch)

    assert sorted(watch.done) == sorted(STEPS)
    check_working_files(cluster, disk_web)


@pytest.mark.long
@pytest.mark.parametrize('phase', STEPS)
def test_an_import_that_is_killed_at_a_random_moment_of_a_step_succeeds(
        cluster, disk_web, disk_sizes, phase):
    for seed in range(SEEDS):
        print(f'seed {seed}')
        moment = random.Random(f'{phase} {seed}').randrange(disk_sizes[phase])
        watch = Moments({phase: moment}, kills(f'{phase} {seed}'))

        imported(cluster, disk_web, watch)

        assert watch.done == [phase]
    check_working_files(cluster, disk_web)
