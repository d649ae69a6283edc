"""A private RabbitMQ broker."""

import contextlib
import signal
import socket
import subprocess

from tests.servers import process

SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
#: what a client of AMQP 0-9-1 sends first; the broker answers with a frame of type 1
HEADER, METHOD = b'AMQP\0\0\x09\x01', b'\1'
CONFIGURATION = """
listeners.tcp.1 = 127.0.0.1:{port}
listeners.ssl.1 = 127.0.0.1:{tls_port}
ssl_options.cacertfile = {home}/cert.pem
ssl_options.certfile = {home}/cert.pem
ssl_options.keyfile = {home}/key.pem
ssl_options.verify = verify_none
default_user = glance
default_pass = pass/word
loopback_users = none
log.file.level = warning
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
"""


class RabbitMQ:
    """A broker that a test can stop and start again, with its data.

    :ivar url: as ``[DEFAULT] transport_url``.
    :ivar tls_port: port with TLS; its self-signed ``certificate`` names ``localhost`` only.
    :ivar process: the running broker; None while it is stopped.
    """

    def __init__(self, home, command, env):
        self.port, self.tls_port = process.free_port(), process.free_port()
        self.certificate = home / 'cert.pem'
        self.url = f'rabbit://glance:pass%2Fword@127.0.0.1:{self.port}/'
        self.process = None
        self._home = home
        self._command = command
        self._running = None
        node = f't{self.port}@localhost'
        (home / 'rabbitmq.conf').write_text(CONFIGURATION.format(
            port=self.port, tls_port=self.tls_port, home=home))
        (home / 'plugins').write_text('[].')
        self._env = {
            **env, 'HOME': str(home), 'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            'RABBITMQ_NODENAME': node, 'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODE_PORT': str(self.port),
            'RABBITMQ_DIST_PORT': str(process.free_port()),
            'RABBITMQ_MNESIA_BASE': str(home / 'mnesia'), 'RABBITMQ_LOG_BASE': str(home / 'logs'),
            'RABBITMQ_CONFIG_FILE': str(home / 'rabbitmq.conf'),
            'RABBITMQ_ADVANCED_CONFIG_FILE': str(home / 'advanced.config'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(home / 'plugins'),
            'RABBITMQ_GENERATED_CONFIG_DIR': str(home / 'generated'),
            'RABBITMQ_PID_FILE': str(home / 'rabbit.pid'),
            # the program replaces its shell script, so that a signal reaches it
            'RABBITMQ_ALLOW_INPUT': '1',
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                '-noinput -kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none',
        }

    def start(self):
        """Start it, with the data that it had."""
        self._running = process.running(
            [self._command], answers=self.answers, log=self._home / 'log', cwd=self._home,
            env=self._env, stop=signal.SIGKILL, timeout=120)
        self.process = self._running.__enter__()

    def stop(self):
        """Kill it."""
        if self._running is not None:
            running, self._running, self.process = self._running, None, None
            running.__exit__(None, None, None)

    def answers(self):
        """Whether it accepts clients."""
        with socket.create_connection(('127.0.0.1', self.port), 5) as client:
            client.sendall(HEADER)
            return client.recv(1) == METHOD


@contextlib.contextmanager
def server(command, epmd, openssl):
    """Run RabbitMQ as the present user while the block runs.

    :param command: path of the server program.
    :param epmd: path of the port mapper of Erlang; ``openssl`` likewise.
    """
    with process.directory('rabbitmq') as home:
        subprocess.run(
            [openssl, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj',
             '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout',
             home / 'key.pem', '-out', home / 'cert.pem'], check=True, capture_output=True)
        port = process.free_port()
        mapper = {'ERL_EPMD_PORT': str(port), 'ERL_EPMD_ADDRESS': '127.0.0.1'}
        with process.running([epmd, '-port', port, '-address', '127.0.0.1'],
                             answers=lambda: process.listens(port), log=home / 'epmd.log',
                             cwd=home, env=mapper):
            broker = RabbitMQ(home, command, mapper)
            try:
                broker.start()
                yield broker
            finally:
                broker.stop()
