"""The executor ``external``: only worker processes run tasks."""

from __future__ import annotations

from glancelite.contract import Work
from glancelite.plugins.executor.threads import Threads


class External(Threads):
    """Runs tasks in the processes of ``glancelite-worker``, and none in those of the API.

    Workers find the tasks in the database.
    """

    RUNS_ELSEWHERE = True

    def start(self, work: Work, *, serves: bool) -> None:
        if not serves:
            super().start(work, serves=serves)
