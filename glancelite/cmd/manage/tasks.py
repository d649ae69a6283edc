"""``glancelite-manage tasks``: shows and steers work that outlives a request."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from glancelite.assembly import Core
from glancelite.cmd.manage.core import service
from glancelite.contract import TASK_STATUSES, Context, Task, TaskQuery

#: seconds between two lines, or two states of the bar, of ``show --follow``
INTERVAL = 1.0
BAR = 30
#: tasks that are read at once
PAGE = 100
_OPERATOR = Context(is_admin=True, roles=frozenset({'admin'}))
_UNITS = ('B', 'KiB', 'MiB', 'GiB', 'TiB')


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser('tasks', help='Show and steer tasks, such as imports.')
    verbs = parser.add_subparsers(dest='task_verb', required=True)
    listing = verbs.add_parser('list', help='List tasks, the newest first.')
    listing.add_argument('--status', choices=TASK_STATUSES, help='Only tasks with this status.')
    listing.add_argument('--image', help='Only tasks of the image with this ID.')
    listing.set_defaults(run=_list)
    show = verbs.add_parser('show', help='Show one task.')
    show.add_argument('--follow', action='store_true',
                      help='Show its progress until it ends; the exit code is 1 if it fails.')
    show.set_defaults(run=_show)
    cancel = verbs.add_parser('cancel', help='End a task, and undo what it has done.')
    cancel.set_defaults(run=_cancel)
    retry = verbs.add_parser('retry', help='Begin a task again that has failed.')
    retry.set_defaults(run=_retry)
    for verb in show, cancel, retry:
        verb.add_argument('task_id', help='ID of the task.')


def _list(conf: cfg.ConfigOpts) -> int:
    verb = conf.verb
    given = {'status': verb.status, 'image_id': verb.image}
    with service(conf) as core:
        for task in _all(core, {name: value for name, value in given.items() if value}):
            print(f'{task.id}  {task.status:10}  {task.type:16}  {task.image_id or "-":36}  '
                  f'{describe(task)}')
    return 0


def _all(core: Core, equal: dict[str, object]) -> Iterator[Task]:
    marker = None
    while True:
        page = core.use_cases.tasks.list(_OPERATOR, TaskQuery(
            core.layers.host.now(), equal=equal, limit=PAGE), marker)
        yield from page.items
        if not page.more:
            return
        marker = page.items[-1].id


def _show(conf: cfg.ConfigOpts) -> int:
    with service(conf) as core:
        task = core.use_cases.tasks.get(_OPERATOR, conf.verb.task_id)
        if conf.verb.follow:
            task = _follow(core, task)
        for name, value in (
                ('id', task.id), ('type', task.type), ('status', task.status),
                ('image', task.image_id), ('owner', task.owner), ('created', task.created_at),
                ('updated', task.updated_at), ('attempt', task.attempt), ('holder', task.holder),
                ('node', task.node), ('not before', task.not_before),
                ('cancelled', 'yes' if task.cancelled else None),
                ('progress', describe(task)), ('message', task.message),
                ('input', json.dumps(dict(task.input), ensure_ascii=False))):
            if value not in (None, ''):
                print(f'{name:12}{value}')
    return 1 if conf.verb.follow and task.status == 'failure' else 0


def _follow(core: Core, task: Task) -> Task:
    """Show progress until the task ends: as a bar on a terminal, otherwise as lines."""
    terminal, last = sys.stdout.isatty(), ''
    while True:
        line = f'{bar(task)} {task.status} {describe(task)}' if terminal else (
            f'{task.status}  {describe(task)}'.rstrip())
        if terminal:
            print(f'\r\x1b[K{line}', end='', flush=True)
        elif line != last:
            print(line, flush=True)
        last = line
        if task.is_finished:
            break
        time.sleep(INTERVAL)
        task = core.use_cases.tasks.get(_OPERATOR, task.id)
    if terminal:
        print()
    return task


def _cancel(conf: cfg.ConfigOpts) -> int:
    with service(conf) as core:
        task = core.use_cases.tasks.cancel(_OPERATOR, conf.verb.task_id)
        print(f'{task.id} will end')
    return 0


def _retry(conf: cfg.ConfigOpts) -> int:
    with service(conf) as core:
        task = core.use_cases.tasks.retry(_OPERATOR, conf.verb.task_id)
        print(f'{task.id} is {task.status}')
    return 0


def describe(task: Task) -> str:
    """Return the progress of a task in a few words."""
    progress = task.progress
    parts = [str(progress['step'])] if 'step' in progress else []
    if 'bytes' in progress:
        parts.append(_size(progress['bytes']) + (
            f' of {_size(progress["total"])}' if progress.get('total') else ''))
    if progress.get('rate') and not task.is_finished:
        parts.append(f'{_size(progress["rate"])}/s')
    return ', '.join([*parts, *([task.message] if task.message else [])])


def bar(task: Task) -> str:
    """Return a bar as long as the step is complete."""
    total = task.progress.get('total') or 0
    done = BAR if task.status == 'success' else (
        min(BAR, BAR * task.progress.get('bytes', 0) // total) if total else 0)
    return f'[{"#" * done}{"." * (BAR - done)}]'


def _size(count: int) -> str:
    amount = float(count)
    for unit in _UNITS[:-1]:
        if amount < 1024:
            return f'{amount:.0f} {unit}' if unit == 'B' else f'{amount:.1f} {unit}'
        amount /= 1024
    return f'{amount:.1f} {_UNITS[-1]}'
