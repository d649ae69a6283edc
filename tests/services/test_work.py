"""The claims of a process, and their leases."""

import logging
import threading

import pytest

from glancelite.contract import Task
from glancelite.services.work import LOST, Ended


def test_a_process_that_claims_its_own_task_again_keeps_the_new_claim(core, advance):
    """Its lease has expired without its notice, for example since the database was slow."""
    work, records = core.use_cases.work, core.layers.database.tasks
    claims, running, go_on = [], threading.Semaphore(0), [threading.Event(), threading.Event()]

    def handle(claim):
        claims.append(claim)
        running.release()
        assert go_on[len(claims) - 1].wait(10)
        claim.check()
        claim.finish('success')

    work.register('probe', handle)
    records.add(Task('6f1c1a53-8a0c-4d7a-9f53-2f4b1d3c9e10', 'probe'))
    threads = [threading.Thread(target=work.run) for _ in go_on]
    for thread in threads:
        advance(100)
        thread.start()
        assert running.acquire(timeout=10)
    go_on[0].set()
    threads[0].join(10)

    with pytest.raises(Ended) as ended:
        claims[0].check()
    assert ended.value.reason == LOST
    advance(20)
    work.renew()
    advance(20)
    assert not work.run()       # the lease of the new claim was renewed
    go_on[1].set()
    threads[1].join(10)
    task = records.get(claims[1].task.id)
    assert (task.status, task.attempt) == ('success', 2)


@pytest.mark.parametrize(('status', 'level'), [
    ('success', logging.INFO), ('failure', logging.WARNING)])
def test_the_log_names_the_end_of_a_task_and_its_reason(core, caplog, status, level):
    caplog.set_level(logging.INFO, 'glancelite')
    work, task = core.use_cases.work, Task(
        '6f1c1a53-8a0c-4d7a-9f53-2f4b1d3c9e10', 'probe', image_id='image')
    work.register('probe', lambda claim: claim.finish(status, 'The store is full.'))
    core.layers.database.tasks.add(task)

    assert work.run(task.id)

    ends = [(record.levelno, record.getMessage()) for record in caplog.records
            if ' ends with ' in record.getMessage()]
    assert ends == [(level, f'task {task.id} (probe) of image image ends with {status}: '
                     'The store is full.')]
