"""Hands tasks over to the broker, in a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
import time

from glancelite.contract import Error, Task, Work
from glancelite.plugins.executor.celery.broker import Broker, described
from glancelite.support import log_context

LOG = logging.getLogger(__name__)

#: new tasks that wait for the thread; others are found in the database
MOST_NEW = 1000
#: most seconds between two messages for one task; the pause doubles with each message
LONGEST_PAUSE = 60.0
#: seconds that the end of the service waits for the thread
CLOSE_TIME = 5.0


class Handover:
    """Sends a message for each new task, and again for tasks that wait too long.

    Each process of the API does so; a message expires when the next one is due, so that there
    are few messages for one task.
    """

    def __init__(self, work: Work, broker: Broker, poll_interval: float):
        self._work = work
        self._broker = broker
        self._interval = poll_interval
        self._new: queue.Queue[Task] = queue.Queue(MOST_NEW)
        #: id -> when the next message is due, and the pause before it, in seconds
        self._due: dict[str, tuple[float, float]] = {}
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name='executor', daemon=True)

    def start(self) -> None:
        """Hand over tasks from now on."""
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Hand over a new task soon."""
        try:
            self._new.put_nowait(task)
        except queue.Full:
            LOG.debug('task %s is handed over later', task.id)

    def close(self) -> None:
        """End; tasks that were not handed over wait in the database."""
        self._closing = True
        self.submit(Task('', ''))       # wakes the thread
        if self._thread.is_alive():
            self._thread.join(CLOSE_TIME)
        if not self._thread.is_alive():
            self._broker.close()

    def _run(self) -> None:
        look = time.monotonic()
        while not self._closing:
            log_context.begin()
            try:
                task = self._new.get(timeout=max(0.0, look - time.monotonic()))
                if task.id and not self._closing:
                    self._send(task, self._interval)
            except queue.Empty:
                self._look()
                look = time.monotonic() + self._interval
            except BaseException:
                LOG.exception('tasks wait; the next try is in %g s', self._interval)
                look = time.monotonic() + self._interval

    def _look(self) -> None:
        """Send messages for the tasks that wait too long, also for those of other processes."""
        try:
            waiting = self._work.waiting()
        except Error as error:
            LOG.warning('tasks wait: %s', error)
            return
        now = time.monotonic()
        self._due = {task.id: self._due.get(task.id, (now + self._interval, self._interval))
                     for task in waiting}
        for task in waiting:
            due, pause = self._due[task.id]
            if self._closing or (due <= now and not self._send(task, min(2 * pause,
                                                                       LONGEST_PAUSE))):
                return

    def _send(self, task: Task, pause: float) -> bool:
        """Send a message unless the broker does not answer; return whether it was sent."""
        try:
            self._broker.send(task, expiration=pause + self._interval)
        except Exception as error:
            if not self._failing:
                LOG.warning('tasks wait for the broker: %s', described(error))
            self._failing = True
            self._forget_new()
            return False
        if self._failing:
            LOG.info('the broker answers again')
        self._failing = False
        self._due[task.id] = time.monotonic() + pause, pause
        return True

    def _forget_new(self) -> None:
        """Leave new tasks to ``_look``, so that they do not wait for the broker one by one."""
        while not self._new.empty():
            self._new.get_nowait()
