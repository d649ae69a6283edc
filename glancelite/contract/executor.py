"""The layer ``executor``: decides when and in which process tasks are run."""

from __future__ import annotations

import abc
from collections.abc import Collection
from typing import ClassVar, Protocol

from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Task


class Work(Protocol):
    """The tasks, as an executor sees them.  All methods may be called in any thread."""

    def run(self, task_id: str | None = None) -> bool:
        """Claim one task and run it until it ends, or cannot go on now.

        Nothing is raised.

        :param task_id: this task, if it can be claimed; None for any.
        :returns: False if there was none to claim.
        """

    def waiting(self) -> Collection[Task]:
        """Return some tasks that could be claimed now, the oldest first.

        :raises Unavailable: the database does not answer.
        """


class Executor(Plugin):
    """Runs tasks.  The record of a task is the truth: a call too many, too late, or lost
    changes nothing but the time, since ``Work.run`` claims the task.

    An executor sees a task at the latest ``poll_interval`` seconds after it can be claimed.
    ``close`` claims no more tasks, and waits some seconds for those that run: the service has
    asked them to end before.  ``submit`` may be called before ``start`` and after ``close``.
    """

    LAYER = 'executor'
    #: False: it runs only the tasks that are submitted, and a worker process runs nothing with it
    POLLS: ClassVar[bool] = True
    #: True: tasks never run in the process that has accepted them
    RUNS_ELSEWHERE: ClassVar[bool] = False

    @abc.abstractmethod
    def start(self, work: Work, *, serves: bool) -> None:
        """Begin.

        :param serves: True in a process of the API, False in a worker process, whose only
            purpose is to run tasks.
        """

    @abc.abstractmethod
    def submit(self, task: Task) -> None:
        """Have a new task run soon.

        It is called during the request; it takes no longer than a moment, and raises nothing
        if a broker does not answer.
        """
