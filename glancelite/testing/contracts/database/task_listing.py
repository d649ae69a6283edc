"""Claims about listings of tasks, which must agree with ``task_matches`` and ``compare``."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import itertools
import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from glancelite import contract
from glancelite.contract import Task, TaskQuery
from glancelite.contract.query import TASK_KEYS, compare, task_matches
from glancelite.testing.contracts.database.listing import START
from glancelite.testing.contracts.database.values import END, TASK_TYPES

OWNERS = ('p', 'P', 'q', 'é', None)
IMAGES = (None, '11111111-0000-4000-8000-000000000001', '11111111-0000-4000-8000-00000000000a')


def order(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return ``pairs`` with the tie-breaker."""
    return *pairs, ('id', pairs[-1][1] if pairs else 'desc')


class TaskPopulation:
    """Tasks in a database, with a copy of each in memory."""

    def __init__(self, database: contract.Database):
        self.tasks = database.tasks
        self.added: list[Task] = []

    def expected(self, query: TaskQuery) -> list[Task]:
        """Return the expected listing without paging."""
        return sorted((task for task in self.added if task_matches(query, task)),
                      key=functools.cmp_to_key(functools.partial(compare, query)))

    def check(self, query: TaskQuery) -> None:
        """Compare a page of the database with the expected one."""
        whole = self.expected(query)
        if query.after is not None:
            whole = [task for task in whole if compare(query, task, query.after) > 0]
        limit = len(whole) if query.limit is None else query.limit

        page = self.tasks.list(query)

        assert list(page.items) == whole[:limit]
        assert page.more == (len(whole) > limit)

    def walk(self, query: TaskQuery) -> Iterator[Task]:
        """Return all tasks, read page by page."""
        while True:
            page = self.tasks.list(query)
            yield from page.items
            if not page.more:
                return
            query = dataclasses.replace(query, after=page.items[-1])


class TaskListingContract:
    """Part of ``DatabaseContract``."""

    @pytest.fixture
    def some_tasks(self, database, host):
        """Tasks with equal and different values of everything that a query can name."""
        dice, crowd = random.Random(1), TaskPopulation(database)
        for _ in range(60):
            if dice.random() < 0.6:
                host.advance(seconds=dice.choice((0.25, 1)))
            kind = dice.choice(TASK_TYPES)
            crowd.added.append(crowd.tasks.add(Task(
                str(uuid.UUID(int=dice.getrandbits(128))), kind, dice.choice(OWNERS),
                dice.choice(contract.TASK_STATUSES), dice.choice(IMAGES),
                dice.choice((None, 'u', 'U')), dice.choice((None, 'req-1', 'req-2')),
                input={'n': dice.random()}, message=kind,
                expires_at=dice.choice((None, END, START + datetime.timedelta(
                    seconds=dice.randrange(60)))))))
        host.advance(seconds=1)
        return crowd

    def test_no_tasks_are_listed_as_an_empty_page(self, database, host):
        for query in (TaskQuery(host.now(), types=TASK_TYPES, limit=5), TaskQuery(host.now())):
            assert database.tasks.list(query) == contract.Page(())

    def test_tasks_are_listed_as_the_contract_defines(self, some_tasks, host):
        for now, owner, types, limit in itertools.product(
                (START, host.now(), END), (*OWNERS, '', 'no such', 'a\0b', '\ud800'),
                ((), TASK_TYPES[:1], TASK_TYPES, ('no such', '\ud800', 'a\0b')), (None, 0, 3)):
            some_tasks.check(TaskQuery(now, owner, types, limit=limit))

    def test_an_expired_task_is_not_listed_but_found(self, database, host):
        kept = database.tasks.add(Task(str(uuid.uuid4()), TASK_TYPES[0], expires_at=host.now()))

        assert not database.tasks.list(TaskQuery(host.now(), types=TASK_TYPES)).items
        assert database.tasks.get(kept.id) == kept

    @pytest.mark.parametrize('key', TASK_KEYS)
    def test_tasks_are_found_by_the_value_of_a_key(self, some_tasks, key):
        values: list[Any] = sorted({getattr(task, key) for task in some_tasks.added} - {None})
        nearby = [value + datetime.timedelta(seconds=0.3) if isinstance(
            value, datetime.datetime) else value.upper() for value in values]
        odd = [datetime.datetime.max.replace(tzinfo=datetime.UTC)] if key.endswith(
            '_at') else ['', 'a\0b', '\ud800', 'x' * 999]

        for value in (None, *values, *nearby, *odd):
            some_tasks.check(TaskQuery(START, types=TASK_TYPES, equal={key: value}))
            some_tasks.check(TaskQuery(START, 'p', TASK_TYPES[:2], {
                key: value, 'status': 'success'}, limit=2))

    @pytest.mark.parametrize('keys', [
        (), *((key,) for key in TASK_KEYS), ('status', 'owner'),
        ('expires_at', 'type', 'created_at')], ids=','.join)
    def test_a_walk_over_all_pages_is_all_tasks_in_order(self, some_tasks, keys):
        for directions in itertools.product(('asc', 'desc'), repeat=max(1, len(keys))):
            query = TaskQuery(START, types=TASK_TYPES, sort=order(
                *zip(keys, directions, strict=False)))

            assert list(some_tasks.walk(dataclasses.replace(query, limit=9))) == (
                some_tasks.expected(query))
            some_tasks.check(dataclasses.replace(query, owner='p', after=some_tasks.added[30]))

    def test_a_listing_of_tasks_continues_after_a_removed_task(self, some_tasks):
        query = TaskQuery(START, types=TASK_TYPES, limit=4)
        last = some_tasks.tasks.list(query).items[-1]
        some_tasks.tasks.remove(last)
        some_tasks.added.remove(last)

        some_tasks.check(dataclasses.replace(query, after=last))
