"""The executor ``celery`` keeps the contract with a real RabbitMQ."""

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
from oslo_config import cfg

from glancelite import contract
from glancelite.plugins.executor.celery import CeleryExecutor
from glancelite.plugins.executor.celery import broker as broker_module
from glancelite.plugins.executor.celery import worker as worker_module
from glancelite.testing.contracts.executor import ExecutorContract, close
from glancelite.testing.fakes import FakeWork
from tests.servers import process

NAMES = map('glancelite-{}'.format, itertools.count())


def configuration(url, max_workers=4):
    conf = cfg.ConfigOpts()
    conf([], project='glancelite', default_config_files=[], default_config_dirs=[])
    for register in CeleryExecutor.LIBRARY_OPTS:
        register(conf)
    conf.set_override('transport_url', url)
    conf.set_override('max_workers', max_workers, 'taskflow_executor')
    return conf


@pytest.fixture
def make(make_plugin, rabbitmq):
    """Builds executors of one service, with queues of its own."""
    queue = next(NAMES)

    def make(max_workers=4, **options):
        return make_plugin(CeleryExecutor, conf=configuration(rabbitmq.url, max_workers),
                           **{'queue': queue, 'poll_interval': 0.3, **options})
    return make


@pytest.fixture
def work():
    return FakeWork()


class TestCelery(ExecutorContract):

    @pytest.fixture
    def executor(self, make):
        return make()

    @pytest.fixture
    def worker(self, make):
        return make()


@pytest.fixture
def run(make, work):
    """Starts an executor and a worker; returns both."""
    def run(**options):
        executor, worker = make(**options), make(**options)
        worker.start(work, serves=False)
        executor.start(work, serves=True)
        return executor, worker
    return run


@pytest.fixture
def deaf_broker():
    """The address of a broker that accepts connections and says nothing."""
    with socket.create_server(('127.0.0.1', 0)) as listening:
        yield f'rabbit://u:p@127.0.0.1:{listening.getsockname()[1]}/'


def test_tasks_run_at_once_up_to_the_number_of_slots(run, work):
    together = threading.Barrier(4)
    work.action = lambda task: together.wait(30)
    executor, _ = run(max_workers=4)

    for number in range(8):
        executor.submit(work.add(f'task-{number}'))

    assert len(work.wait(8)) == 8
    assert not together.broken


def test_a_task_for_a_node_is_run_there_only(make, work, host):
    executor, here = make(), make()
    executor.start(work, serves=True)
    here.start(work, serves=False)

    executor.submit(work.add('elsewhere', node='another-node'))
    executor.submit(work.add('here', node=host.node))

    assert work.wait() == ['here']
    assert [task.id for task in work.waiting()] == ['elsewhere']


def test_broker_away_and_back(run, work, rabbitmq, caplog):
    """The request costs nothing, and the task is run when the broker is back."""
    executor, _ = run()
    executor.submit(work.add('before'))
    assert work.wait() == ['before']

    rabbitmq.stop()
    for number in range(2000):
        executor.submit(contract.Task(f'unknown-{number}', 'import'))
    executor.submit(work.add('meanwhile'))
    assert process.until(lambda: 'tasks wait for the broker: ' in caplog.text)
    rabbitmq.start()

    assert work.wait(2, 60) == ['before', 'meanwhile']
    assert 'pass/word' not in caplog.text
    assert 'pass%2Fword' not in caplog.text


def test_a_broker_that_does_not_answer_delays_neither_requests_nor_the_end(
        make_plugin, work, deaf_broker):
    executor = make_plugin(CeleryExecutor, conf=configuration(deaf_broker), poll_interval=0.05)
    executor.start(work, serves=True)

    for number in range(3000):
        executor.submit(work.add(f'task-{number}'))
    close(executor)

    assert work.done == []


def test_a_lost_message_is_sent_again(run, work):
    """The broker drops a message while there is no worker."""
    executor, worker = run()
    close(worker)
    executor.submit(work.add('one'))
    broker = executor._broker
    with broker.app.connection_for_write() as connection:
        queue = broker.queue()(connection)
        queue.declare()
        assert process.until(lambda: queue.purge())
    run()

    assert work.wait() == ['one']


def test_messages_for_tasks_that_wait_do_not_pile_up(make, work):
    """They expire: a queue without workers does not grow for ever."""
    executor = make(poll_interval=0.05)
    sent = []
    send = executor._broker.send
    executor._broker.send = lambda task, expiration: (sent.append(expiration),
                                                      send(task, expiration))
    executor.start(work, serves=True)
    executor.submit(work.add('one'))

    assert process.until(lambda: len(sent) >= 4)
    pauses = [seconds - 0.05 for seconds in sent[:4]]
    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4])


def test_a_long_task_does_not_keep_its_message(run, work, monkeypatch):
    """The broker closes connections with messages that are not acknowledged for long."""
    monkeypatch.setattr('glancelite.plugins.executor.celery.worker.ACKNOWLEDGE_AFTER', 0.05)
    end = threading.Event()
    work.action = lambda task: task.id.startswith('long') and end.wait(60)
    executor, _ = run(max_workers=2)
    for number in range(2):
        executor.submit(work.add(f'long-{number}'))

    broker = executor._broker
    inspect = broker.app.control.inspect(timeout=1)
    assert process.until(lambda: [
        task['acknowledged'] for tasks in (inspect.active() or {}).values() for task in tasks
    ] == [True, True])
    executor.submit(work.add('short'))
    with broker.app.connection_for_write() as connection:
        queue = broker.queue()(connection)      # it stays there for another worker
        assert process.until(lambda: queue.queue_declare().message_count >= 1)
    end.set()

    assert work.wait(3) == ['long-0', 'long-1', 'short']


def test_celery_shows_the_running_task(run, work):
    end = threading.Event()
    work.action = lambda task: end.wait(60)
    executor, _ = run()
    executor.submit(work.add('one'))
    inspect = executor._broker.app.control.inspect(timeout=1)

    try:
        active = process.until(lambda: [
            task for tasks in (inspect.active() or {}).values() for task in tasks])
    finally:
        end.set()

    assert [(task['name'], task['args']) for task in active] == [('glancelite.run', ['one'])]


def test_each_worker_has_a_name_of_its_own(make, run, work, host):
    """The broker has an exclusive queue for each name: a second worker could not start."""
    executor, _ = run()
    inspect = executor._broker.app.control.inspect(timeout=1)
    [name] = process.until(lambda: list(inspect.ping() or {}))

    other = worker_module.TaskWorker(work, make()._broker, host.node, slots=1)

    assert name.endswith(f'@{host.node}')
    assert other.name.endswith(f'@{host.node}')
    assert other.name != name


def test_priorities_decide_which_task_is_first(make, work):
    options = {'priorities': {'import': 1, 'urgent': 9}, 'max_workers': 1}
    executor = make(**options, poll_interval=60)
    executor.start(work, serves=True)
    for number in range(3):
        executor.submit(work.add(f'{number}'))
    urgent = work.add('urgent')
    executor.submit(contract.Task(urgent.id, 'urgent'))
    broker = executor._broker
    with broker.app.connection_for_write() as connection:
        queue = broker.queue()(connection)
        assert process.until(lambda: queue.queue_declare().message_count == 4)

    make(**options).start(work, serves=False)

    work.wait(4)
    assert work.done[0] == 'urgent'


def test_health_names_the_broker(make):
    assert make().health().startswith('RabbitMQ 3.')


@pytest.mark.parametrize(('url', 'reason'), [
    ('rabbit://glance:wrong@127.0.0.1:{port}/', 'ACCESS_REFUSED'),
    ('rabbit://glance:wrong@127.0.0.1:1/', 'refused')])
def test_health_says_why_the_broker_cannot_be_used(make_plugin, rabbitmq, url, reason):
    executor = make_plugin(CeleryExecutor,
                           conf=configuration(url.format(port=rabbitmq.port)))

    with pytest.raises(contract.Unavailable, match=reason) as caught:
        executor.health()

    assert 'wrong' not in str(caught.value)


@pytest.fixture
def encrypted(make_plugin, rabbitmq):
    """Builds an executor that talks to the broker with TLS."""
    queue = next(NAMES)

    def make(*hosts, **options):
        url = ';'.join(f'amqps://glance:pass%2Fword@{host}:{rabbitmq.tls_port}//'
                       for host in hosts)
        return make_plugin(CeleryExecutor, conf=configuration(None), **{
            'broker_url': url, 'queue': queue, 'poll_interval': 0.3,
            'ssl_ca_file': str(rabbitmq.certificate), **options})
    return make


def test_tasks_travel_through_tls(encrypted, work):
    """Also after a broker whose certificate is refused, and with all connections of Celery."""
    executor, worker = (encrypted('127.0.0.1', 'localhost') for _ in range(2))
    worker.start(work, serves=False)
    executor.start(work, serves=True)
    executor.submit(work.add('one'))

    assert work.wait() == ['one']
    inspect = executor._broker.app.control.inspect(timeout=1)
    assert process.until(inspect.ping)
    assert executor.health().startswith('RabbitMQ 3.')


@pytest.mark.parametrize(('host', 'options', 'reason'), [
    ('127.0.0.1', {}, "its certificate is refused: IP address mismatch, certificate is not "
                      "valid for '127.0.0.1'"),
    ('localhost', {'ssl_ca_file': None},
     'its certificate is refused: self-signed certificate')])
def test_a_certificate_of_another_server_is_refused(encrypted, host, options, reason):
    with pytest.raises(contract.Unavailable, match=re.escape(reason)):
        encrypted(host, **options).health()


def test_the_name_in_the_certificate_is_checked_unless_this_is_switched_off(encrypted):
    lenient = encrypted('127.0.0.1', ssl_check_hostname=False)
    strangers = encrypted('127.0.0.1', ssl_check_hostname=False, ssl_ca_file=None)

    assert lenient.health().startswith('RabbitMQ 3.')
    with pytest.raises(contract.Unavailable, match='self-signed certificate'):
        strangers.health()


def test_health_says_in_time_that_the_broker_is_frozen(make, encrypted, rabbitmq, monkeypatch):
    monkeypatch.setattr(broker_module, 'CONNECT_TIMEOUT', 0.3)
    executors = make(), encrypted('localhost')
    os.killpg(rabbitmq.process.pid, signal.SIGSTOP)
    try:
        for executor in executors:
            with pytest.raises(contract.Unavailable, match='has not answered within'):
                executor.health()
    finally:
        os.killpg(rabbitmq.process.pid, signal.SIGCONT)


@pytest.mark.parametrize(('transport_url', 'url'), [
    ('rabbit://u:p%2F@h:5672/', 'amqp://u:p%2F@h:5672//'),
    ('rabbit://u:p@h:5672//', 'amqp://u:p@h:5672//'),
    ('rabbit://u:p@h:5672/cloud', 'amqp://u:p@h:5672/cloud'),
    ('rabbit://u:p@h1:5672,u:p@h2:5673/cloud?ssl=1',
     'amqps://u:p@h1:5672/cloud;amqps://u:p@h2:5673/cloud'),
    ('rabbit://u:p@h/?ssl=0', 'amqp://u:p@h//'),
    ('amqps://u:p@h', 'amqps://u:p@h//')])
def test_the_address_of_oslo_messaging_is_understood(make_plugin, transport_url, url):
    executor = make_plugin(CeleryExecutor, conf=configuration(transport_url))

    assert executor._broker.url == url


@pytest.mark.parametrize(('url', 'complaint'), [
    (None, 'broker_url must be set'), ('kafka://h/', 'begins with kafka://')])
def test_an_address_that_cannot_be_used_stops_the_start(make_plugin, url, complaint):
    with pytest.raises(contract.Misconfigured, match=complaint):
        make_plugin(CeleryExecutor, conf=configuration(url))


@pytest.mark.parametrize(('options', 'complaint'), [
    *(({'broker_url': url}, 'broker_url must be the address of a RabbitMQ, such as amqp://')
      for url in ('rabbit://u:p@h/', 'redis://h', 'h:5672', 'amqp://h;redis://h')),
    ({'ssl_ca_file': '/nowhere'}, '/nowhere cannot be read .*: No such file or directory'),
    ({'ssl_ca_file': __file__}, 'cannot be read as certificates in PEM')])
def test_options_that_cannot_work_stop_the_start(make_plugin, options, complaint):
    with pytest.raises(contract.Misconfigured, match=complaint):
        make_plugin(CeleryExecutor, conf=configuration('rabbit://h/'), **options)


@pytest.mark.parametrize('user', ['glance:wrong', 'nobody:wrong'])
def test_a_worker_that_the_broker_refuses_says_so_once(make_plugin, work, rabbitmq, caplog,
                                                        monkeypatch, user):
    monkeypatch.setattr(worker_module, 'RESTART_PAUSE', 0.01)
    attempts = threading.Semaphore(0)
    refused = make_plugin(CeleryExecutor, conf=configuration(
        f'rabbit://{user}@127.0.0.1:{rabbitmq.port}/'))
    health = refused._broker.health
    monkeypatch.setattr(refused._broker, 'health', lambda: (attempts.release(), health()))
    refused.start(work, serves=False)

    assert all(attempts.acquire(timeout=30) for _ in range(3))
    close(refused)

    lines = [record.getMessage() for record in caplog.records if record.levelname != 'DEBUG']
    assert [line for line in lines if 'ACCESS_REFUSED' in line] == lines
    assert len(lines) == 1


def test_broker_url_is_preferred(make_plugin):
    executor = make_plugin(CeleryExecutor, conf=configuration('rabbit://h/'),
                           broker_url='amqp://other//')

    assert executor._broker.url == 'amqp://other//'


def test_celery_is_not_imported_unless_it_is_chosen():
    program = ('import sys\n'
               'from glancelite import config\n'
               'from glancelite.plugins.executor.celery import CeleryExecutor\n'
               'config.list_opts()\n'
               'print([name for name in sys.modules if name.partition(".")[0] in '
               '("celery", "kombu", "amqp")])')

    ran = subprocess.run([sys.executable, '-c', program], check=True, capture_output=True,
                         text=True)

    assert ran.stdout == '[]\n'
