"""Claims about tasks.

The clock of leases may be another one than that of the host.  So the suite lets leases expire
with ``renew(…, seconds=-1)``, and uses times that every clock has passed, or none has.
"""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import Any

import pytest

from glancelite import contract
from glancelite.contract import Task, TaskQuery
from glancelite.testing.contracts.database.values import (
    BEGINNING,
    END,
    IMPOSSIBLE,
    ODD,
    SECOND,
    SIMILAR,
    TASK_TYPES,
    race,
)

#: seconds that the suite never takes
LONG = 3600
KIND = TASK_TYPES[0]


def new(**fields) -> Task:
    return Task(str(uuid.uuid4()), fields.pop('type', KIND), **fields)


def full(**fields) -> Task:
    """Return a task with a value in each field that a new task may have."""
    given = {
        'owner': 'p', 'image_id': str(uuid.uuid4()), 'user_id': 'u' * 64,
        'request_id': f'req-{uuid.uuid4()}', 'input': {'method': {'name': 'x'}, 'n': [1, None]},
        'result': {'a': 1.5}, 'message': 'not yet', 'expires_at': END, 'not_before': END,
        'node': 'n', 'journal': {'steps': ['one', {'two': True}]},
        'progress': {'step': 's', 'bytes': 1 << 40}, 'cancelled': True}
    return new(**{**given, **fields})


def claim(tasks: contract.TaskRecords, task: Task | None = None, *, holder: str = 'me',
          node: str = 'here', seconds: float = LONG, types=TASK_TYPES) -> Any:
    return tasks.claim(holder=holder, node=node, seconds=seconds, types=types,
                       task_id=None if task is None else task.id)


def claimed(tasks: contract.TaskRecords, **fields) -> Task:
    """Add a task and claim it."""
    task = claim(tasks, tasks.add(new(**fields)))
    assert task is not None
    return task


def finished(tasks: contract.TaskRecords, status: str = 'failure', **fields) -> Task:
    return tasks.update(claimed(tasks), {'status': status, **fields})


class TaskContract:
    """Part of ``DatabaseContract``."""

    @pytest.fixture
    def tasks(self, database):
        return database.tasks

    @pytest.fixture
    def both(self, database):
        """The tasks of two instances with the same options."""
        if database.VOLATILE:
            yield [database.tasks] * 2
            return
        other = type(database)(database.options, database.host, name=database.name,
                               conf=database.conf)
        yield [database.tasks, other.tasks]
        other.close()

    # --- adding and reading

    def test_a_task_keeps_every_field(self, tasks, host):
        for given in (full(), new()):
            kept = tasks.add(dataclasses.replace(
                given, attempt=7, holder='nobody', lease_until=END))

            assert kept == dataclasses.replace(
                given, created_at=host.now(), updated_at=host.now())
            assert tasks.get(kept.id) == kept

    def test_later_changes_of_a_value_of_a_task_have_no_effect(self, tasks):
        journal = {'steps': ['one']}
        kept = tasks.add(new(journal=journal))
        journal['steps'].append('two')
        kept.journal['steps'].append('three')
        tasks.get(kept.id).journal['steps'].append('four')

        assert tasks.get(kept.id).journal == {'steps': ['one']}

    def test_a_task_id_can_be_used_once(self, tasks):
        task_id = str(uuid.uuid4())

        won = race(8, lambda n: tasks.add(Task(task_id, KIND, message=str(n))))

        assert won == [tasks.get(task_id)]
        with pytest.raises(contract.Conflict):
            tasks.add(Task(task_id, KIND))

    @pytest.mark.parametrize('task_id', [*IMPOSSIBLE, 'no such'],
                             ids=lambda text: ascii(text)[:20])
    def test_an_unknown_task_is_not_found(self, tasks, task_id):
        kept = tasks.add(new())
        ghost = Task(task_id, KIND)

        for ask in (lambda: tasks.get(task_id), lambda: tasks.cancel(task_id),
                    lambda: tasks.update(ghost, {'message': 'm'}),
                    lambda: tasks.restart(ghost, {})):
            with pytest.raises(contract.NotFound, match='No task found with ID'):
                ask()
        assert claim(tasks, ghost) is None
        assert tasks.renew([ghost], seconds=LONG) == {}
        tasks.remove(ghost)
        assert tasks.get(kept.id) == kept

    @pytest.mark.parametrize('text', ODD, ids=ascii)
    def test_odd_texts_of_a_task_survive(self, tasks, text):
        kept = tasks.add(new(
            owner=text or None, node=text, message=text, input={text: text},
            result={text: [text]}, journal={text: text}, progress={'step': text}))
        assert tasks.get(kept.id) == kept

        held = claim(tasks, node=text, holder=text)

        assert held is not None
        assert (held.id, held.node) == (kept.id, text)
        assert tasks.update(held, {'message': text, 'journal': {text: text}}) == tasks.get(kept.id)

    @pytest.mark.parametrize('text', ['a\0b', 'a\ud800b', 'a' + '\U0001f600' * 200_000],
                             ids=lambda text: ascii(text)[:20])
    def test_any_message_can_be_written(self, tasks, text):
        """It may be the output of a program.  The middle of it may be replaced."""
        written = tasks.update(claimed(tasks, message=text), {'message': text})

        assert written.message.startswith('a')
        assert tasks.get(written.id) == written

    def test_odd_and_long_values_in_json_survive(self, tasks):
        journal = {'parts': [f'{n:0100}' for n in range(10_000)], 'a\0b': '\0', 'n': 1 << 70}
        held = claimed(tasks, input={'a\0b': '\0'})

        written = tasks.update(held, {'journal': journal})

        assert tasks.get(held.id) == written
        assert (written.journal, written.input) == (journal, {'a\0b': '\0'})

    # --- claims

    def test_a_claim_returns_the_task_as_it_is_held(self, tasks, host):
        kept = tasks.add(full(not_before=BEGINNING, node='here'))
        host.advance(seconds=5)

        held = claim(tasks, holder='me')

        assert held == dataclasses.replace(
            kept, status='processing', attempt=1, holder='me', lease_until=held.lease_until,
            not_before=None, updated_at=host.now())
        assert held.lease_until is not None
        assert tasks.get(kept.id) == held

    def test_a_lease_has_the_duration_that_was_asked_for(self, tasks):
        short, long = (claim(tasks, tasks.add(new()), seconds=seconds).lease_until
                       for seconds in (10.5, 10_000_000.25))

        assert abs(long - short - datetime.timedelta(seconds=9_999_989.75)) < 600 * SECOND

    def test_the_oldest_task_is_claimed_first(self, tasks, host):
        order = []
        for _ in range(12):
            order.append(tasks.add(new()).id)
            host.advance(seconds=1)

        assert [claim(tasks).id for _ in order] == order
        assert claim(tasks) is None

    def test_a_task_that_lost_its_holder_is_not_younger(self, tasks, host):
        first = tasks.add(new())
        host.advance(seconds=1)
        second = tasks.add(new())
        tasks.renew([claim(tasks, first)], seconds=-1)

        assert [claim(tasks).id for _ in range(2)] == [first.id, second.id]

    @pytest.mark.parametrize(('fields', 'is_claimed'), [
        ({}, True), ({'status': 'processing'}, True), ({'status': 'success'}, False),
        ({'status': 'failure'}, False), ({'node': 'here'}, True), ({'node': 'there'}, False),
        ({'node': 'Here'}, False), ({'node': 'here '}, False), ({'node': ''}, False),
        ({'type': 'Import'}, False), ({'type': 'other'}, False), ({'not_before': END}, False),
        ({'not_before': BEGINNING}, True), ({'expires_at': BEGINNING}, True),
        ({'cancelled': True}, True), ({'cancelled': True, 'not_before': END}, False)], ids=str)
    def test_a_task_is_claimed_if_it_is_unfinished_due_and_for_this_process(
            self, tasks, fields, is_claimed):
        kept = tasks.add(new(**fields))

        found = [claim(tasks, only, types={KIND, 'api_image_import'}) for only in (kept, None)]

        assert [task and task.id for task in found] == [kept.id if is_claimed else None, None]

    def test_no_types_are_no_tasks(self, tasks):
        tasks.add(new())

        assert claim(tasks, types=()) is None

    def test_a_task_can_be_claimed_by_its_id(self, tasks):
        tasks.add(new())
        second = tasks.add(new())

        assert claim(tasks, second).id == second.id
        assert claim(tasks, second) is None

    def test_a_held_task_is_claimed_after_its_lease(self, tasks):
        held = claimed(tasks)
        assert claim(tasks) is None
        tasks.renew([held], seconds=-1)

        again = claim(tasks, holder='another')

        assert (again.id, again.attempt, again.holder) == (held.id, 2, 'another')
        assert claim(tasks) is None

    def test_a_process_that_lost_its_task_changes_nothing(self, tasks):
        lost = claimed(tasks)
        tasks.renew([lost], seconds=-1)
        present = claim(tasks)

        for changes in ({}, {'status': 'success', 'journal': {'k': 'v'}}):
            with pytest.raises(contract.Conflict):
                tasks.update(lost, changes, release=True)
        assert tasks.renew([lost], seconds=-1) == {}
        tasks.remove(lost)

        assert tasks.get(lost.id) == present
        assert claim(tasks) is None

    def test_an_expired_lease_can_be_renewed_until_the_next_claim(self, tasks):
        held = claimed(tasks)
        tasks.renew([held], seconds=-1)

        assert tasks.renew([held], seconds=LONG) == {held.id: False}
        assert claim(tasks) is None
        tasks.renew([held], seconds=-1)
        assert tasks.update(held, {'message': 'm'}).message == 'm'

    def test_many_leases_are_renewed_at_once(self, tasks, host):
        held = [claimed(tasks) for _ in range(60)]
        ended = tasks.update(claimed(tasks), {'status': 'success'})
        released = tasks.update(claimed(tasks), {'not_before': END}, release=True)
        waiting = tasks.add(new(not_before=END))
        stale = dataclasses.replace(claimed(tasks), attempt=2)
        for task in held[:2]:
            tasks.cancel(task.id)
        before = [tasks.get(task.id) for task in held]
        host.advance(seconds=5)

        found = tasks.renew([*held, ended, released, waiting, stale, Task('a\0b', KIND),
                             Task('unknown', KIND)], seconds=2 * LONG)

        assert found == {task.id: task in held[:2] for task in held}
        for old in before:
            renewed = tasks.get(old.id)
            assert renewed.lease_until > old.lease_until
            assert renewed == dataclasses.replace(old, lease_until=renewed.lease_until)
        assert tasks.renew([], seconds=LONG) == {}

    def test_many_threads_of_two_processes_claim_each_task_once(self, both, host):
        added = set()
        for n in range(50):
            added.add(both[0].add(new()).id)
            if n % 3:
                host.advance(seconds=1)

        def run(number):
            mine = []
            while task := claim(both[number % 2], holder=str(number)):
                assert task.attempt == 1
                mine.append(task.id)
            return mine

        won = [task_id for mine in race(8, run) for task_id in mine]

        assert len(won) == 50
        assert set(won) == added

    def test_one_of_many_claims_a_task(self, both):
        for _ in range(5):
            kept = both[0].add(new())

            won = race(8, lambda n, kept=kept: claim(both[n % 2], kept, holder=str(n)))

            assert [each.get(kept.id) for each in both] == won * 2

    # --- writing

    def test_an_update_returns_the_task_as_written(self, tasks, host):
        held = claimed(tasks)
        changes: dict[str, Any] = {
            'status': 'pending', 'image_id': 'i', 'input': {'a': [1]}, 'result': {'b': 2},
            'message': 'm', 'journal': {'c': 3}, 'progress': {'bytes': 4}, 'not_before': END,
            'node': 'there', 'expires_at': END}
        for fields in (changes, *({name: value} for name, value in changes.items()), {},
                       {'result': None, 'not_before': None, 'node': None, 'image_id': None,
                        'expires_at': None, 'message': '', 'journal': {}}):
            host.advance(seconds=5)
            present = tasks.get(held.id)

            written = tasks.update(held, fields)

            assert written == dataclasses.replace(present, **fields, updated_at=host.now())
            assert tasks.get(held.id) == written
        assert tasks.renew([held], seconds=LONG) == {held.id: False}

    def test_a_task_that_is_not_held_can_be_updated(self, tasks):
        kept = tasks.add(new())

        assert tasks.update(kept, {'message': 'm'}).message == 'm'
        assert claim(tasks).message == 'm'
        with pytest.raises(contract.Conflict):
            tasks.update(kept, {'message': 'lost'})

    @pytest.mark.parametrize('name', ['id', 'owner', 'attempt', 'holder', 'lease_until',
                                      'cancelled', 'no such'])
    def test_other_fields_of_a_task_cannot_be_changed(self, tasks, name):
        held = claimed(tasks)
        failed = finished(tasks)

        for change, task in (tasks.update, held), (tasks.restart, failed):
            with pytest.raises(TypeError, match=name):
                change(task, {name: None})
        assert tasks.get(held.id) == held

    def test_an_update_returns_what_others_have_written(self, tasks):
        held = claimed(tasks)
        tasks.cancel(held.id)
        tasks.renew([held], seconds=2 * LONG)

        written = tasks.update(held, {'progress': {'bytes': 1}})

        assert written.cancelled
        assert written.lease_until > held.lease_until

    @pytest.mark.parametrize(('not_before', 'is_claimed'), [(None, True), (BEGINNING, True),
                                                            (END, False)])
    def test_a_released_task_can_be_claimed_when_it_is_due(self, tasks, not_before, is_claimed):
        held = claimed(tasks)

        released = tasks.update(held, {'not_before': not_before}, release=True)

        assert (released.holder, released.lease_until, released.attempt) == (None, None, 1)
        assert tasks.renew([held], seconds=LONG) == {}
        again = claim(tasks)
        assert (again and again.attempt) == (2 if is_claimed else None)

    def test_a_task_is_left_alone_during_a_pause(self, tasks):
        held = claimed(tasks)

        paused = tasks.update(held, {'message': 'm', 'not_before': BEGINNING}, release=True,
                              pause=LONG)

        assert (paused.message, paused.holder, paused.lease_until) == ('m', None, None)
        assert tasks.get(held.id) == paused
        assert claim(tasks) is None
        assert tasks.update(paused, {}, pause=-1).not_before < paused.not_before
        assert claim(tasks).id == held.id

    def test_a_pause_is_measured_with_the_clock_of_leases(self, tasks, host):
        host.advance(seconds=10 * LONG)     # the clock of this host may be wrong
        held = claimed(tasks)

        paused = tasks.update(claimed(tasks), {}, release=True, pause=LONG)

        assert abs(paused.not_before - held.lease_until) < 600 * SECOND

    @pytest.mark.parametrize('status', ['success', 'failure'])
    @pytest.mark.parametrize('release', [True, False])
    def test_a_finished_task_is_never_held(self, tasks, status, release):
        held = claimed(tasks)

        ended = tasks.update(held, {'status': status, 'result': {'a': 1}}, release=release)

        assert (ended.holder, ended.lease_until, ended.is_finished) == (None, None, True)
        assert tasks.renew([held], seconds=LONG) == {}
        assert claim(tasks) is None
        for task in (held, ended):
            with pytest.raises(contract.Conflict):
                tasks.update(task, {'status': 'pending'})
        assert tasks.get(held.id) == ended

    def test_a_held_task_is_cancelled_for_its_holder_to_see(self, tasks, host):
        held = claimed(tasks)
        host.advance(seconds=5)

        cancelled = tasks.cancel(held.id)

        assert cancelled == dataclasses.replace(held, cancelled=True, updated_at=host.now())
        assert tasks.get(held.id) == cancelled
        assert claim(tasks) is None
        assert tasks.renew([held], seconds=LONG) == {held.id: True}

    def test_a_cancelled_task_that_is_not_held_can_be_claimed_at_once(self, tasks):
        kept = tasks.add(new(not_before=END))

        assert [tasks.cancel(kept.id).cancelled for _ in range(2)] == [True, True]

        assert claim(tasks).cancelled
        released = tasks.update(tasks.get(kept.id), {'not_before': END}, release=True)
        assert released.cancelled
        tasks.cancel(kept.id)
        assert claim(tasks).id == kept.id

    def test_a_finished_task_is_not_cancelled(self, tasks):
        for status in ('success', 'failure'):
            ended = finished(tasks, status)

            with pytest.raises(contract.Conflict):
                tasks.cancel(ended.id)

            assert tasks.get(ended.id) == ended

    def test_a_failed_task_can_be_restarted(self, tasks, host):
        held = claimed(tasks, owner='p', input={'a': 1}, journal={'b': 2})
        tasks.cancel(held.id)
        failed = tasks.update(held, {'status': 'failure', 'message': 'm', 'result': {'c': 3},
                                     'expires_at': END, 'not_before': END})
        host.advance(seconds=5)

        again = tasks.restart(failed, {'journal': {}})

        assert again == dataclasses.replace(
            failed, status='pending', message='', result=None, expires_at=None, journal={},
            not_before=None, cancelled=False, updated_at=host.now())
        assert tasks.get(again.id) == again
        assert claim(tasks).attempt == 2

    def test_other_tasks_are_not_restarted(self, tasks):
        failed = finished(tasks)
        refailed = tasks.update(claim(tasks, tasks.restart(failed, {})), {'status': 'failure'})
        for task in (tasks.add(new()), claimed(tasks), finished(tasks, 'success'), failed):
            present = tasks.get(task.id)

            with pytest.raises(contract.Conflict):
                tasks.restart(task, {'message': 'lost'})

            assert tasks.get(task.id) == present
        assert tasks.restart(refailed, {}).status == 'pending'

    def test_one_of_many_restarts_a_task(self, both):
        failed = finished(both[0])

        won = race(8, lambda n: both[n % 2].restart(failed, {'message': str(n)}))

        assert won == [both[1].get(failed.id)]

    @pytest.mark.parametrize('field', ['owner', 'node', 'type', 'image_id'])
    def test_similar_texts_of_tasks_are_distinct(self, tasks, field):
        for text in SIMILAR:
            tasks.add(new(**{field: text}))

        for text in (*SIMILAR, 'kEEP'):
            found = tasks.list(TaskQuery(
                BEGINNING, types=(text,) if field == 'type' else (KIND,),
                owner=text if field == 'owner' else None,
                equal={field: text} if field in ('type', 'image_id') else {})).items
            if field != 'node':
                assert [getattr(task, field) for task in found] == [text] * (text in SIMILAR)
            if field in ('node', 'type'):
                mine = claim(tasks, **{field: text} if field == 'node' else {'types': (text,)})
                assert (mine and getattr(mine, field)) == (text if text in SIMILAR else None)
