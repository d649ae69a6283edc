"""``/v2/tasks``: work that outlives a request."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from glancelite import contract
from glancelite.api import paging
from glancelite.api.message import Request, Response, base_url
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.assembly import Core
from glancelite.contract import TaskQuery
from glancelite.contract.query import TASK_KEYS
from glancelite.schema import task as schema
from glancelite.schema import task_views
from glancelite.schema.fields import UUID

PATH = '/v2/tasks'
_UUID = re.compile(UUID)
_TIMES = frozenset({'created_at', 'updated_at', 'expires_at'})
_CONTROL = frozenset({'limit', 'marker', 'sort_key', 'sort_dir'})


class Tasks(Resource):
    """``/v2/tasks``."""

    def __init__(self, core: Core):
        super().__init__(variable=Task(core))
        self._tasks = core.use_cases.tasks
        self._settings = core.settings
        self._schema = core.schema
        self._now = core.layers.host.now

    @operation('List tasks.', returns='tasks', ignores_body=True)
    def get(self, request: Request) -> Response:
        parameters = paging.parse_query(request.environ.get('QUERY_STRING', ''))
        settings = self._settings
        query, marker = _query(parameters, self._now(), settings.limit_param_default,
                               settings.api_limit_max)
        page = self._tasks.list(request.context, query, marker)
        kept = [pair for pair in parameters if pair[0] != 'marker']
        first = f'{PATH}?{urlencode(kept)}' if kept else PATH
        following = (f'{PATH}?{urlencode([*kept, ("marker", page.items[-1].id)])}'
                     if page.more and page.items else None)
        return Response.json(task_views.page(page.items, first=first, following=following))

    @operation('Create a task.', accepts='task', returns='task', statuses=(201,))
    def post(self, request: Request) -> Response:
        self._tasks.check_caller(request.context)
        given = _input(request.json_object())
        creation = self._schema.create(given['image_properties'])
        task = self._tasks.create(request.context, given, creation)
        base = base_url(request.environ, self._settings.public_endpoint)
        return Response.json(task_views.task(task), 201, (
            ('Location', f'{base}{PATH}/{task.id}'),))


class Task(Resource):
    """``/v2/tasks/{task_id}``."""

    def __init__(self, core: Core):
        super().__init__({'actions': Resource({'cancel': Cancel(core), 'retry': Retry(core)})})
        self._tasks = core.use_cases.tasks

    @operation('Show a task.', returns='task')
    def get(self, request: Request, task_id: str) -> Response:
        return Response.json(task_views.task(self._tasks.get(request.context, task_id)))


class Cancel(Resource):
    """``/v2/tasks/{task_id}/actions/cancel``."""

    def __init__(self, core: Core):
        super().__init__()
        self._tasks = core.use_cases.tasks

    @operation('End a task, and undo what it has done.', returns='task', statuses=(202,))
    def post(self, request: Request, task_id: str) -> Response:
        return Response.json(task_views.task(self._tasks.cancel(request.context, task_id)), 202)


class Retry(Resource):
    """``/v2/tasks/{task_id}/actions/retry``."""

    def __init__(self, core: Core):
        super().__init__()
        self._tasks = core.use_cases.tasks

    @operation('Begin a task again that has failed.', returns='task', statuses=(202,))
    def post(self, request: Request, task_id: str) -> Response:
        return Response.json(task_views.task(self._tasks.retry(request.context, task_id)), 202)


class ImageTasks(Resource):
    """``/v2/images/{image_id}/tasks``."""

    def __init__(self, core: Core):
        super().__init__()
        self._tasks = core.use_cases.tasks

    @operation('List the tasks of an image.', returns='object')
    def get(self, request: Request, image_id: str) -> Response:
        return Response.json(task_views.of_image(
            self._tasks.of_image(request.context, image_id)))


def _input(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input of a new task.

    :raises Invalid: it is not that of a task of the type ``import``.
    """
    for name in ('type', 'input'):
        if name not in body:
            raise contract.Invalid(f"Task '{name}' is required")
    if body['type'] != schema.TYPES[0]:
        raise contract.Invalid(f"Tasks can be created with the type '{schema.TYPES[0]}' only.")
    given = body['input']
    if not isinstance(given, dict):
        raise contract.Invalid("'input' must be an object.")
    for name in ('import_from', 'import_from_format', 'image_properties'):
        if name not in given:
            raise contract.Invalid(f"Input does not contain '{name}' field")
    if not isinstance(given['image_properties'], dict):
        raise contract.Invalid("'image_properties' must be an object.")
    return given


def _query(parameters: paging.Parameters, now: datetime.datetime, default_limit: int,
           max_limit: int) -> tuple[TaskQuery, str | None]:
    """Return the query that the parameters of a listing define, and their marker.

    :raises Invalid: a parameter is invalid.
    """
    last = dict(parameters)
    marker = last.get('marker')
    if marker is not None and not _UUID.fullmatch(marker):
        raise contract.Invalid('Invalid marker format')
    key, direction = last.get('sort_key', 'created_at'), last.get('sort_dir', 'desc')
    if key not in TASK_KEYS:
        raise contract.Invalid(f'Invalid sort key: {key}. It must be one of the following: '
                               f'{", ".join(TASK_KEYS)}.')
    if direction not in ('asc', 'desc'):
        raise contract.Invalid(f'Invalid sort direction: {direction}. It must be asc or desc.')
    order = dict.fromkeys((key, 'created_at', 'id'), direction)
    equal = {name: _filter(name, value) for name, value in last.items() if name not in _CONTROL}
    limit = paging.parse_limit(last['limit']) if 'limit' in last else default_limit
    return TaskQuery(now, equal=equal, sort=tuple(order.items()),
                     limit=min(limit, max_limit)), marker


def _filter(name: str, value: str) -> object:
    if name not in TASK_KEYS:
        raise contract.Invalid(f'Tasks cannot be filtered by {name}.')
    if name == 'status' and value not in contract.TASK_STATUSES:
        raise contract.Invalid(f'Invalid status value: {value}')
    if name == 'type' and value != schema.TYPES[0]:
        raise contract.Invalid(f'Invalid type value: {value}')
    return paging.parse_time(name, value) if name in _TIMES else value
