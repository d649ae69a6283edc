"""Claims about the removal of tasks, and of what they should not keep."""

from __future__ import annotations

import dataclasses

import pytest

from glancelite import contract
from glancelite.contract import Task, TaskQuery
from glancelite.testing.contracts.database.tasks import KIND, LONG, claimed, finished, new
from glancelite.testing.contracts.database.values import (
    BEGINNING,
    END,
    SECOND,
    TASK_TYPES,
    race,
)


class TaskRemovalContract:
    """Part of ``DatabaseContract``; ``TaskContract`` has the fixtures."""

    @pytest.mark.parametrize('status', ['success', 'failure'])
    def test_the_journal_of_a_finished_task_can_be_replaced(self, tasks, host, status):
        ended = finished(tasks, status, journal={'secret': 'x'}, message='m')
        host.advance(seconds=5)

        tasks.redact(ended, {'version': 1})

        assert tasks.get(ended.id) == dataclasses.replace(ended, journal={'version': 1})

    def test_the_journal_of_other_tasks_is_not_replaced(self, tasks, host):
        failed = finished(tasks, journal={'a': 1})
        host.advance(seconds=5)
        for task in (tasks.add(new(journal={'a': 1})), claimed(tasks, journal={'a': 1}),
                     tasks.restart(failed, {}), failed):
            present = tasks.get(task.id)

            tasks.redact(task, {})

            assert tasks.get(task.id) == present
        tasks.redact(Task('no such', KIND), {})
        tasks.redact(Task('a\0b', KIND), {})

    def test_a_removed_task_is_gone(self, tasks):
        held, kept = claimed(tasks, journal={'a': 1}), tasks.add(new())

        for _ in range(2):
            tasks.remove(held)

        with pytest.raises(contract.NotFound):
            tasks.get(held.id)
        with pytest.raises(contract.NotFound):
            tasks.update(held, {'status': 'success'})
        assert tasks.renew([held], seconds=LONG) == {}
        assert tasks.list(TaskQuery(BEGINNING, types=TASK_TYPES)).items == (kept,)
        assert tasks.add(Task(held.id, KIND)).journal == {}

    def test_expired_tasks_are_purged(self, tasks, host):
        now = host.now()
        for number in range(60):
            finished(tasks, ('success', 'failure')[number % 2], expires_at=now - SECOND)
        kept = {task.id for task in (
            finished(tasks, expires_at=now), finished(tasks, expires_at=now + SECOND),
            finished(tasks), tasks.add(new(expires_at=BEGINNING)),
            claimed(tasks, expires_at=BEGINNING))}

        removed = [tasks.purge(expired_before=now, limit=limit) for limit in (7, 0, 1000, 1000)]

        assert removed == [7, 0, 53, 0]
        assert {task.id for task in tasks.list(
            TaskQuery(BEGINNING, types=TASK_TYPES)).items} == {
                task_id for task_id in kept if tasks.get(task_id).expires_at != BEGINNING}
        assert tasks.purge(expired_before=END) == 2

    def test_many_purges_at_once_count_each_task_once(self, both, host):
        for _ in range(20):
            finished(both[0], expires_at=BEGINNING)

        assert sum(race(4, lambda n: both[n % 2].purge(expired_before=host.now()))) == 20
