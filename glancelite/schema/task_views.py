"""Tasks as JSON.

``progress`` is our own attribute: clients of Glance ignore it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from glancelite.contract.values import Task

_TIMES = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC | orjson.OPT_OMIT_MICROSECONDS


def task(record: Task) -> bytes:
    """Return one task."""
    optional = {name: value for name in ('image_id', 'request_id', 'user_id')
                if (value := getattr(record, name)) is not None}
    return orjson.dumps({**_stub(record), **optional, 'input': _object(record.input),
                         'result': _result(record), 'message': record.message,
                         **_progress(record)}, option=_TIMES)


def page(records: Iterable[Task], *, first: str, following: str | None = None) -> bytes:
    """Return a page of a listing; its items lack what Glance shows of single tasks only."""
    shown: dict[str, Any] = {'tasks': [{**_stub(each), **_progress(each)} for each in records],
                             'first': first, 'schema': '/v2/schemas/tasks'}
    if following:
        shown['next'] = following
    return orjson.dumps(shown, option=_TIMES)


def of_image(records: Iterable[Task]) -> bytes:
    """Return the tasks of an image, with times as the reference shows them here."""
    return orjson.dumps({'tasks': [{
        'id': each.id, 'type': each.type, 'status': each.status, 'owner': each.owner,
        'expires_at': _time(each.expires_at), 'created_at': _time(each.created_at),
        'updated_at': _time(each.updated_at), 'deleted_at': None, 'deleted': False,
        'image_id': each.image_id, 'request_id': each.request_id, 'user_id': each.user_id,
        'input': _object(each.input), 'result': _result(each), 'message': each.message,
        **_progress(each)} for each in records]})


def _stub(record: Task) -> dict[str, Any]:
    expires = {} if record.expires_at is None else {'expires_at': record.expires_at}
    return {'id': record.id, 'type': record.type, 'status': record.status,
            'owner': record.owner, 'created_at': record.created_at,
            'updated_at': record.updated_at, 'self': f'/v2/tasks/{record.id}',
            'schema': '/v2/schemas/task', **expires}


def _result(record: Task) -> dict[str, Any] | None:
    return None if record.result is None else _object(record.result)


def _object(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object that users, or Glance, have written, such that it can be shown."""
    shown = dict(value)
    try:
        orjson.dumps(shown)
    except TypeError:       # such as a number of more than 64 bits
        shown = json.loads(json.dumps(shown, default=str), parse_int=_number)
    return shown


def _number(text: str) -> int | float:
    return int(text) if len(text) < 19 else float(text)


def _progress(record: Task) -> dict[str, Any]:
    return {'progress': dict(record.progress)} if record.progress else {}


def _time(moment: datetime.datetime | None) -> str | None:
    return moment.strftime('%Y-%m-%dT%H:%M:%S.%f') if moment else None
