"""A worker that wakes up after its lease changes nothing, and removes its own data."""

import contextlib

import pytest

from tests.durability import imports
from tests.durability.cluster import PATIENCE
from tests.durability.moments import Moments
from tests.servers import process


@pytest.mark.parametrize(('phase', 'part'), [
    ('fetch', 0.5), ('store', 0.5),
    *(pytest.param(phase, part, marks=pytest.mark.long)
      for phase in imports.METHODS['web-download'] for part in (0.1, 0.3, 0.7, 0.9))])
def test_a_worker_that_wakes_up_after_its_lease_removes_its_own_data(
        cluster, web, sizes, phase, part):
    frozen = []

    def freeze(worker):
        worker.freeze()
        frozen.append(worker)

    watch = Moments({phase: int(sizes['web-download'][phase] * part)}, freeze)
    with contextlib.ExitStack() as woken:
        woken.callback(lambda: [worker.wake() for worker in frozen])
        task_id = imports.begin(cluster, 'web-download', web, watch)
        task = cluster.finished(task_id)
        before = cluster.settled(task['image_id'])

    begun = f'task {task_id} (' in frozen[0].log    # otherwise its claim was undone
    if begun and task['attempt'] > 1:       # otherwise its last statement was on its way
        assert process.until(
            lambda: f'task {task_id} ends here' in frozen[0].log, PATIENCE), frozen[0].log
    cluster.succeeded(task_id, imports.DATA)
    assert cluster.settled(task['image_id']) == before
