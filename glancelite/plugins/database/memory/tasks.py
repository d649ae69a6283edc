"""Tasks in memory."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import functools
import json
from collections.abc import Collection, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import query as queries
from glancelite.contract.database.tasks import check_names
from glancelite.contract.query import TaskQuery
from glancelite.contract.values import Image, Page, Task
from glancelite.plugins.database.memory.images import MemoryImages
from glancelite.plugins.database.memory.records import Records

#: fields that are JSON-ready
_JSON = ('input', 'result', 'journal', 'progress')
_NOT_HELD: Mapping[str, Any] = {'holder': None, 'lease_until': None}


class MemoryTasks(contract.TaskRecords):

    def __init__(self, records: Records, images: MemoryImages, host: contract.Host):
        self._records = records
        self._images = images
        self._host = host

    def add(self, task: Task) -> Task:
        now = self._host.now()
        added = dataclasses.replace(task, **_json_fields(_fields(task)), **_NOT_HELD, attempt=0,
                                    created_at=now, updated_at=now)
        with self._records.lock:
            self._check_new_locked(task)
            self._records.tasks[task.id] = added
        return _copy(added)

    def add_and_update(self, task: Task, image: Image,
                       changes: Mapping[str, object]) -> tuple[Task, Image]:
        with self._records.lock:
            self._check_new_locked(task)
            written = self._images.update(image, changes)
            return self.add(task), written

    def _check_new_locked(self, task: Task) -> None:
        if task.id in self._records.tasks:
            raise contract.Conflict(f'the task id {task.id} is in use')

    def get(self, task_id: str) -> Task:
        with self._records.lock:
            return _copy(self._present_locked(task_id))

    def list(self, query: TaskQuery) -> Page[Task]:
        with self._records.lock:
            tasks = [task for task in self._records.tasks.values()
                     if queries.task_matches(query, task)]
        compare = functools.partial(queries.compare, query)
        tasks.sort(key=functools.cmp_to_key(compare))
        if query.after is not None:
            tasks = [task for task in tasks if compare(query.after, task) < 0]
        page = tasks if query.limit is None else tasks[:query.limit]
        return Page(tuple(map(_copy, page)), more=len(page) < len(tasks))

    def claim(self, *, holder: str, node: str, seconds: float,
              types: Collection[str], task_id: str | None = None) -> Task | None:
        now = self._host.now()

        def is_claimable(task: Task) -> bool:
            return (not task.is_finished and task.type in types
                    and task_id in (None, task.id)
                    and task.node in (None, node)
                    and (task.lease_until is None or task.lease_until <= now)
                    and (task.not_before is None or task.not_before <= now))

        with self._records.lock:
            # the order of the dict is that of the additions
            task = next(filter(is_claimable, self._records.tasks.values()), None)
            if task is None:
                return None
            return self._replace_locked(
                task, status='processing', attempt=task.attempt + 1, holder=holder,
                lease_until=now + datetime.timedelta(seconds=seconds), not_before=None)

    def renew(self, tasks: Collection[Task], *, seconds: float) -> Mapping[str, bool]:
        until = self._host.now() + datetime.timedelta(seconds=seconds)
        held: dict[str, bool] = {}
        with self._records.lock:
            for task in tasks:
                present = self._records.tasks.get(task.id)
                if present is not None and present.holder is not None and (
                        present.attempt == task.attempt):
                    self._records.tasks[task.id] = dataclasses.replace(
                        present, lease_until=until)
                    held[task.id] = present.cancelled
        return held

    def update(self, task: Task, changes: Mapping[str, object], *,
               release: bool = False, pause: float | None = None) -> Task:
        check_names('update', changes)
        if pause is not None:
            changes = {**changes,
                       'not_before': self._host.now() + datetime.timedelta(seconds=pause)}
        with self._records.lock:
            present = self._present_locked(task.id)
            if present.attempt != task.attempt or present.is_finished:
                raise _changed(task)
            written = dataclasses.replace(present, **_json_fields(changes))
            not_held = _NOT_HELD if release or written.is_finished else {}
            return self._replace_locked(written, **not_held)

    def cancel(self, task_id: str) -> Task:
        with self._records.lock:
            present = self._present_locked(task_id)
            if present.is_finished:
                raise contract.Conflict(f'task {task_id} is finished')
            return self._replace_locked(present, cancelled=True, not_before=None)

    def restart(self, task: Task, changes: Mapping[str, object]) -> Task:
        check_names('restart', changes)
        with self._records.lock:
            present = self._present_locked(task.id)
            if present.status != 'failure' or (present.attempt, present.updated_at) != (
                    task.attempt, task.updated_at):
                raise _changed(task)
            return self._replace_locked(present, **{
                'status': 'pending', 'message': '', 'result': None, 'expires_at': None,
                'not_before': None, 'cancelled': False, **_json_fields(changes)})

    def redact(self, task: Task, journal: Mapping[str, object]) -> None:
        with self._records.lock:
            present = self._records.tasks.get(task.id)
            if present is not None and present.is_finished and (
                    present.attempt, present.updated_at) == (task.attempt, task.updated_at):
                self._records.tasks[task.id] = dataclasses.replace(
                    present, **_json_fields({'journal': journal}))

    def remove(self, task: Task) -> None:
        with self._records.lock:
            present = self._records.tasks.get(task.id)
            if present is not None and present.attempt == task.attempt:
                del self._records.tasks[task.id]

    def purge(self, *, expired_before: datetime.datetime, limit: int = 1000) -> int:
        with self._records.lock:
            expired = [task.id for task in self._records.tasks.values()
                       if task.is_finished and task.expires_at is not None
                       and task.expires_at < expired_before][:limit]
            for task_id in expired:
                del self._records.tasks[task_id]
        return len(expired)

    def _present_locked(self, task_id: str) -> Task:
        present = self._records.tasks.get(task_id)
        if present is None:
            raise contract.NotFound(f'No task found with ID {task_id}')
        return present

    def _replace_locked(self, task: Task, **fields: Any) -> Task:
        written = dataclasses.replace(task, **fields, updated_at=self._host.now())
        self._records.tasks[task.id] = written
        return _copy(written)


def _fields(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in _JSON}


def _json_fields(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``changes`` with values that JSON can hold as JSON returns them."""
    return {name: json.loads(json.dumps(value, default=dict)) if name in _JSON else value
            for name, value in changes.items()}


def _copy(task: Task) -> Task:
    """Return a copy: a caller that changes it does not change the record."""
    return dataclasses.replace(task, **copy.deepcopy(_fields(task)))


def _changed(task: Task) -> contract.Conflict:
    return contract.Conflict(f'task {task.id} was changed in the meantime')
