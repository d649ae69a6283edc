"""A private PostgreSQL server."""

import contextlib
import os
import pathlib
import shutil
import signal

import psycopg

from tests.servers import process

ACCOUNT = 'postgres'  # the server does not run as root


class PostgreSQL:
    """A running server that creates empty databases."""

    def __init__(self, port):
        self.process = None
        self._port = port
        self._count = 0

    def create(self):
        """URL of a new, empty database."""
        self._count += 1
        name = f'test_{self._count}'
        self._execute(f'CREATE DATABASE {name}')
        return self._url(name)

    def drop(self, url):
        """Drop a database, and end its connections."""
        self._execute(f'DROP DATABASE {url.rpartition("/")[2]} WITH (FORCE)')

    def _url(self, name):
        return f'postgresql+psycopg://postgres@127.0.0.1:{self._port}/{name}'

    def _execute(self, statement):
        with self._connect() as connection:
            connection.execute(statement)

    def answers(self):
        """Whether the server accepts connections."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self):
        return psycopg.connect(host='127.0.0.1', port=self._port, user='postgres',
                               autocommit=True)


@contextlib.contextmanager
def server(postgres):
    """Run PostgreSQL while the block runs; its data is not durable.

    :param postgres: path of the program ``postgres``; ``initdb`` is in the same directory.
    """
    initdb = pathlib.Path(os.path.realpath(postgres)).with_name('initdb')
    user = ACCOUNT if os.getuid() == 0 else None
    with process.directory('postgresql') as home:
        data, log, port = home / 'data', home / 'log', process.free_port()
        data.mkdir(mode=0o700)
        log.touch()
        if user:
            for path in home, data:
                shutil.chown(path, user, user)
        process.run([initdb, '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8',
                     '--locale=C.UTF-8', '--no-sync'], log=log, cwd=home, user=user)
        settings = {
            'listen_addresses': '127.0.0.1', 'port': port, 'unix_socket_directories': home,
            'fsync': 'off', 'synchronous_commit': 'off', 'full_page_writes': 'off',
            'max_connections': 200, 'shared_buffers': '64MB',
        }
        command = [postgres, '-D', data]
        for name, value in settings.items():
            command += ['-c', f'{name}={value}']
        postgresql = PostgreSQL(port)
        with process.running(command, answers=postgresql.answers, log=log, cwd=home,
                             user=user, stop=signal.SIGQUIT) as postgresql.process:
            yield postgresql

