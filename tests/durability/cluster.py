"""A service of API processes and workers on one real database and shared stores."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import threading

import sqlalchemy as sa

from tests.crash import service
from tests.durability import stores
from tests.servers import live, process, ready, relay

MIB = 1 << 20
#: seconds of the leases of tasks, and of those of images, which set how often all nodes sweep
LEASE, SWEPT = 1, 3
#: size of an event: that of a statement counts as much as so many bytes for a store
STATEMENT = 32 << 10
#: seconds within which everything must end; a loaded machine takes long
PATIENCE = 120


class Node:
    """A process that runs tasks.  Its statements pass a relay, which shows what it does.

    :ivar phase: what it does: ``begin``, a step as the task shows it, or ``end`` after the
        outcome is decided; None while it has no task.
    :ivar staged: number of bytes that were staged when it claimed the task.
    """

    def __init__(self, cluster):
        self._cluster = cluster
        self._relay = cluster.relay(cluster.database_address)
        self._relay.cut = self._watch
        self.phase = None
        self.staged = 0

    def _pids(self):
        raise NotImplementedError

    def _watch(self, data, direction):
        """Called with all that passes between the process and the database."""
        if self._cluster.cut_off:
            return True
        if direction == 'down':
            if self.phase is not None or b'"locations_before"' not in data or not any(
                    b'/%d' % pid in data for pid in self._pids()):
                return False
            self._cluster.runner = self
            found = re.search(rb'"staged": ?\{"parts": ?\[(.*?)\], ?"node"', data)
            self.staged = sum(map(int, re.findall(rb'", ?(\d+)\]', found[1] if found else b'')))
            self.phase = 'end' if b'"outcome"' in data else 'begin'
        elif b'"outcome"' in data:
            self.phase = 'end'
        elif found := re.search(rb'"step": ?"([^"]+)"', data):
            self.phase = found[1].decode()
        elif not self._cluster.concerns(data):
            return False
        lost = self._cluster.event(self, STATEMENT)
        if direction == 'up' and b'{"version": 1}' in data:     # the last write
            self.phase = None
        return lost


class Api(Node):
    """An API server that runs tasks in its only worker process, which it replaces.

    :ivar server: set when it runs.
    """

    server = None

    @property
    def log(self):
        return process.tail(self.server.log, 1 << 20)

    def _pids(self):
        return set(service.processes(self.server)) - {self.server.pid} if self.server else ()

    def start(self, run_server):
        """Return a context manager that runs the server."""
        return run_server(self._cluster.config(self._relay.url))

    def kill(self):
        self.phase = None
        for pid in self._pids():
            os.kill(pid, signal.SIGKILL)


class Worker(Node):
    """A worker process, which can be started again after its end."""

    def __init__(self, cluster, number):
        super().__init__(cluster)
        self._home = cluster.home / f'worker{number}'
        self._home.mkdir()
        self._options = {}
        self._begin_of_log = 0
        self.process = None

    def _pids(self):
        return (self.process.pid,)

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    @property
    def log(self):
        return process.tail(self._home / 'log', 1 << 20)

    @property
    def is_ready(self):
        with open(self._home / 'log') as log:
            log.seek(self._begin_of_log)
            return 'ready: tasks are run' in log.read()

    def restart(self, options):
        """Start it with these options, unless it runs with them.

        :param options: section -> option -> value, in addition to those of the cluster.
        """
        if options != self._options:
            self.kill()
        self._options = options
        self.start()

    def start(self):
        """Start it, with the options that it had, unless it runs."""
        if not self.runs:
            self.phase = None
            file, log = self._home / 'glancelite-api.conf', self._home / 'log'
            log.touch()
            self._begin_of_log = log.stat().st_size
            live.write_config(file, self._cluster.config(self._relay.url, self._options))
            self.process = ready.start(
                'glancelite-worker', ['--config-file', file], log=log, cwd=self._home,
                env={**os.environ, **live.private(self._home)})

    def kill(self):
        self.phase = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def wake(self):
        self.process.send_signal(signal.SIGCONT)


class Cluster:
    """
    :param running: ends with the cluster.
    :param home: an empty directory.
    :param run_server: the fixture.
    :param database: its URL.
    :param s3: the endpoint; None for stores in directories.
    :param more: section -> option -> value, in addition to the configuration of all nodes.
    :param workers: their number; with 0 the API processes run the tasks.
    :ivar headers: of all requests.
    :ivar runner: the node that has claimed the task.
    :ivar away: true closes the connections to the stores, and accepts no others.
    :ivar cut_off: the same for connections between workers and the database.
    :ivar answers: while it is cleared, the stores accept requests, and do not answer.
    """

    def __init__(self, running, home, run_server, database, s3, more, workers):
        self._running = running
        self._database = database
        self._more = more
        self._lock = threading.RLock()
        self._watch = None
        self._engine = sa.create_engine(database, pool_pre_ping=True)
        running.callback(self._engine.dispose)
        self._image_id = None
        self.runner = None
        self.away = self.cut_off = False
        self.answers = threading.Event()
        self.answers.set()
        self.home = home
        self.database_address = re.search(r'@([^/]+)/', database)[1]
        self.apis = []
        if s3 is None:
            self.stores = stores.FileStores(home)
        else:
            endpoint = self.relay(s3.url)
            endpoint.cut = self._pass
            self.stores = stores.S3Stores(s3, endpoint.url)
        self.headers = {}
        self.workers = [Worker(self, number) for number in range(workers)]
        self._nodes = self.workers or [Api(self), Api(self)]
        for number in range(2):
            if workers:
                self.apis.append(running.enter_context(run_server(self.config())))
            else:
                api = self._nodes[number]
                api.server = running.enter_context(api.start(run_server))
                self.apis.append(api.server)

    def relay(self, address):
        return self._running.enter_context(relay.relay(address))

    def config(self, database=None, more=None):
        """Return the configuration of a node.

        :param database: address of a relay to the database.
        """
        url = self._database
        if database is not None:
            url = url.replace(self.database_address, database.partition('//')[2])
        kind = self.stores.driver
        config = {
            'DEFAULT': {'enabled_backends': ', '.join(f'{name}:{kind}' for name in stores.NAMES),
                        'upload_lease': SWEPT, 'workers': 1},
            'glance_store': {'default_backend': stores.NAMES[0]},
            **{name: self.stores.options(name) for name in stores.NAMES},
            stores.STAGING: {'driver': kind, **self.stores.options(stores.STAGING)},
            'database': {'connection': url, 'max_retries': 0, 'statement_timeout': 3},
            'worker': {'lease': LEASE, 'part_size': 1, 'retry_pause': 0.1,
                       'longest_retry_pause': 0.5, 'retries': 1000},
            'taskflow_executor': {'poll_interval': 0.1},
            'image_import_opts': {'image_import_plugins': 'image_decompression'},
            'import_filtering_opts': {'allowed_hosts': '127.0.0.1', 'allowed_ports': ''},
            'layers': {'auth': 'noauth', 'executor': 'external',
                       'sync_database': 'false' if self.apis else 'true'}}
        for section, options in [*self._more.items(), *(more or {}).items()]:
            config[section] = {**config.get(section, {}), **options}
        return config

    def start(self, **options):
        """Have all workers run with these options."""
        with self._lock:
            self._watch = None
        for worker in self.workers:
            worker.restart(options)
        assert process.until(lambda: all(worker.is_ready for worker in self.workers), PATIENCE)

    # --- events

    def event(self, worker, size):
        """Pass an event to the function of the test, one at a time."""
        with self._lock:
            if self._watch is None or worker is None or worker.phase is None:
                return False
            return self._watch(worker, size)

    def concerns(self, data):
        """Return whether a statement is about the image of the present import."""
        image_id = self._image_id
        return image_id is not None and (image_id in data or b'"version"' in data)

    def _pass(self, data, direction):
        """Called with all that passes between the processes and the stores."""
        self.answers.wait(PATIENCE)
        return self.away or self.event(self.runner, len(data))

    # --- requests

    def client(self, node=0):
        return service.Client(self.apis[node], **self.headers)

    def begin(self, image_id, method, *, node=0, watch=None, **request):
        """Request an import; return the id of the task.

        :param watch: called with the worker for what passes between it and the database about
            this image, and between it and the stores, and its size.  If it returns true, the
            piece is lost, and so is the connection.
        """
        with self._lock:
            self._watch, self._image_id, self.runner = watch, image_id.encode(), None
            for each in self._nodes:
                each.phase = None
        with self.client(node) as client:
            try:
                status, body = client.ask('POST', f'/v2/images/{image_id}/import', json.dumps(
                    {'method': method, **request}))
                assert status == 202, body
            except (OSError, http.client.HTTPException):
                assert not self.workers     # the process was killed before it answered
        return self.task_of(image_id)['id']

    def finished(self, task_id, *, restart=True, patience=PATIENCE):
        """Wait until a task has ended; return its row.

        :param restart: start workers again that have ended.
        """
        def ended():
            for worker in self.workers if restart else ():
                worker.start()
            found = self.task(task_id)
            return found if found['status'] in ('success', 'failure') else None
        task = process.until(ended, patience)
        assert task, (self.task(task_id), [node.log for node in self._nodes])
        return task

    def succeeded(self, task_id, data, *, restart=True, copies=stores.NAMES, patience=PATIENCE):
        """The import has succeeded, and nothing is left of what it needed."""
        task = self.finished(task_id, restart=restart, patience=patience)
        assert task['status'] == 'success', task
        expected = hashlib.sha512(data).hexdigest()
        with self.client() as client:
            image = client.show(task['image_id'])
            assert (image['status'], image['os_hash_value'], image['size']) == (
                'active', expected, len(data))
            assert sorted(image['stores'].split(',')) == sorted(copies)
            assert client.sha512(image['id']) == expected
        self.check_clean()

    def check_clean(self):
        """No image is locked, and the stores have the data of active images and nothing else."""
        assert process.until(lambda: not self._marks(), PATIENCE), self._marks()
        assert process.until(lambda: self.stores.objects() == self._places(), PATIENCE), (
            self.stores.objects(), self._places(), [node.log for node in self._nodes])

    # --- the database

    def task(self, task_id):
        """Return the row of a task."""
        with self._engine.connect() as connection:
            return connection.execute(sa.text(
                f"SELECT * FROM tasks JOIN task_info ON id = task_id WHERE id = '{task_id}'"
            )).mappings().one()

    def task_of(self, image_id):
        """Return the row of the only task of an image."""
        (task_id,), = self.rows(f"SELECT id FROM tasks WHERE image_id = '{image_id}'")
        return self.task(task_id)

    def settled(self, image_id):
        """Return the rows of an image, when nothing is left to do for it."""
        row = f"SELECT * FROM images WHERE id = '{image_id}'"
        assert process.until(lambda: self.rows(f'{row} AND lease_until IS NULL'), PATIENCE)
        return self.rows(row), *(
            self.rows(f"SELECT * FROM {table} WHERE image_id = '{image_id}' ORDER BY id")
            for table in ('image_locations', 'image_properties'))

    def rows(self, statement):
        with self._engine.connect() as connection:
            return connection.execute(sa.text(statement)).all()

    def _places(self):
        """Return the names of stores and objects that active images have."""
        return sorted(self.stores.place(url) for url, in self.rows(
            "SELECT value FROM image_locations WHERE status = 'active'"))

    def _marks(self):
        """Return the properties that lock images, or name staged data."""
        return self.rows(
            "SELECT image_id, name, value FROM image_properties WHERE NOT deleted AND ("
            "name = 'os_glance_import_task' OR name LIKE 'os_glance_stage%')")


@contextlib.contextmanager
def running(run_server, database, s3=None, *, workers=3, **more):
    """Run two API processes, for workers that are to be started, while the block runs.

    The parameters are those of ``Cluster``.
    """
    with process.directory('cluster') as home, contextlib.ExitStack() as stack:
        cluster = Cluster(stack, home, run_server, database, s3, more, workers)
        try:
            yield cluster
        finally:
            for worker in cluster.workers:
                worker.kill()
