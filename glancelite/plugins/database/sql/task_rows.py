"""Conversion between rows and tasks."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from glancelite.contract.values import EMPTY, Task
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.dialects import Dialect

LOG = logging.getLogger(__name__)
_t, _info = tables.tasks.c, tables.task_info.c
#: fields of ``Task`` with a column of the same name, without ``id``
COLUMNS = ('type', 'status', 'owner', 'image_id', 'user_id', 'request_id', 'expires_at',
           'not_before', 'node', 'cancelled')
INFO = ('input', 'result', 'message', 'journal', 'progress')
TIMES = ('expires_at', 'not_before')
#: texts of MariaDB and MySQL end at 64 KiB
MESSAGE_LENGTH = 16_000
JOINED = tables.tasks.outerjoin(tables.task_info, _info.task_id == _t.id)
SELECTED = (
    _t.id, _t.type, _t.owner, _t.status, _t.image_id, _t.user_id, _t.request_id,
    _info.input, _info.result, _info.message, _t.created_at, _t.updated_at, _t.expires_at,
    _t.attempt, _t.holder, _t.lease_until, _t.not_before, _t.node,
    _info.journal, _info.progress, _t.cancelled)


def task_of(row: Any, dialect: Dialect) -> Task:
    """Return the task of a row of ``SELECTED``."""
    (task_id, kind, owner, status, image_id, user_id, request_id, given, result, message,
     created_at, updated_at, expires_at, attempt, holder, lease_until, not_before, node,
     journal, progress, cancelled) = row
    time = dialect.parse_time
    return Task(
        task_id, kind, owner or None, status, image_id, user_id, request_id,
        _decode(given, 'input', task_id) or EMPTY, _decode(result, 'result', task_id),
        message or '', time(created_at), time(updated_at), time(expires_at), attempt or 0,
        holder, time(lease_until), time(not_before), node,
        _decode(journal, 'journal', task_id) or EMPTY,
        _decode(progress, 'progress', task_id) or EMPTY, bool(cancelled))


def task_added(values: Mapping[str, Any], dialect: Dialect) -> Task:
    """Return the task of a new row, which has these values, and no others.

    :param values: those of ``task_row``, with the time of the addition as ``at``.
    """
    row = {**values, 'created_at': values['at'], 'updated_at': values['at']}
    return task_of([row.get(column.name) for column in SELECTED], dialect)


def _decode(text: str | None, field: str, task_id: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        found = ()
    if found is None or isinstance(found, dict):
        return found
    # the text may contain secrets
    LOG.warning('the %s of task %s is no JSON object; it counts as empty', field, task_id)
    return {}


def task_row(fields: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Return the values of columns, in the form of the driver, for fields of a task."""
    return {name: _column_value(name, value, dialect) for name, value in fields.items()}


def _column_value(name: str, value: Any, dialect: Dialect) -> Any:
    if name in TIMES:
        return value and dialect.bind_time(dialect.truncate(value))
    if name == 'owner':
        return value or ''
    if name == 'message':
        return _storable_message(value, dialect)
    if name in INFO:
        return None if value is None else json.dumps(value, default=dict)
    return value


def _storable_message(text: str, dialect: Dialect) -> str:
    """Return a message, which may be that of a program, so that it can be stored."""
    text = text[:MESSAGE_LENGTH]
    return text if dialect.storable(text) else text.replace('\0', '\ufffd').encode(
        errors='replace').decode()


def bind(table: sa.Table, name: str) -> Any:
    """Return the parameter for a new value of a column."""
    return sa.bindparam(name, type_=table.c[name].type)
