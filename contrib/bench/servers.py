"""Servers that the benchmark starts, on loopback, each in its own directory."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import load
import procs

START_TIMEOUT = 60.0


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def program(name):
    """Return the path of a program: in the directory of the running Python, else on ``PATH``."""
    sibling = pathlib.Path(sys.executable).with_name(name)
    path = str(sibling) if sibling.exists() else shutil.which(
        name, path=os.environ.get('PATH', '') + ':/usr/sbin')
    if path is None:
        raise SystemExit(f'{name} is not installed')
    return path


class Server:
    """A process that serves HTTP on a port, and its directory.

    :param ready: path that answers when the server is ready.
    :param statuses: status codes of this answer.
    :ivar seconds: from the start of the process to this answer.
    :raises SystemExit: the server does not start.
    """

    def __init__(self, command, port, directory, log, ready='/', statuses=(200, 300),
                 headers=()):
        self.url = f'http://127.0.0.1:{port}'
        self.directory = directory
        self.started = time.perf_counter()
        with open(log, 'wb') as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True)
        self.tree = procs.ProcessTree(self._process.pid)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self.close)
            self.seconds = self._wait(load.Target(self.url, headers), ready, statuses, log)
            cleanup.pop_all()

    def _wait(self, target, path, statuses, log):
        until = time.monotonic() + START_TIMEOUT
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError, load.UnexpectedAnswer):
                if target.call('GET', path)[0] in statuses:
                    return time.perf_counter() - self.started
            time.sleep(0.005)
        tail = pathlib.Path(log).read_text(errors='replace')[-2000:]
        raise SystemExit(f'{self._process.args[0]} does not answer {path}:\n{tail}')

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def start_glancelite(workers, connection=None, base=None, more=()):
    """Start ``glancelite-api`` without authentication, with one file store.

    :param connection: SQLAlchemy URL of an empty database; None for SQLite.
    :param more: lines to append to the configuration file.
    """
    directory = pathlib.Path(tempfile.mkdtemp(prefix='bench-', dir=base))
    port = free_port()
    connection = connection or f'sqlite:///{directory}/glance.sqlite'
    config = directory / 'glance-api.conf'
    config.write_text('\n'.join((
        '[DEFAULT]', 'bind_host = 127.0.0.1', f'bind_port = {port}', f'workers = {workers}',
        'enabled_backends = fast:file',
        '[glance_store]', 'default_backend = fast',
        '[fast]', f'filesystem_store_datadir = {directory}/images',
        '[os_glance_staging_store]', f'filesystem_store_datadir = {directory}/staging',
        '[database]', f'connection = {connection}',
        '[layers]', 'auth = noauth', *more, '')))
    arguments = ['--config-file', str(config)]
    sync = subprocess.run(
        [program('glancelite-manage'), *arguments, 'db', 'sync'],
        capture_output=True, text=True, check=False)
    if sync.returncode:
        shutil.rmtree(directory)
        raise SystemExit(f'glancelite-manage db sync: {sync.stdout}{sync.stderr}')
    return Server([program('glancelite-api'), *arguments], port, directory,
                  directory / 'api.log', ready='/v2/images?limit=1')


def start_command(command, headers, base=None):
    """Start an Image API server.

    :param command: arguments of ``env``; ``{port}`` in it is replaced by the port.
    :param headers: headers of requests, as ``NAME: VALUE``.
    """
    directory = pathlib.Path(tempfile.mkdtemp(prefix='bench-other-', dir=base))
    port = free_port()
    words = shlex.split(command.replace('{port}', str(port)))
    return Server(['env', *words], port, directory, directory / 'log',
                  ready='/v2/images?limit=1', headers=headers)


def start_nginx(base=None):
    """Start nginx with ``sendfile`` on an empty directory ``files``."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix='bench-nginx-', dir=base))
    files = directory / 'files'
    files.mkdir()
    (files / 'ready').write_text('yes')
    port = free_port()
    config = directory / 'nginx.conf'
    user = 'user root;' if os.geteuid() == 0 else ''     # other users cannot read the directory
    temporary = ' '.join(f'{kind}_temp_path {directory}/{kind};' for kind in (
        'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    config.write_text(f'''
        {user} daemon off; worker_processes 2; pid {directory}/pid; error_log stderr;
        events {{ worker_connections 512; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; {temporary}
            server {{ listen 127.0.0.1:{port}; root {files}; }}
        }}
    ''')
    return Server([program('nginx'), '-c', str(config), '-e', str(directory / 'error.log')],
                  port, directory, directory / 'log', ready='/ready')
