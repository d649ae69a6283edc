"""Servers that the benchmark starts itself, on loopback, in a directory of their own."""

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

PATIENCE = 60.0


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def program(name):
    """A program beside the running Python, else on the path."""
    beside = pathlib.Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(
        name, path=os.environ.get('PATH', '') + ':/usr/sbin')
    if found is None:
        raise SystemExit(f'{name} is not installed')
    return found


class Server:
    """A process that serves HTTP on a port, with all that it leaves behind."""

    def __init__(self, command, port, directory, log, ready='/', answers=(200, 300),
                 headers=()):
        self.url = f'http://127.0.0.1:{port}'
        self.directory = directory
        self.began = time.perf_counter()
        with open(log, 'wb') as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True)
        self.tree = procs.Tree(self._process.pid)
        try:
            self.seconds = self._wait(load.Target(self.url, headers), ready, answers, log)
        except BaseException:
            self.close()
            raise

    def _wait(self, target, path, answers, log):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError, load.Broken):
                if target.call('GET', path)[0] in answers:
                    return time.perf_counter() - self.began
            time.sleep(0.005)
        tail = pathlib.Path(log).read_text(errors='replace')[-2000:]
        raise SystemExit(f'{self._process.args[0]} does not serve {path}:\n{tail}')

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def glancelite(workers, connection=None, base=None, more=()):
    """Start ``glancelite-api`` without authentication, with one file store.

    :param connection: SQLAlchemy URL of an empty database; None for SQLite.
    :param more: further lines for the configuration file.
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
    synced = subprocess.run(
        [program('glancelite-manage'), *arguments, 'db', 'sync'],
        capture_output=True, text=True, check=False)
    if synced.returncode:
        shutil.rmtree(directory)
        raise SystemExit(f'glancelite-manage db sync: {synced.stdout}{synced.stderr}')
    return Server([program('glancelite-api'), *arguments], port, directory,
                  directory / 'api.log', ready='/v2/images?limit=1')


def other(command, headers, base=None):
    """Start some Image API server.

    :param command: for ``env``; ``{port}`` in it is where to serve.
    :param headers: for requests, as ``NAME: VALUE``.
    """
    directory = pathlib.Path(tempfile.mkdtemp(prefix='bench-other-', dir=base))
    port = free_port()
    words = shlex.split(command.replace('{port}', str(port)))
    return Server(['env', *words], port, directory, directory / 'log',
                  ready='/v2/images?limit=1', headers=headers)


def nginx(base=None):
    """Start nginx with ``sendfile`` on a directory; the files come later."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix='bench-nginx-', dir=base))
    files = directory / 'files'
    files.mkdir()
    (files / 'ready').write_text('yes')
    port = free_port()
    config = directory / 'nginx.conf'
    user = 'user root;' if os.geteuid() == 0 else ''     # the directory is ours alone
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
