"""A private MariaDB server."""

import contextlib
import getpass

import pymysql

from tests.servers import process


class MariaDB:
    """A running server that creates empty databases."""

    def __init__(self, port):
        self.process = None
        self._port = port
        self._count = 0

    def create(self, charset='utf8mb4'):
        """URL of a new, empty database."""
        self._count += 1
        name = f'test_{self._count}'
        self._execute(f'CREATE DATABASE {name} CHARACTER SET {charset}')
        # each connection would load all certificates, although this server has no TLS
        return (f'mysql+pymysql://root@127.0.0.1:{self._port}/{name}'
                '?charset=utf8mb4&ssl_disabled=1')

    def drop(self, url):
        """Drop a database, after ending the connections that still use it.

        An open transaction would hold a lock that DROP waits for.
        """
        name = url.rpartition('/')[2].partition('?')[0]
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute('SELECT id FROM information_schema.processlist WHERE db = %s', (name,))
            for row in cursor.fetchall():
                cursor.execute('KILL %s', row)
            cursor.execute(f'DROP DATABASE {name}')

    def answers(self):
        """Whether the server accepts connections."""
        try:
            self._connect().close()
        except pymysql.OperationalError:
            return False
        return True

    def _execute(self, statement):
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def _connect(self):
        return pymysql.connect(host='127.0.0.1', port=self._port, user='root', ssl_disabled=True)


@contextlib.contextmanager
def server(mariadbd, install_db):
    """Run MariaDB as the present user while the block runs; its data is not durable.

    :param mariadbd: path of the server program.
    :param install_db: path of ``mariadb-install-db``.
    """
    with process.directory('mariadb') as home:
        log, temporary, port = home / 'log', home / 'tmp', process.free_port()
        temporary.mkdir()
        common = ['--no-defaults', f'--user={getpass.getuser()}', f'--datadir={home / "data"}',
                  '--innodb-log-file-size=8M', '--skip-name-resolve']
        process.run([install_db, *common, '--auth-root-authentication-method=normal',
                     '--skip-test-db'], log=log, cwd=home)
        mariadb = MariaDB(port)
        with process.running(
                [mariadbd, *common, f'--socket={home / "sock"}', f'--port={port}',
                 '--bind-address=127.0.0.1', f'--pid-file={home / "pid"}',
                 f'--tmpdir={temporary}', '--skip-log-bin', '--character-set-server=utf8mb4',
                 '--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=64M',
                 '--max-connections=200'],
                answers=mariadb.answers, log=log, cwd=home) as mariadb.process:
            yield mariadb
