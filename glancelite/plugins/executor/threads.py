"""The executor ``threads``: runs tasks in every process of the service."""

from __future__ import annotations

from oslo_config import cfg

from glancelite.contract import Executor, Task, Work
from glancelite.plugins.executor.slots import Slots


class Threads(Executor):
    """Runs tasks in threads, in processes of the API and in worker processes."""

    SECTION = 'taskflow_executor'
    OPTS = (
        cfg.IntOpt('max_workers', default=10, min=1,
                   help='How many tasks a process runs at once. Used by the executors threads, '
                        'external and celery.'),
        cfg.FloatOpt('poll_interval', default=1, min=0.01,
                     help='Seconds between two looks at the tasks that wait in the database. '
                          'Used by the executors threads and external.'),
    )

    _slots: Slots | None = None

    def start(self, work: Work, *, serves: bool) -> None:
        self._slots = Slots(work, self.host.node, self.options.max_workers,
                            self.options.poll_interval)
        self._slots.start()

    def submit(self, task: Task) -> None:
        if self._slots is not None:
            self._slots.nudge()

    def close(self) -> None:
        if self._slots is not None:
            self._slots.close()
