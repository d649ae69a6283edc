"""Runs tasks: claims them, keeps their leases, and hands them back.

A task is claimed before it runs, and every write of its work says which claim it belongs to.
So a process that has lost a claim, because it was frozen or cut off for longer than the lease,
changes nothing any more.
"""

from __future__ import annotations

import datetime
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from glancelite import contract
from glancelite.contract import Context, Task, TaskQuery
from glancelite.domain import imports
from glancelite.services.layers import Layers
from glancelite.services.periodic import Periodic
from glancelite.support import log_context

LOG = logging.getLogger(__name__)
T = TypeVar('T')

#: most seconds between two renewals: a cancelled task ends about so soon
HEARTBEAT = 2.0
#: seconds that the end of a process waits for its tasks to be handed back
CLOSE_TIME = 8.0
#: seconds between two tries to reach a database that does not answer
DATABASE_PAUSE = 0.5
#: seconds after which a waiting task sees that it is to end
WAIT = 0.2
#: tasks of each status that are looked at for an executor
MOST_WAITING = 1000
#: callers of tasks that were accepted here, of which the process remembers the tokens
MOST_CALLERS = 1000


class Ended(contract.Gone):
    """The work on a task is to end; ``reason`` says why."""

    def __init__(self, text: str, reason: str):
        super().__init__(text)
        self.reason = reason


#: reasons of ``Ended``: another process has claimed the task; its owner or the deletion of its
#: image ends it; the node with its data is away; this process ends
LOST, CANCELLED, ABANDONED, CLOSING = 'lost', 'cancelled', 'abandoned', 'closing'
#: reasons that end the task itself
FINAL = frozenset({CANCELLED, ABANDONED})

_TEXTS = {LOST: 'Another process has taken over this work.', CANCELLED: 'The task was cancelled.',
          ABANDONED: 'The node that has the staged data is away.',
          CLOSING: 'This process ends.'}


class Claim:
    """A task that this process runs.

    :ivar task: as it was written last.
    :ivar ctx: the caller who requested it, without a token if another process accepted it.
    """

    def __init__(self, work: Work, task: Task, ctx: Context):
        self._work = work
        self._lock = threading.Lock()
        self.task = task
        self.ctx = ctx
        #: why the work is to end; None while it may go on
        self.ending: str | None = None

    def check(self) -> None:
        """
        :raises Ended: the work is to end.
        """
        if self.ending is not None:
            raise Ended(_TEXTS[self.ending], self.ending)

    def write(self, **changes: object) -> None:
        """Change the task; waits while the database does not answer.

        :raises Ended: another process has claimed it.
        """
        self._write(changes)

    def pause(self, seconds: float, error: contract.Unavailable, *, keep: bool = False,
              **changes: object) -> None:
        """Give the claim up, so that any process can go on after some seconds.

        :param error: why the work cannot go on now.
        :param keep: keep the claim, and wait here instead.
        :param changes: further changes of the task.
        """
        changes['message'] = f'Another try follows: {imports.reason_for_users(error)}'
        if keep:
            self.write(**changes)
            self.wait(seconds)
        else:
            self._write(changes, release=True, pause=seconds)

    def finish(self, status: str, message: str = '',
               result: Mapping[str, Any] | None = None) -> None:
        """End the task with ``success`` or ``failure``."""
        # a retry needs the journal of a failed task
        journal = {'journal': {'version': 1}} if status == 'success' else {}
        self._write({'status': status, 'message': message, 'result': result, **journal,
                     'expires_at': self._work.expiry()}, release=True)
        if status == 'success' and self.task.image_id is not None:
            self._work.forget_secrets(self.task.image_id)
        elif self.task.cancelled:
            self._work.forget_secrets_of(self.task)
        LOG.log(logging.INFO if status == 'success' else logging.WARNING,
                'task %s (%s) of image %s ends with %s%s', self.task.id, self.task.type,
                self.task.image_id, status, f': {message}' if message else '')
        self._work.events.task(self.ctx, f'task.{status}', self.task)

    def _write(self, changes: Mapping[str, object], *, release: bool = False,
               pause: float | None = None) -> None:
        with self._lock:
            try:
                self.task = self.patiently(lambda: self._work.records.update(
                    self.task, changes, release=release, pause=pause))
            except (contract.Conflict, contract.NotFound):
                self.ending = LOST
                self.check()

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until the work is to end."""
        deadline = time.monotonic() + seconds
        while self.ending is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, WAIT))

    def patiently(self, call: Callable[[], T]) -> T:
        """Return what ``call`` returns; again while the database does not answer.

        The task may be lost meanwhile, and the heartbeat finds out when the database is back.

        :raises Ended: the claim was lost, or this process ends.
        """
        while True:
            try:
                return call()
            except contract.Unavailable as error:
                if self.ending in (LOST, CLOSING):
                    self.check()
                LOG.warning('task %s waits for the database: %s', self.task.id, error)
                time.sleep(DATABASE_PAUSE)


Handler = Callable[[Claim], None]


class Work:
    """The tasks of the service, for executors; implements ``contract.Work``.

    :param lease: seconds after which the task of a dead process can be claimed.
    :param time_to_live: hours for which finished tasks are shown.
    """

    def __init__(self, layers: Layers, *, lease: float = 30, time_to_live: float = 48):
        self.records = layers.database.tasks
        self.events = layers.events
        self._importers = layers.importers
        self._host = host = layers.host
        self._lease = lease
        self._time_to_live = time_to_live
        self._holder = f'{host.node}/{os.getpid()}'
        self._handlers: dict[str, Handler] = {}
        self._callers: dict[str, Context] = {}
        self._claims: dict[str, Claim] = {}
        #: ids of tasks that were claimed when they were accepted, and do not run yet
        self._accepted: list[str] = []
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._closing = False
        self._heartbeat = Periodic(self.renew, min(HEARTBEAT, lease / 3), 'renewal of tasks')

    def register(self, task_type: str, handler: Handler) -> None:
        """Let ``handler`` run the tasks of one type.

        It ends, releases or finishes the claim; if it raises, the claim expires.

        :raises ValueError: the type has a handler already.
        """
        if task_type in self._handlers:
            raise ValueError(f'two handlers for tasks of type {task_type}')
        self._handlers[task_type] = handler

    @property
    def types(self) -> Collection[str]:
        """The types of tasks that can run here."""
        return tuple(self._handlers)

    def expiry(self) -> datetime.datetime:
        """Return until when a task that is finished now is shown."""
        return self._host.now() + datetime.timedelta(hours=self._time_to_live)

    def remember(self, task_id: str, ctx: Context) -> None:
        """Keep the caller of a new task, whose token must not be recorded."""
        with self._lock:
            self._callers[task_id] = ctx
            if len(self._callers) > MOST_CALLERS:
                del self._callers[next(iter(self._callers))]

    def forget_secrets(self, image_id: str) -> None:
        """Remove the secrets of failed imports of an image, which cannot be tried again.

        They are those of an image that has its data, or was deleted.
        """
        try:
            tasks = self.records.list(TaskQuery(
                self._host.now(), types=tuple(self.types),
                equal={'image_id': image_id, 'status': 'failure'})).items
        except contract.Unavailable as error:
            LOG.warning('secrets of imports of image %s are kept until their tasks expire: %s',
                        image_id, error)
            return
        for task in tasks:
            self.forget_secrets_of(task)

    def forget_secrets_of(self, task: Task) -> None:
        """Remove the secrets of a failed import, such as the password in a URL."""
        importer = self._importers.get(str(task.journal.get('method')))
        journal = imports.without_secrets(
            task.journal, None if importer is None else importer.SECRETS)
        if journal is None:
            return
        try:
            self.records.redact(task, journal)
        except contract.Unavailable as error:
            LOG.warning('secrets of task %s are kept until it expires: %s', task.id, error)

    # --- tasks that only this process can run, since it has the token of their caller

    @property
    def private_node(self) -> str:
        """The ``node`` with which such a task is written: no process claims it."""
        return self._holder

    def claim(self, task: Task, ctx: Context, *, node: str | None = None) -> Task:
        """Claim such a task, so that no other process does while this one lives.

        :param node: the only one whose processes may go on if this one ends; None for any.
        :returns: the task as written.
        """
        claimed = self.records.claim(
            holder=self._holder, node=self.private_node, seconds=self._lease,
            types=(task.type,), task_id=task.id)
        if claimed is None:     # it was written a moment ago
            raise contract.Conflict(f'Task {task.id} was changed in the meantime.')
        claim = Claim(self, self.records.update(claimed, {'node': node}), ctx)
        with self._lock:
            closing = self._closing
            if not closing:
                self._claims[task.id] = claim
                self._accepted.append(task.id)
        if closing:
            self._hand_back(claim)
        return claim.task

    def _next_accepted(self, task_id: str | None) -> Claim | None:
        with self._lock:
            for accepted in self._accepted:
                if task_id in (None, accepted):
                    self._accepted.remove(accepted)
                    return self._claims[accepted]
        return None

    # --- for executors

    def run(self, task_id: str | None = None) -> bool:
        if self._closing:
            return False
        accepted = self._next_accepted(task_id)
        if accepted is not None:
            self._run_claim(accepted)
            return True
        try:
            task = self.records.claim(holder=self._holder, node=self._host.node,
                                      seconds=self._lease, types=self.types, task_id=task_id)
        except contract.Unavailable as error:
            LOG.warning('no task can be claimed now: %s', error)
            return False
        if task is None:
            return False
        self._run(task, CANCELLED if task.cancelled else None)
        return True

    def _run(self, task: Task, ending: str | None) -> None:
        """Run a task that this process has claimed, and renew its lease meanwhile.

        :param ending: why the work is to end; None if it may go on.
        """
        claim = Claim(self, task, self._caller(task))
        with self._lock:
            claim.ending = ending or (CLOSING if self._closing else None)
            if earlier := self._claims.get(task.id):
                earlier.ending = LOST       # its lease expired, and it does not know yet
            self._claims[task.id] = claim
        self._run_claim(claim)

    def _run_claim(self, claim: Claim) -> None:
        task = claim.task
        log_context.begin(task.request_id)
        log_context.set_caller(claim.ctx)
        try:
            self._handle(claim)
        finally:
            with self._lock:
                if self._claims.get(task.id) is claim:
                    del self._claims[task.id]
                if claim.task.is_finished:
                    self._callers.pop(task.id, None)
                self._idle.notify_all()

    def _handle(self, claim: Claim) -> None:
        task = claim.task
        LOG.info('task %s (%s) of image %s begins, attempt %d', task.id, task.type,
                 task.image_id, task.attempt)
        if task.attempt == 1:
            self.events.task(claim.ctx, 'task.run', task)
            self.events.task(claim.ctx, 'task.processing', task)
        try:
            self._handlers[task.type](claim)
        except Ended as ended:
            LOG.info('task %s ends here: %s', task.id, ended)
            if ended.reason == CLOSING:
                self._hand_back(claim)
        except BaseException:       # its lease expires, and it is tried again
            LOG.exception('task %s failed', task.id)

    def _hand_back(self, claim: Claim) -> None:
        try:
            self.records.update(claim.task, {}, release=True)
        except contract.Error as error:
            LOG.warning('task %s cannot be handed back, its lease expires: %s', claim.task.id,
                        error)

    def waiting(self) -> Sequence[Task]:
        now = self._host.now()
        with self._lock:
            accepted = [self._claims[task_id].task for task_id in self._accepted]
        return accepted + [
            task for status in ('pending', 'processing')
            for task in self._oldest(status, 'created_at') if is_waiting(task, now)]

    def purge(self) -> None:
        """Remove the records of tasks that have expired."""
        while self.records.purge(expired_before=self._host.now()):
            pass

    def end_cancelled(self) -> None:
        """End the cancelled tasks that no process runs, also if this one runs no others."""
        for task in self.waiting():
            if task.cancelled:
                self.run(task.id)

    def abandon(self, after: float) -> None:
        """Claim the tasks of nodes that are away, and end them.

        A node that holds a task is not away: the others wait for it.  Tasks whose process has
        died before it claimed them are for all nodes then.

        :param after: seconds for which the task of a node did not change.
        """
        now = self._host.now()
        tasks = [task for status in ('pending', 'processing')
                 for task in self._oldest(status, 'updated_at')]
        present = {str(task.holder).rpartition('/')[0] for task in tasks
                   if task.lease_until is not None and task.lease_until > now}
        for task in tasks:
            seconds = self._lease if _is_private(task) else after
            before = now - datetime.timedelta(seconds=seconds)
            if task.node not in (None, self._host.node, *present) and (
                    task.updated_at is not None and task.updated_at < before):
                self._abandon(task)

    def _oldest(self, status: str, by: str) -> Sequence[Task]:
        """Return some tasks with this status, in the order of this time."""
        return self.records.list(TaskQuery(
            self._host.now(), types=tuple(self.types), equal={'status': status},
            sort=((by, 'asc'), ('id', 'asc')), limit=MOST_WAITING)).items

    def _abandon(self, task: Task) -> None:
        claimed = self.records.claim(
            holder=self._holder, node=str(task.node), seconds=self._lease, types=self.types,
            task_id=task.id)
        if claimed is None:
            return
        if _is_private(claimed):
            self.records.update(claimed, {'node': None}, release=True)
            return
        LOG.warning('task %s is abandoned: its node %s is away', task.id, task.node)
        self._run(claimed, ABANDONED)

    def _caller(self, task: Task) -> Context:
        with self._lock:
            known = self._callers.get(task.id)
        return known or caller_of(task)

    # --- leases

    def renew(self) -> None:
        """Renew the leases of all tasks that run here; end those that are lost or cancelled."""
        with self._lock:
            claims = dict(self._claims)
        if not claims:
            return
        held = self.records.renew([claim.task for claim in claims.values()],
                                  seconds=self._lease)
        for task_id, claim in claims.items():
            if task_id not in held:
                if not claim.task.is_finished and claim.task.holder is not None:
                    claim.ending = LOST
            elif held[task_id] and claim.ending is None:
                claim.ending = CANCELLED

    def start(self) -> None:
        """Renew leases from now on."""
        self._heartbeat.start()

    def close(self) -> None:
        """Claim nothing more, and hand back what runs here."""
        deadline = time.monotonic() + CLOSE_TIME
        with self._lock:
            self._closing = True
            accepted = [self._claims.pop(task_id) for task_id in self._accepted]
            self._accepted.clear()
        for claim in accepted:
            self._hand_back(claim)
        with self._lock:
            for claim in self._claims.values():
                claim.ending = claim.ending or CLOSING
            while self._claims and time.monotonic() < deadline:
                self._idle.wait(max(0.0, deadline - time.monotonic()))
            for task_id in self._claims:
                LOG.warning('task %s is not handed back in time; its lease expires', task_id)
        self._heartbeat.close()


def _is_private(task: Task) -> bool:
    """Return whether only the process may claim the task that is about to do so."""
    return '/' in (task.node or '')


def is_waiting(task: Task, now: datetime.datetime) -> bool:
    """Return whether no process holds the task, and it is due."""
    return ((task.not_before is None or task.not_before <= now)
            and (task.lease_until is None or task.lease_until <= now))


def record_caller(ctx: Context) -> Mapping[str, Any]:
    """Return what the record of a task keeps of its caller, JSON-ready, without secrets."""
    return {'user': ctx.user, 'project': ctx.project, 'roles': sorted(ctx.roles),
            'is_admin': ctx.is_admin, 'user_domain': ctx.user_domain,
            'project_domain': ctx.project_domain}


def caller_of(task: Task) -> Context:
    """Return the caller that ``record_caller`` has recorded in the journal of a task."""
    kept = dict(task.journal.get('caller') or {})
    roles = frozenset(kept.pop('roles', ()))
    return Context(**{'project': task.owner, 'user': task.user_id, **kept}, roles=roles,
                   request_id=task.request_id)
