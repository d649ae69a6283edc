"""The plugin: in the API it hands tasks over to the broker; in a worker it runs them."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg, types

from glancelite import contract
from glancelite.contract import Executor, Task, Work

TRANSPORT_URL = cfg.StrOpt(
    'transport_url', secret=True,
    help='Address of the message broker of the cloud, such as '
         'rabbit://user:password@host:5672/.')
MAX_WORKERS = cfg.IntOpt(
    'max_workers', default=10, min=1,
    help='How many tasks a process runs at once. Used by the executors threads, external and '
         'celery.')


def _register(conf: cfg.ConfigOpts) -> None:
    conf.register_opt(TRANSPORT_URL)
    conf.register_opt(MAX_WORKERS, group='taskflow_executor')


class CeleryExecutor(Executor):
    """Tasks travel through queues of RabbitMQ: one for all nodes, and one for each node.

    A message has the id of a task.  The record of the task stays the truth: a message that
    comes twice, late or never changes nothing.
    """

    RUNS_ELSEWHERE = True
    EXTRA = 'celery'
    LIBRARY_OPTS = (_register,)
    OPTS = (
        cfg.StrOpt('broker_url', secret=True,
                   help='Address of the broker, as Celery writes it, such as '
                        'amqp://user:password@host:5672//. Default: [DEFAULT] transport_url.'),
        cfg.StrOpt('ssl_ca_file',
                   help='File with the certificates of the authorities that the broker\'s '
                        'certificate is checked against. Default: no TLS, unless broker_url '
                        'begins with amqps; then the authorities that this system trusts.'),
        cfg.BoolOpt('ssl_check_hostname', default=True,
                    help='Whether the certificate must be for the name or the address of the '
                         'broker in broker_url. If not, any certificate of the authorities is '
                         'accepted, also that of another server.'),
        cfg.StrOpt('queue', default='glancelite',
                   help='Queue of the tasks that any worker can run. A task that needs the '
                        'files of one node goes to <queue>.<node>.'),
        cfg.Opt('priorities', type=types.Dict(types.Integer(0, 9)), default={},
                help='Priorities of messages from 0 to 9, as pairs of a type of tasks and a '
                     'number, such as import:5. If it is set, the queues are declared with '
                     'priorities: delete queues that were declared without, or set queue.'),
        cfg.FloatOpt('poll_interval', default=5, min=0.01,
                     help='Seconds between two looks at the tasks that wait in the database. '
                          'Those whose message was lost are sent again.'),
    )

    def __init__(self, options: Any, host: contract.Host, **named: Any):
        super().__init__(options, host, **named)
        from glancelite.plugins.executor.celery import broker
        self._broker = broker.Broker(options, self.conf.transport_url)
        self._slots = self.conf.taskflow_executor.max_workers
        self._running: Any = None

    def start(self, work: Work, *, serves: bool) -> None:
        if serves:
            from glancelite.plugins.executor.celery.handover import Handover
            self._running = Handover(work, self._broker, self.options.poll_interval)
        else:
            from glancelite.plugins.executor.celery.worker import TaskWorker
            self._running = TaskWorker(work, self._broker, self.host.node, self._slots)
        self._running.start()

    def submit(self, task: Task) -> None:
        if self._running is not None:
            self._running.submit(task)

    def health(self) -> str:
        return self._broker.health()

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
