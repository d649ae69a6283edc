"""Use cases of tasks: to see and steer work that outlives a request."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import Context, Page, Task, TaskQuery
from glancelite.domain import imports
from glancelite.schema.image import Creation
from glancelite.services.importing import TYPE
from glancelite.services.imports import check_length, lacks_token, submit
from glancelite.services.layers import Layers
from glancelite.services.task_import import TYPE as IMPORT
from glancelite.services.task_import import TaskImport
from glancelite.services.work import Work, is_waiting, record_caller

#: the types of tasks that users see
TYPES = (IMPORT, TYPE, 'location_import')
#: how long a task waits for a process before its message says so
WAITING_TIME = datetime.timedelta(seconds=10)
#: bytes of the input of a task, in JSON: MariaDB and MySQL store 64 KiB
LARGEST_INPUT = 60_000
#: tasks of one image that are shown
MOST_SHOWN = 1000


class Tasks:

    def __init__(self, layers: Layers, work: Work, importing: TaskImport):
        self._layers = layers
        self._work = work
        self._importing = importing

    def list(self, ctx: Context, query: TaskQuery, marker: str | None = None) -> Page[Task]:
        """Return a page of tasks: all of them for administrators, otherwise the caller's own.

        :param query: ``owner`` and ``types`` are set here.
        :param marker: id of the last task of the previous page.
        :raises Forbidden: the caller may not use tasks.
        :raises Invalid: there is no such marker.
        """
        self._enforce(ctx, 'get_tasks')
        if marker is not None:
            try:
                query = dataclasses.replace(query, after=self._visible(ctx, marker))
            except contract.NotFound:
                raise contract.Invalid(f'There is no task {marker} for the marker.') from None
        owner = None if ctx.is_admin else ctx.project or ''
        page = self._layers.database.tasks.list(
            dataclasses.replace(query, owner=owner, types=TYPES))
        return dataclasses.replace(page, items=tuple(map(self._explained, page.items)))

    def get(self, ctx: Context, task_id: str) -> Task:
        """Return one task.

        :raises Forbidden: the caller may not use tasks.
        :raises NotFound: the caller sees no such task, or it has expired.
        """
        self._enforce(ctx, 'get_task')
        return self._explained(self._visible(ctx, task_id))

    def of_image(self, ctx: Context, image_id: str) -> Sequence[Task]:
        """Return the newest tasks of an image that the caller may see, the newest first.

        :raises NotFound: the caller sees no such image.
        """
        layers = self._layers
        image = layers.database.images.get(image_id, viewer=ctx.viewer)
        layers.policy.enforce(ctx, 'get_image', image)
        return [self._explained(task) for task in layers.database.tasks.list(TaskQuery(
            layers.host.now(), owner=None if ctx.is_admin else ctx.project or '', types=TYPES,
            equal={'image_id': image.id}, limit=MOST_SHOWN)).items]

    def check_caller(self, ctx: Context) -> None:
        """
        :raises Forbidden: the caller may not create tasks.
        """
        self._enforce(ctx, 'add_task')

    def create(self, ctx: Context, given: Mapping[str, Any], creation: Creation) -> Task:
        """Create a task of the type ``import``.

        :param given: the input of the task.
        :param creation: the image that it describes.
        :raises Forbidden: the caller may not use tasks.
        :raises Invalid: the input is wrong.
        """
        self._enforce(ctx, 'add_task')
        journal = self._importing.check(ctx, given, creation)
        given = {**given, 'import_from': journal['arguments']['uri']}   # without its secrets
        check_length({**given, 'arguments': journal['arguments']}, LARGEST_INPUT)
        task = self._layers.database.tasks.add(Task(
            str(uuid.uuid4()), IMPORT, owner=ctx.project, user_id=ctx.user,
            request_id=ctx.request_id, input=dict(given),
            journal={**journal, 'caller': record_caller(ctx)}))
        self._layers.events.task(ctx, 'task.create', task)
        self._work.remember(task.id, ctx)
        submit(self._layers, task)
        return task

    def cancel(self, ctx: Context, task_id: str) -> Task:
        """End a task; what it has done is undone.

        :raises NotFound: the caller sees no such task.
        :raises Forbidden: the caller may not change its image.
        :raises Conflict: it has ended.
        """
        task = self._steered(ctx, task_id)
        try:
            task = self._layers.database.tasks.cancel(task.id)
        except contract.Conflict:
            raise contract.Conflict(f'Task {task.id} has ended already.') from None
        submit(self._layers, task)
        return task

    def retry(self, ctx: Context, task_id: str) -> Task:
        """Begin a task again that has failed.

        :raises NotFound: the caller sees no such task.
        :raises Forbidden: the caller may not change its image.
        :raises Conflict: it has not failed, or its image does not allow it now.
        """
        task = self._steered(ctx, task_id)
        if task.status != 'failure' or 'version' not in task.journal:
            raise contract.Conflict(f'Task {task.id} has not failed.')
        if imports.has_forgotten(task.journal):
            raise contract.Conflict(f'The secrets of task {task.id} are not kept any more. '
                                    'Request the import again.')
        importer = self._layers.importers.get(str(task.journal.get('method')))
        if (importer is not None and importer.NEEDS_TOKEN
                and not lacks_token(self._layers, importer)):
            restarted = self._importing.restart(ctx, task, node=self._work.private_node)
            task = self._work.claim(restarted, ctx)
        else:
            task = self._importing.restart(ctx, task)
        self._work.remember(task.id, ctx)
        submit(self._layers, task)
        return task

    def _steered(self, ctx: Context, task_id: str) -> Task:
        """Return a task that the caller may cancel or retry."""
        task = self._visible(ctx, task_id)
        if ctx.read_only:
            raise contract.Forbidden('You are not authorized to complete this action.')
        if task.image_id is not None:
            try:
                image = self._layers.database.images.get(task.image_id, viewer=None)
            except contract.NotFound:
                return task
            self._layers.policy.enforce(ctx, 'modify_image', image)
        return task

    def _visible(self, ctx: Context, task_id: str) -> Task:
        task = self._layers.database.tasks.get(task_id)
        expired = task.expires_at is not None and task.expires_at <= self._layers.host.now()
        if expired or task.type not in TYPES or not (
                ctx.is_admin or (ctx.project is not None and task.owner == ctx.project)):
            raise contract.NotFound(f'No task found with ID {task_id}')
        return task

    def _explained(self, task: Task) -> Task:
        """Return the task with a message that says what it waits for, if it does so for long."""
        now = self._layers.host.now()
        if (task.is_finished or 'version' not in task.journal or not is_waiting(task, now)
                or task.updated_at is None or now - task.updated_at < WAITING_TIME):
            return task
        if task.cancelled:
            text = 'The task was cancelled, and ends as soon as a process runs tasks.'
        elif task.node is not None:
            text = 'The task waits for a process on the node that has the staged data.'
        else:
            text = 'The task waits for a process that runs tasks.'
        return dataclasses.replace(task, message=f'{text} {task.message}'.rstrip())

    def _enforce(self, ctx: Context, action: str) -> None:
        self._layers.policy.enforce(ctx, 'tasks_api_access')
        self._layers.policy.enforce(ctx, action)
