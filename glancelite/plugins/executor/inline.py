"""The executor ``inline``: runs a task at once, for tests of the service."""

from __future__ import annotations

import logging

from glancelite.contract import Executor, Task, Work

LOG = logging.getLogger(__name__)


class Inline(Executor):
    """Runs a task while it is submitted; the request waits for its end.

    A task that cannot go on now is not run again.
    """

    POLLS = False
    _work: Work | None = None

    def start(self, work: Work, *, serves: bool) -> None:
        self._work = work

    def submit(self, task: Task) -> None:
        if self._work is None:
            return
        try:
            self._work.run(task.id)
        except KeyboardInterrupt:
            raise
        except BaseException:
            LOG.exception('task %s ended with an unexpected error', task.id)

    def close(self) -> None:
        self._work = None
