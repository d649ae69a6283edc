"""Threads that run the tasks which wait in the database."""

from __future__ import annotations

import logging
import random
import threading
import time

from glancelite.contract import Unavailable, Work
from glancelite.support import log_context

LOG = logging.getLogger(__name__)

#: seconds that ``close`` waits for running tasks; the service has asked them to end before
CLOSE_TIME = 8.0
#: seconds after which the poller reacts to a nudge: the request that has added a task is
#: answered first, and several tasks are found by one look
NUDGE_DELAY = 0.01


class Slots:
    """Runs up to ``count`` tasks at once, each in a thread of its own.

    While nothing is to do, there is one thread.  Every ``poll_interval`` seconds it starts
    another one, which tries to claim a task.  A thread for tasks ends when there are none.

    :param node: name of this node.
    """

    def __init__(self, work: Work, node: str, count: int, poll_interval: float):
        self._work = work
        self._node = node
        self._count = count
        self._poll_interval = poll_interval
        self._nudged = threading.Event()
        self._closing = False
        self._lock = threading.Lock()
        self._busy: set[threading.Thread] = set()
        self._poller = threading.Thread(target=self._poll, name='executor', daemon=True)

    def start(self) -> None:
        """Look for tasks from now on."""
        self._poller.start()

    def nudge(self) -> None:
        """Look for tasks now."""
        self._nudged.set()

    def close(self) -> None:
        """Claim no more tasks; wait for those that run, for ``CLOSE_TIME`` at most."""
        deadline = time.monotonic() + CLOSE_TIME
        self._closing = True
        self.nudge()
        with self._lock:
            threads = [self._poller, *self._busy]
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        running = sum(thread.is_alive() for thread in threads)
        if running:
            LOG.warning('%d tasks have not ended within %g s; other processes continue them '
                        'when their leases expire', running, CLOSE_TIME)

    def _poll(self) -> None:
        nudged = True       # tasks may have waited for the start
        while not self._closing:
            log_context.begin()
            try:
                if len(self._busy) < self._count:
                    self._open_slots(self._wanted() if nudged or self._busy else 1)
            except BaseException:   # such as a thread that cannot be started
                LOG.exception('tasks wait; the next try is in %g s', self._poll_interval)
            # not in step with other processes
            nudged = self._nudged.wait(
                self._poll_interval * random.uniform(0.5, 1))  # noqa: S311
            if nudged and not self._closing:
                time.sleep(NUDGE_DELAY)
            self._nudged.clear()

    def _wanted(self) -> int:
        """Return how many tasks may wait for this node, and one at least.

        Only some are known, and tasks of dead processes may be among the others.
        """
        try:
            return max(1, sum(task.node in (None, self._node) for task in self._work.waiting()))
        except Unavailable:     # the claim logs it
            return 1

    def _open_slots(self, wanted: int) -> None:
        """Start threads, of which each runs tasks while there are any."""
        for _ in range(wanted):
            with self._lock:
                if self._closing or len(self._busy) >= self._count:
                    return
                thread = threading.Thread(target=self._run, name='task', daemon=True)
                thread.start()
                self._busy.add(thread)

    def _run(self) -> None:
        try:
            while not self._closing:
                log_context.begin()
                if not self._work.run():
                    break
        except BaseException:   # the task waits for its lease to expire; the slot is free
            LOG.exception('a task ended with an unexpected error')
        finally:
            with self._lock:    # _open_slots has added the thread
                self._busy.remove(threading.current_thread())
