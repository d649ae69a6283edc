"""Records of tasks, and the claims of the processes that run them."""

from __future__ import annotations

import abc
import datetime
from collections.abc import Collection, Mapping

from glancelite.contract.query import TaskQuery
from glancelite.contract.values import Image, Page, Task

#: fields of a task that ``TaskRecords.update`` and ``restart`` can change
UPDATABLE = frozenset({'status', 'image_id', 'input', 'result', 'message', 'journal', 'progress',
                       'not_before', 'node', 'expires_at'})


def check_names(method: str, changes: Mapping[str, object]) -> None:
    """
    :raises TypeError: ``changes`` has a name that ``method`` cannot change.
    """
    unknown = changes.keys() - UPDATABLE
    if unknown:
        raise TypeError(f'{method}() cannot change {", ".join(sorted(unknown))}')


class TaskRecords(abc.ABC):
    """Tasks, each of which at most one process runs at a time.

    Ids are compared exactly.  A backend may also have tasks of another service: ``get`` and
    ``list`` return them with ``attempt`` 0; they cannot be claimed or changed.  A ``message``
    may be cut, and characters in it replaced, so that it can be stored.

    Leases and pauses are measured with one clock for all processes: that of the backend if it
    serves several hosts, otherwise ``Host.now()``.
    """

    @abc.abstractmethod
    def add(self, task: Task) -> Task:
        """Add a task that no process has claimed.

        :returns: the task as recorded, with ``created_at`` and ``updated_at``.
        :raises Conflict: the id is in use.
        """

    @abc.abstractmethod
    def add_and_update(self, task: Task, image: Image,
                       changes: Mapping[str, object]) -> tuple[Task, Image]:
        """Add a task and change its image: both, or neither.

        :param image: as the caller has read it.
        :param changes: as in ``ImageRecords.update``.
        :returns: both as recorded.
        :raises Conflict: the id of the task is in use, or the image has another revision.
        :raises NotFound: the image does not exist any more.
        """

    @abc.abstractmethod
    def get(self, task_id: str) -> Task:
        """Return one task, also if it has expired.

        :raises NotFound: there is no such task: ``No task found with ID <id>``.
        """

    @abc.abstractmethod
    def list(self, query: TaskQuery) -> Page[Task]:
        """Return one page of a listing.

        The listing consists of the tasks that ``glancelite.contract.query.task_matches``
        accepts, in the order of ``compare``; see ``ImageRecords.list``.
        """

    @abc.abstractmethod
    def claim(self, *, holder: str, node: str, seconds: float,
              types: Collection[str], task_id: str | None = None) -> Task | None:
        """Claim a task: one that is not finished, due, for this node, and held by no process.

        A task is held until its ``lease_until``.  Of several processes that claim at once each
        gets another task.  The oldest task that can be claimed is claimed, by ``created_at``.

        :param holder: name of the process, for people.
        :param node: tasks of other nodes are left to them.
        :param seconds: duration of the lease.
        :param types: types of tasks that this process can run.
        :param task_id: claim this task only.
        :returns: the task, now ``processing``, with ``attempt`` one larger and without
            ``not_before``; None if there is none to claim.
        """

    @abc.abstractmethod
    def renew(self, tasks: Collection[Task], *, seconds: float) -> Mapping[str, bool]:
        """Extend the leases of tasks that are still held with their ``attempt``.

        So are leases that have expired, if no process has claimed the task since.  This is no
        change of the task: ``updated_at`` stays.

        :param tasks: as they were claimed.
        :param seconds: duration from now; if it is negative, other processes may claim the
            tasks at once.
        :returns: id -> ``cancelled``, of the tasks that are still held.
        """

    @abc.abstractmethod
    def update(self, task: Task, changes: Mapping[str, object], *,
               release: bool = False, pause: float | None = None) -> Task:
        """Write ``changes`` if no process has claimed the task since ``task`` was read.

        :param task: as it was claimed, or written since.
        :param changes: any of ``UPDATABLE``.  The lease stays as it is.
        :param release: give up the claim: other processes may claim it at once, or from
            ``not_before``, unless it is finished.  A finished task is never held.
        :param pause: set ``not_before`` to so many seconds from now, by the clock of leases:
            that of this host may be wrong.
        :returns: the task as written, with what ``renew`` and ``cancel`` have written.
        :raises TypeError: ``changes`` has another name.
        :raises NotFound: it does not exist any more.
        :raises Conflict: it has another ``attempt``, or is finished.
        """

    @abc.abstractmethod
    def cancel(self, task_id: str) -> Task:
        """Set ``cancelled`` on a task that is not finished; the process that runs it ends it.

        If no process holds it, it can be claimed at once: ``not_before`` becomes None.

        :returns: the task as written.
        :raises NotFound: there is no such task.
        :raises Conflict: it is finished, or of another service.
        """

    @abc.abstractmethod
    def restart(self, task: Task, changes: Mapping[str, object]) -> Task:
        """Set ``pending`` on a task that has failed, so that it can be claimed again.

        ``message`` becomes empty; ``result``, ``expires_at`` and ``not_before`` None;
        ``cancelled`` False.

        :param changes: further changes, as in ``update``.
        :raises Conflict: it has not failed, or was changed since it was read.
        :raises NotFound: it does not exist any more.
        """

    @abc.abstractmethod
    def redact(self, task: Task, journal: Mapping[str, object]) -> None:
        """Replace the ``journal`` of a finished task, for example by one without secrets.

        Nothing else changes, not even ``updated_at``; nothing at all if the task was changed
        since it was read, or does not exist any more.
        """

    @abc.abstractmethod
    def remove(self, task: Task) -> None:
        """Remove the record, if it has still the ``attempt`` of ``task``."""

    @abc.abstractmethod
    def purge(self, *, expired_before: datetime.datetime, limit: int = 1000) -> int:
        """Remove finished tasks that expired before this time.

        :returns: how many were removed; at most ``limit``.
        """
