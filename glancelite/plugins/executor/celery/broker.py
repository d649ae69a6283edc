"""The broker, and how messages are sent to it."""

from __future__ import annotations

import ssl
import urllib.parse
from typing import Any

import celery
from kombu.entity import Exchange, Queue

from glancelite.contract import Misconfigured, Task, Unavailable
from glancelite.plugins.executor.celery import tls

#: name of the only task of Celery; its argument is the id of a task
RUN = 'glancelite.run'
#: seconds to wait for a connection, and for the answers of the broker
CONNECT_TIMEOUT, ANSWER_TIMEOUT = 4, 10
#: schemes of oslo.messaging for RabbitMQ, and those of Celery
SCHEMES = ('rabbit', 'amqp', 'amqps')
CELERY_SCHEMES = ('amqp', 'amqps', 'pyamqp')


class Broker:
    """Sends messages, and has the settings of Celery.  ``send`` is for one thread.

    :param options: those of the executor.
    :param transport_url: as in oslo.messaging; used if ``options`` have no ``broker_url``.
    :raises Misconfigured: the options cannot work.
    """

    def __init__(self, options: Any, transport_url: str | None):
        self._queue = options.queue
        self._priorities = options.priorities
        self.url = (checked(options.broker_url) if options.broker_url
                    else from_transport_url(transport_url))
        encrypted = bool(options.ssl_ca_file) or 'amqps://' in self.url
        checks_host = encrypted and options.ssl_check_hostname
        self.app = celery.Celery('glancelite', broker=self.url, set_as_current=False,
                                 amqp=tls.CheckedAMQP if checks_host else None)
        self.app.conf.update(
            task_default_queue=options.queue, task_ignore_result=True,
            broker_connection_timeout=CONNECT_TIMEOUT,
            broker_connection_retry_on_startup=True, broker_connection_max_retries=None)
        if options.ssl_ca_file:
            _check_certificates(options.ssl_ca_file)
        if encrypted:       # None stands for the authorities that this system trusts
            self.app.conf.broker_use_ssl = {'ca_certs': options.ssl_ca_file,
                                            'cert_reqs': ssl.CERT_REQUIRED}
        self._producer: Any = None

    def queue(self, node: str | None = None) -> Any:
        """Return the queue of tasks for one node, or of those for all."""
        name = self._queue if node is None else f'{self._queue}.{node}'
        most = max(self._priorities.values(), default=None)
        return Queue(name, Exchange(name, 'direct'), routing_key=name, max_priority=most)

    def send(self, task: Task, expiration: float) -> None:
        """Send a message, and wait until the broker has recorded it.

        :param expiration: seconds after which the broker drops the message.
        :raises Exception: the broker does not answer, or refuses the message.
        """
        try:
            self._send(task, expiration)
        except Exception:
            self.close()
            self._send(task, expiration)    # the connection may have been old

    def _send(self, task: Task, expiration: float) -> None:
        if self._producer is None:
            # one more attempt than there are brokers
            self._producer = self.app.amqp.Producer(self._connect(1, confirm_publish=True))
        self.app.send_task(
            RUN, (task.id,), producer=self._producer, queue=self.queue(task.node), retry=False,
            priority=self._priorities.get(task.type), expiration=expiration,
            confirm_timeout=ANSWER_TIMEOUT)

    def _connect(self, more: int = 0, **options: Any) -> Any:
        """Connect to the first broker that answers.

        :param more: attempts after each broker was tried once.
        """
        connection = self.app.connection_for_write(heartbeat=0, transport_options={
            'read_timeout': ANSWER_TIMEOUT, 'write_timeout': ANSWER_TIMEOUT, **options})
        try:
            connection.ensure_connection(
                max_retries=self.url.count(';') + more, interval_start=0, interval_step=0,
                timeout=3 * CONNECT_TIMEOUT)
        except BaseException:
            connection.release()
            raise
        return connection

    def close(self) -> None:
        """Close the connection of ``send``."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.__connection__.collect(socket_timeout=0.1)

    def health(self) -> str:
        """Return the broker's name and version.

        :raises Unavailable: it does not answer, or refuses the account.
        """
        try:
            with self._connect() as connection:
                told = connection.connection.server_properties
        except Exception as error:
            raise Unavailable(f'the broker cannot be used: {described(error)}') from error
        return f'{told.get("product", "broker")} {told.get("version", "")}'.strip()


def described(error: BaseException) -> str:
    """Return the reason of a failure in one line; errors of the library contain no password."""
    reason = error.__cause__ or error
    if isinstance(reason, TimeoutError):
        return f'it has not answered within {CONNECT_TIMEOUT} s'
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f'its certificate is refused: {reason.verify_message}'
    text = ' '.join(str(reason).split()).removeprefix('(0, 0): ')
    return text or type(reason).__name__


def checked(url: str) -> str:
    """Return the addresses in ``broker_url``.

    :raises Misconfigured: one is not that of a RabbitMQ.
    """
    for address in url.split(';'):
        if address.partition('://')[0] not in CELERY_SCHEMES:
            raise Misconfigured('[executor:celery] broker_url must be the address of a RabbitMQ, '
                                'such as amqp://user:password@host:5672//')
    return url


def _check_certificates(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise Misconfigured(f'[executor:celery] ssl_ca_file = {path} cannot be read as '
                            f'certificates in PEM: {error.strerror or error}') from error


def from_transport_url(url: str | None) -> str:
    """Return the address of oslo.messaging as Celery writes it: an URL for each host.

    :raises Misconfigured: there is none, or its broker is not RabbitMQ.
    """
    scheme, separator, rest = (url or '').partition('://')
    rest, _, query = rest.partition('?')
    hosts, _, path = rest.partition('/')
    if not separator or not hosts:
        raise Misconfigured('[executor:celery] broker_url must be set, or [DEFAULT] '
                            'transport_url, such as rabbit://user:password@host:5672/')
    if scheme not in SCHEMES:
        raise Misconfigured(f'[DEFAULT] transport_url begins with {scheme}://, and messages are '
                            'sent to RabbitMQ (rabbit://) only; set [executor:celery] broker_url')
    encrypted = urllib.parse.parse_qs(query).get('ssl', ['0'])[-1].lower() in ('1', 'true')
    scheme = 'amqps' if scheme == 'amqps' or encrypted else 'amqp'
    return ';'.join(f'{scheme}://{host}/{path or "/"}' for host in hosts.split(',') if host)
