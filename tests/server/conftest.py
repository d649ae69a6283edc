"""Starts the server in a process of its own, and sends requests to it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time

import pytest

from tests.servers import process, ready

TIMEOUT = 20


class Server:
    """A running server and its files.

    :ivar folder: directory in which the application writes files for the tests.
    """

    def __init__(self, folder, options):
        self.folder = folder
        self.port = process.free_port()
        self.tls = None
        self.configure(**options)
        self.process = ready.start('server-of-tests', [folder / 'lab.conf'], env=os.environ,
                                   cwd=folder, log=folder / 'stderr')

    def configure(self, **options):
        options = {'bind_host': '127.0.0.1', 'bind_port': self.port, 'workers': 1,
                   'threads': 8, **options}
        self.port = options['bind_port']
        lines = ''.join(f'{name} = {value}\n' for name, value in options.items())
        new = self.folder / 'new.conf'
        new.write_text('[DEFAULT]\n' + lines)
        new.replace(self.folder / 'lab.conf')       # a reload never reads half of it

    def await_port(self):
        deadline = time.monotonic() + TIMEOUT
        while True:
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(OSError), self.http() as http_:
                http_.request('GET', '/hello')
                http_.getresponse().read()
                return self
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def connect(self, receive_buffer=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(TIMEOUT)
        sock.connect(('127.0.0.1', self.port))
        return self.tls.wrap_socket(sock, server_hostname='127.0.0.1') if self.tls else sock

    def http(self):
        if self.tls:
            return contextlib.closing(http.client.HTTPSConnection(
                '127.0.0.1', self.port, timeout=TIMEOUT, context=self.tls))
        return contextlib.closing(http.client.HTTPConnection(
            '127.0.0.1', self.port, timeout=TIMEOUT))

    def get(self, path, method='GET', **kwargs):
        """``(status, headers, body)`` of one request on a connection of its own."""
        with self.http() as http_:
            http_.request(method, path, **kwargs)
            answer = http_.getresponse()
            return answer.status, answer.headers, answer.read()

    def raw(self, data, *, until=b''):
        """The response to ``data``, up to its end or to ``until``."""
        with self.connect() as sock:
            sock.sendall(data)
            return read_all(sock, until=until)

    def written(self, name):
        """What the application wrote to one of its files; waits for it."""
        path = self.folder / name
        wait_for(lambda: path.exists() and path.stat().st_size)
        text = path.read_text()
        return json.loads(text) if name == 'failure' else text

    def log(self):
        return (self.folder / 'stderr').read_text()

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        self.send_signal(number)
        return self.process.wait(TIMEOUT)


def read_all(sock, *, until=b''):
    data = b''
    while not (until and data.endswith(until)) and (piece := sock.recv(1 << 16)):
        data += piece
    return data


def wait_for(condition):
    assert process.until(condition, TIMEOUT), 'timeout'


@pytest.fixture(scope='session')
def run_server(tmp_path_factory):
    """``run_server(option=value, ...)``: a server whose master runs; stopped at the end."""
    servers = []

    def run(**options):
        servers.append(Server(tmp_path_factory.mktemp('server'), options))
        return servers[-1]

    yield run
    for each in servers:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
    for each in servers:
        try:
            each.process.wait(5)
        except subprocess.TimeoutExpired:
            each.process.send_signal(signal.SIGTERM)
            each.process.wait(5)


@pytest.fixture(scope='session')
def start(run_server):
    """``start(option=value, ...)``: as `run_server`, and wait until it answers."""
    return lambda **options: run_server(**options).await_port()


@pytest.fixture(scope='session')
def server(start):
    """A server for tests that only send requests; they share it."""
    return start()


@pytest.fixture(scope='session')
def certificates(tmp_path_factory):
    """``(cert, key)`` for 127.0.0.1, self-signed; also used as a client's certificate."""
    folder = tmp_path_factory.mktemp('tls')
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
         '-nodes', '-days', '2', '-subj', '/CN=lab', '-addext', 'subjectAltName=IP:127.0.0.1',
         '-keyout', folder / 'key.pem', '-out', folder / 'cert.pem'],
        check=True, capture_output=True)
    return folder / 'cert.pem', folder / 'key.pem'


@pytest.fixture(scope='session')
def start_tls(run_server, certificates):
    """As `start`, with TLS."""
    def start_(*, clients=False, **options):
        cert, key = certificates
        if clients:
            options['ca_file'] = cert
        each = run_server(cert_file=cert, key_file=key, **options)
        each.tls = ssl.create_default_context(cafile=cert)
        if clients:
            each.tls.load_cert_chain(cert, key)
        return each.await_port()

    return start_


@pytest.fixture(scope='session')
def tls_server(start_tls):
    return start_tls()
