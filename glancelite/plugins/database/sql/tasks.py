"""Tasks in SQL.

A task is claimed in two steps: one statement, which locks nothing, finds some that can be
claimed; then one conditional statement claims a task.  So a call that finds nothing is cheap,
and the oldest task that other processes leave is claimed, on every database and version.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract.database.tasks import check_names
from glancelite.contract.query import TaskQuery
from glancelite.contract.values import Image, Page, Task
from glancelite.plugins.database.sql import tables, task_queries
from glancelite.plugins.database.sql.connection import Connection, Statement
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.engine import ConstraintViolated, Engine
from glancelite.plugins.database.sql.images import SQLImages
from glancelite.plugins.database.sql.queries import EmptyListing
from glancelite.plugins.database.sql.task_rows import (
    COLUMNS,
    INFO,
    task_added,
    task_of,
    task_row,
)

_t = tables.tasks.c
_ID_LENGTH = 36
_HOLDER_LENGTH = 255
#: most tasks in one statement
_BATCH = 50
#: tasks that a process tries to claim, the oldest first, before it looks for others
_CANDIDATES = 20


class SQLTasks(contract.TaskRecords):

    def __init__(self, engine: Engine, images: SQLImages, host: contract.Host):
        self._engine = engine
        self._images = images
        self._dialect = engine.dialect
        self._host = host

    # --- reading

    def get(self, task_id: str) -> Task:
        if self._is_possible(task_id):
            for row in self._engine.rows(self._statement('select', task_queries.select),
                                         {'task_id': task_id}):
                return task_of(row, self._dialect)
        raise _not_found(task_id)

    def list(self, query: TaskQuery) -> Page[Task]:
        dialect = self._engine.ready_dialect()
        try:
            shape, values = task_queries.decompose(query, dialect)
        except EmptyListing:
            return Page(())
        rows = self._engine.rows(self._engine.statement(
            shape, lambda dialect: task_queries.listing(shape, dialect)), values)
        more = query.limit is not None and len(rows) > query.limit
        return Page(tuple([task_of(row, dialect) for row in rows[:query.limit]]), more)

    # --- claims

    def claim(self, *, holder: str, node: str, seconds: float,
              types: Collection[str], task_id: str | None = None) -> Task | None:
        if not types or (task_id is not None and not self._is_possible(task_id)):
            return None
        kinds = sorted(types)
        look = self._statement(
            ('look', len(kinds), task_id is None),
            lambda dialect: task_queries.look(len(kinds), task_id is None, dialect))
        values = {'node': node, 'task_id': task_id, 'amount': _CANDIDATES,
                  **{f'type_{n}': kind for n, kind in enumerate(kinds)}}
        while candidates := self._engine.rows(look, {**values, **self._lease_times(seconds)}):
            for candidate, attempt in candidates:
                claimed = self._claim_one(candidate, attempt, {
                    'holder': holder[:_HOLDER_LENGTH], 'node': node,
                    **self._lease_times(seconds)})
                if claimed is not None:
                    return claimed
        return None

    def _claim_one(self, task_id: str, attempt: int, values: dict[str, Any]) -> Task | None:
        claim = self._statement('claim', task_queries.claim)
        return self._written(claim, {**values, 'task_id': task_id, 'attempt': attempt,
                                     'at': self._at()})

    def renew(self, tasks: Collection[Task], *, seconds: float) -> Mapping[str, bool]:
        possible = [task for task in tasks if self._is_possible(task.id)]
        held: dict[str, bool] = {}
        for start in range(0, len(possible), _BATCH):
            batch = possible[start:start + _BATCH]
            renew, select = (self._statement(
                (build.__name__, len(batch)),
                lambda dialect: build(len(batch), dialect))  # noqa: B023 - called at once
                for build in (task_queries.renew, task_queries.held))
            values = self._lease_times(seconds)
            for n, task in enumerate(batch):
                values |= {f'id_{n}': task.id, f'attempt_{n}': task.attempt}
            self._engine.run(renew, values)
            held |= {task_id: bool(cancelled)
                     for task_id, cancelled in self._engine.rows(select, values)}
        return held

    def _lease_times(self, seconds: float) -> dict[str, Any]:
        """Return the parameters of ``Dialect.lease_clock``."""
        duration = datetime.timedelta(seconds=seconds)
        now = self._host.now()
        return {'now': self._dialect.bind_time(now),
                'until': self._dialect.bind_time(now + duration),
                'microseconds': duration // datetime.timedelta(microseconds=1)}

    # --- writing

    def add(self, task: Task) -> Task:
        try:
            return self._engine.transaction(self._addition(task))
        except ConstraintViolated as error:
            raise contract.Conflict(f'the task id {task.id} is in use') from error

    def add_and_update(self, task: Task, image: Image,
                       changes: Mapping[str, object]) -> tuple[Task, Image]:
        add = self._addition(task)
        update = self._images.prepare_update(image, changes)

        def write(connection: Connection) -> Task | None:
            return add(connection) if update.write(connection) else None

        try:
            added = self._engine.transaction(write)
        except ConstraintViolated as error:
            raise contract.Conflict(f'the task id {task.id} is in use, or the database cannot '
                                    'store this image') from error
        if added is None:
            raise self._images.update_error(image.id)
        return added, update.written

    def _addition(self, task: Task) -> Callable[[Connection], Task]:
        """Return what adds a task."""
        at = self._at()
        values = {
            'id': task.id, 'at': at, 'no': False, 'zero': 0,
            **task_row({name: getattr(task, name) for name in (*COLUMNS, *INFO)},
                       self._dialect)}
        insert = self._statement('add', task_queries.insert)
        insert_info = self._statement('add_info', task_queries.insert_info)

        def write(connection: Connection) -> Task:
            connection.run(insert, values)
            connection.run(insert_info, values)
            return task_added(values, self._dialect)

        return write

    def update(self, task: Task, changes: Mapping[str, object], *,
               release: bool = False, pause: float | None = None) -> Task:
        check_names('update', changes)
        written = self._change(
            task, changes, task_queries.unfinished, pause=pause,
            release=release or changes.get('status') in ('success', 'failure'))
        if written is None:
            self.get(task.id)
            raise _changed(task)
        return written

    def restart(self, task: Task, changes: Mapping[str, object]) -> Task:
        check_names('restart', changes)
        written = self._change(
            task, {'status': 'pending', 'message': '', 'result': None, 'expires_at': None,
                   'not_before': None, 'cancelled': False, **changes},
            task_queries.failed)
        if written is None:
            self.get(task.id)
            raise _changed(task)
        return written

    def _change(self, task: Task, changes: Mapping[str, object],
                condition: Callable[[], Sequence[Any]], *, release: bool = False,
                pause: float | None = None) -> Task | None:
        """Write if the task has its ``attempt`` and meets the condition, otherwise None."""
        if not self._is_possible(task.id):
            raise _not_found(task.id)
        columns = tuple(sorted(changes.keys() & set(COLUMNS)))
        info = tuple(sorted(changes.keys() & set(INFO)))
        pauses = pause is not None
        update = self._statement(
            (condition.__name__, columns, release, pauses),
            lambda dialect: task_queries.update(columns, condition(), release, pauses, dialect))
        update_info = self._statement(
            ('update_info', info), lambda _: task_queries.update_info(info)) if info else None
        return self._written(update, {
            **task_row(changes, self._dialect), 'task_id': task.id, 'attempt': task.attempt,
            'at': self._at(), 'seen': self._dialect.bind_time(task.updated_at),
            **({} if pause is None else self._lease_times(pause)),
        }, update_info)

    def cancel(self, task_id: str) -> Task:
        if not self._is_possible(task_id):
            raise _not_found(task_id)
        written = self._written(self._statement('cancel', task_queries.cancel),
                                {'task_id': task_id, 'at': self._at()})
        if written is None:
            present = self.get(task_id)
            raise contract.Conflict(
                f'task {task_id} is finished' if present.is_finished
                else f'task {task_id} was made by Glance, which runs it')
        return written

    def _written(self, update: Statement, values: dict[str, Any],
                 update_info: Statement | None = None) -> Task | None:
        """Run a conditional statement; return the task as written, None if it was not."""
        select = self._statement('select', task_queries.select)

        def write(connection: Connection) -> Task | None:
            if not connection.run(update, values):
                return None
            if update_info is not None:
                connection.run(update_info, values)
            row, = connection.rows(select, values)
            return task_of(row, self._dialect)

        return self._engine.transaction(write)

    # --- removing

    def redact(self, task: Task, journal: Mapping[str, object]) -> None:
        if not self._is_possible(task.id):
            return
        lock = self._statement('lock_finished', lambda _: task_queries.lock_finished())
        update_info = self._statement(
            ('update_info', ('journal',)), lambda _: task_queries.update_info(('journal',)))
        values = {**task_row({'journal': journal}, self._dialect), 'task_id': task.id,
                  'attempt': task.attempt, 'seen': self._dialect.bind_time(task.updated_at)}

        def write(connection: Connection) -> None:
            if connection.rows(lock, values):
                connection.run(update_info, values)

        self._engine.transaction(write)

    def remove(self, task: Task) -> None:
        if self._is_possible(task.id):
            lock = self._statement('lock', lambda _: task_queries.lock())
            self._remove(lock, [task.id], {'task_id': task.id, 'attempt': task.attempt})

    def purge(self, *, expired_before: datetime.datetime, limit: int = 1000) -> int:
        values = {'end': self._dialect.bind_time(expired_before), 'limit': limit}
        ids = [task_id for task_id, in self._engine.rows(
            self._statement('expired', lambda _: task_queries.expired()), values)]
        removed = 0
        for start in range(0, len(ids), _BATCH):
            batch = ids[start:start + _BATCH]
            lock = self._statement(
                ('lock_expired', len(batch)),
                lambda _: task_queries.lock_expired(len(batch)))  # noqa: B023 - called at once
            removed += self._remove(lock, batch, {
                **values, **{f'id_{n}': task_id for n, task_id in enumerate(batch)}})
        return removed

    def _remove(self, lock: Statement, ids: Sequence[str], values: dict[str, Any]) -> int:
        """Remove the tasks that ``lock`` selects; return how many.

        :param ids: those that it may select.
        """
        def write(connection: Connection) -> int:
            found = [task_id for task_id, in connection.rows(lock, values)]
            if not found:
                return 0
            for table, column in ((tables.task_info, 'task_id'), (tables.tasks, 'id')):
                connection.run(
                    self._statement(
                        ('delete', table.name, len(found)),
                        lambda _: task_queries.delete(table.c[column], len(found))),  # noqa: B023
                    {f'id_{n}': task_id for n, task_id in enumerate(found)})
            return len(found)

        return self._engine.transaction(write) if ids else 0

    # --- helpers

    def _at(self) -> Any:
        dialect = self._engine.ready_dialect()
        return dialect.bind_time(dialect.truncate(self._host.now()))

    def _is_possible(self, task_id: str) -> bool:
        return len(task_id) <= _ID_LENGTH and self._engine.ready_dialect().storable(task_id)

    def _statement(self, key: Any, build: Callable[[Dialect], Any]) -> Statement:
        return self._engine.statement(('task', key), build)


def _not_found(task_id: str) -> contract.NotFound:
    return contract.NotFound(f'No task found with ID {task_id}')


def _changed(task: Task) -> contract.Conflict:
    return contract.Conflict(f'task {task.id} was changed in the meantime')
