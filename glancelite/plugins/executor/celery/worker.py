"""A worker of Celery in this process: gets messages, and runs their tasks."""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import threading
from collections.abc import Iterator
from typing import Any

from celery import bootsteps
from celery.worker import state

from glancelite.contract import Task, Unavailable, Work
from glancelite.plugins.executor.celery.broker import RUN, Broker
from glancelite.support import log_context

LOG = logging.getLogger(__name__)

#: seconds after which the message of a running task is acknowledged.  RabbitMQ closes the
#: connection of a worker that does not acknowledge a message within 30 minutes
ACKNOWLEDGE_AFTER = 60.0
#: seconds between two starts of a worker of Celery that ended
RESTART_PAUSE = 5.0
#: seconds that ``close`` waits for running tasks; the service has asked them to end before
CLOSE_TIME = 8.0


class TaskWorker:
    """Runs up to ``slots`` tasks at once.

    :param node: name of this node, whose queue is consumed beside that of all nodes.
    """

    def __init__(self, work: Work, broker: Broker, node: str, slots: int):
        self._work = work
        self._broker = broker
        self._failing = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name='executor', daemon=True)
        self._app = app = broker.app
        #: as Celery's tools show it; another worker of this node, or the one before, has another
        #: name, since the broker has an exclusive queue for each name
        self.name = f'glancelite-{secrets.token_hex(4)}@{node}'
        self._delivery = Delivery(slots)
        app.conf.update(
            task_queues=(broker.queue(), broker.queue(node)),
            worker_concurrency=slots, worker_prefetch_multiplier=1,
            worker_enable_prefetch_count_reduction=False,   # Delivery does that
            worker_hijack_root_logger=False, worker_redirect_stdouts=False)

        @app.task(name=RUN, bind=True, shared=False, acks_late=True,
                  reject_on_worker_lost=True)
        def run(message: Any, task_id: str) -> None:
            self._run_task(message.request.id, task_id)

        app.steps['consumer'].add(_step(self._delivery))

    def start(self) -> None:
        """Get messages from now on."""
        self._thread.start()

    def submit(self, task: Task) -> None:
        """The API hands tasks over."""

    def close(self) -> None:
        """Get no more messages; wait for running tasks, for ``CLOSE_TIME`` at most."""
        self._closing.set()
        if not self._thread.is_alive():
            return
        state.should_stop = 0       # the worker of Celery looks at it each second
        self._thread.join(CLOSE_TIME)
        if self._thread.is_alive():
            LOG.warning('the worker of Celery has not ended within %g s', CLOSE_TIME)

    def _run(self) -> None:
        self._app.set_default()     # the threads of Celery find the task in the default app
        while True:
            state.should_stop = state.should_terminate = None
            if self._closing.is_set():      # ``close`` sets it before ``should_stop``
                return
            if not self._answers():
                self._closing.wait(RESTART_PAUSE)
                continue
            try:
                self._app.WorkController(
                    app=self._app, hostname=self.name, pool='threads', optimization='fair',
                    without_gossip=True, without_mingle=True).start()
            except BaseException:
                LOG.exception('the worker of Celery failed')
            if not self._closing.wait(RESTART_PAUSE):
                LOG.warning('the worker of Celery ended; it is started again')

    def _answers(self) -> bool:
        """Return whether the broker accepts this account; the log says once why it does not.

        Celery would write a traceback for each attempt.
        """
        try:
            self._broker.health()
        except Unavailable as error:
            if not self._failing:
                LOG.warning('no task is received: %s; it is tried again every %g s', error,
                            RESTART_PAUSE)
            self._failing = True
            return False
        if self._failing:
            LOG.info('the broker answers again')
        self._failing = False
        return True

    def _run_task(self, message_id: str, task_id: str) -> None:
        log_context.begin()
        with self._delivery.slot(message_id):
            if not self._closing.is_set():
                try:
                    self._work.run(task_id)
                except BaseException:
                    LOG.exception('task %s ended with an unexpected error', task_id)


class Delivery:
    """Limits what the broker delivers to the number of free slots.

    The broker counts the messages that are not acknowledged.  Messages of long tasks are
    acknowledged while the tasks hold their slots, so the broker has to be told.
    """

    def __init__(self, slots: int):
        self._slots = slots
        self._lock = threading.Lock()
        #: id of a message -> True if the broker does not count it any more
        self._running: dict[str, bool] = {}
        self._consumer: Any = None

    @contextlib.contextmanager
    def slot(self, message_id: str) -> Iterator[None]:
        """Hold a slot while the block runs."""
        timer = threading.Timer(ACKNOWLEDGE_AFTER, self._call_soon, (
            functools.partial(self._acknowledge, message_id),))
        timer.daemon = True
        with self._lock:
            self._running[message_id] = False
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                uncounted = self._running.pop(message_id)
            if uncounted:
                self._call_soon(self._adjust)

    def connected(self, consumer: Any) -> None:
        """A connection begins; the messages of running tasks are not its messages."""
        with self._lock:
            self._consumer = consumer
            self._running = dict.fromkeys(self._running, True)
            running = bool(self._running)
        if running:
            self._adjust()

    def _call_soon(self, function: Any) -> None:
        """Call a function in the thread of the connection."""
        if self._consumer is not None:
            self._consumer.call_soon(function)

    def _acknowledge(self, message_id: str) -> None:
        with self._lock:
            if self._running.get(message_id, True):
                return
            self._running[message_id] = True
        self._adjust()
        request = state.requests.get(message_id)
        if request is not None:
            request.acknowledge()

    def _adjust(self) -> None:
        """Let the broker deliver as many messages as there are free slots."""
        messages = self._consumer.task_consumer
        if messages is None:        # the connection was lost
            return
        with self._lock:
            free = self._slots - sum(self._running.values())
        messages.cancel()
        if free > 0:        # no number stands for none: 0 means no limit
            messages.qos(prefetch_count=free,
                         apply_global=getattr(self._consumer, 'qos_global', True))
            messages.consume()


def _step(delivery: Delivery) -> type:
    """Return a step of Celery's start that tells ``delivery`` of each connection."""

    class Step(bootsteps.StartStopStep):
        requires = ('celery.worker.consumer.tasks:Tasks',)

        def start(self, consumer: Any) -> None:
            delivery.connected(consumer)

    return Step
