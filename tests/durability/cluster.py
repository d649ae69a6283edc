"""A service of API processes and workers on one real database and one S3 endpoint."""

import contextlib
import json
import os
import re
import threading
import uuid

import boto3.session
import sqlalchemy as sa

from tests.crash import service
from tests.servers import live, process, ready, relay

MIB = 1 << 20
STORES = 'one', 'two'
LEASE = 1   # second
BARE = {'disk_format': 'raw', 'container_format': 'bare'}


class Worker:
    """A worker process, which can be started again after its end.

    Its statements pass a relay, which shows what it does.

    :ivar phase: what it does: ``begin``, a step as the task shows it, or ``end`` after the
        outcome is decided; None while it has no task.
    """

    def __init__(self, cluster, number):
        self._cluster = cluster
        self._relay = cluster.relay(cluster.database_address)
        self._relay.cut = self._watch
        self._home = cluster.home / f'worker{number}'
        self._home.mkdir()
        self.process = None
        self.phase = None

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None

    @property
    def log(self):
        return process.tail(self._home / 'log', 20_000)

    def start(self):
        """Start it, unless it runs."""
        if not self.runs:
            self.phase = None
            file = self._home / 'glancelite-api.conf'
            live.write_config(file, self._cluster.config(self._relay.url))
            self.process = ready.start(
                'glancelite-worker', ['--config-file', file], log=self._home / 'log',
                cwd=self._home, env={**os.environ, **live.private(self._home)})

    def kill(self):
        self.phase = None
        self.process.kill()
        self.process.wait()

    def _watch(self, data, direction):
        """Called with all that passes between the process and the database."""
        if direction == 'down':
            if self.phase is None and b'"locations_before"' in data:
                self.phase = 'end' if b'"outcome"' in data else 'begin'
        elif b'"outcome"' in data:
            self.phase = 'end'
        elif found := re.search(rb'"step": ?"([^"]+)"', data):
            self.phase = found[1].decode()
        return self._cluster.event(self)


class Cluster:
    """
    :param run_server: the fixture.
    :param database: its URL.
    :param s3: the endpoint.
    :param more: section -> option -> value, in addition to the configuration of all nodes.
    :ivar watch: called with the worker for each piece of data between it and the database, and
        between it and the stores; None for nothing.  If it returns true, the connection is
        closed, and the piece is lost.
    """

    def __init__(self, running, home, run_server, database, s3, more, *, apis=2, workers=2):
        self._running = running
        self._run_server = run_server
        self._database = database
        self._more = more
        self._lock = threading.RLock()
        self.home = home
        self.database_address = re.search(r'@([^/]+)/', database)[1]
        self.admin = boto3.session.Session(s3.access_key, s3.secret_key).client(
            's3', endpoint_url=s3.url, region_name=s3.region)
        self._s3 = s3
        self.stores = self.relay(s3.url)
        self.stores.cut = lambda data, direction: self.event(self._busy())
        self.buckets = {name: f'{name}-{uuid.uuid4()}' for name in (*STORES, 'staging')}
        for bucket in self.buckets.values():
            self.admin.create_bucket(Bucket=bucket)
        self.watch = None
        self._engine = sa.create_engine(database, poolclass=sa.NullPool)
        self.apis = []
        for _ in range(apis):
            self.apis.append(running.enter_context(run_server(self.config())))
        self.workers = [Worker(self, number) for number in range(workers)]

    def relay(self, address):
        return self._running.enter_context(relay.relay(address))

    def config(self, database=None):
        """Return the configuration of a node.

        :param database: address of a relay to the database.
        """
        url = self._database
        if database is not None:
            url = url.replace(self.database_address, database.partition('//')[2])

        def store(name):
            return {'s3_store_host': self.stores.url, 's3_store_bucket': self.buckets[name],
                    's3_store_region_name': self._s3.region, 's3_store_retries': 0,
                    's3_store_access_key': self._s3.access_key,
                    's3_store_secret_key': self._s3.secret_key}
        config = {
            'DEFAULT': {'enabled_backends': ', '.join(f'{name}:s3' for name in STORES),
                        'upload_lease': LEASE, 'workers': 1, 'debug': False},
            'glance_store': {'default_backend': STORES[0]},
            **{name: store(name) for name in STORES},
            'os_glance_staging_store': {'driver': 's3', **store('staging')},
            'database': {'connection': url, 'max_retries': 0},
            'worker': {'lease': LEASE, 'part_size': 1, 'retry_pause': 0.1,
                       'longest_retry_pause': 0.5, 'retries': 1000},
            'taskflow_executor': {'poll_interval': 0.05},
            'image_import_opts': {'image_import_plugins': 'image_decompression'},
            'import_filtering_opts': {'allowed_hosts': '127.0.0.1', 'allowed_ports': ''},
            'layers': {'auth': 'noauth', 'executor': 'external',
                       'sync_database': 'false' if self.apis else 'true'}}
        for section, options in self._more.items():
            config[section] = {**config.get(section, {}), **options}
        return config

    # --- events

    def event(self, worker):
        """Pass an event to the function of the test, one at a time."""
        with self._lock:
            if self.watch is None or worker is None or worker.phase is None:
                return False
            return self.watch(worker)

    def _busy(self):
        """Return the worker that has the task; None if there is none."""
        return next((worker for worker in self.workers if worker.phase is not None), None)

    # --- requests

    def client(self, node=0):
        return service.Client(self.apis[node])

    def create(self, client):
        return client.create()

    def begin(self, image_id, method, *, node=0, watch=None, **request):
        """Request an import, and set ``watch``; return the id of the task."""
        with self._lock:
            self.watch = watch
            for worker in self.workers:
                worker.phase = None
        with self.client(node) as client:
            status, body = client.ask('POST', f'/v2/images/{image_id}/import', json.dumps(
                {'method': method, **request}))
            assert status == 202, body
        return self.rows('SELECT id FROM tasks JOIN task_info ON id = task_id WHERE image_id = '
                         f"'{image_id}' ORDER BY created_at DESC LIMIT 1")[0][0]

    def finished(self, task_id, timeout=30):
        """Wait until a task has ended, and start workers that ended; return the task."""
        def ended():
            for worker in self.workers:
                worker.start()
            found = self.task(task_id)
            return found if found['status'] in ('success', 'failure') else None
        task = process.until(ended, timeout)
        assert task, (self.task(task_id), [worker.log for worker in self.workers])
        return task

    def task(self, task_id):
        """Return the row of a task."""
        with self._engine.connect() as connection:
            return connection.execute(sa.text(
                f"SELECT * FROM tasks JOIN task_info ON id = task_id WHERE id = '{task_id}'"
            )).mappings().one()

    def rows(self, statement):
        with self._engine.connect() as connection:
            return connection.execute(sa.text(statement)).all()

    # --- what is left

    def objects(self):
        """Return store -> keys of its objects and unfinished uploads."""
        return {name: sorted(
            [each['Key'] for each in self.admin.list_objects_v2(Bucket=bucket).get(
                'Contents', ())] +
            [each['Key'] for each in self.admin.list_multipart_uploads(Bucket=bucket).get(
                'Uploads', ())]) for name, bucket in self.buckets.items()}

    def expected_objects(self):
        """Return store -> keys of the objects that active images have."""
        found = {name: [] for name in self.buckets}
        names = {bucket: name for name, bucket in self.buckets.items()}
        for url, in self.rows("SELECT value FROM image_locations WHERE status = 'active'"):
            bucket, key = url.rsplit('/', 2)[1:]
            found[names[bucket]].append(key)
        return {name: sorted(keys) for name, keys in found.items()}

    def clean(self):
        """Wait until there is nothing but the data of active images; return whether it is so."""
        return process.until(lambda: self.objects() == self.expected_objects(), 30)

    def locks(self):
        """Return the properties that lock images, or name staged data."""
        return self.rows(
            "SELECT image_id, name FROM image_properties WHERE NOT deleted AND name IN "
            "('os_glance_import_task', 'os_glance_stage_host') OR NOT deleted AND "
            "name LIKE 'os_glance_staged%'")


@contextlib.contextmanager
def running(run_server, postgres_url, s3, **more):
    """Run a cluster while the block runs."""
    with process.directory('cluster') as home, contextlib.ExitStack() as stack:
        apis, workers = more.pop('apis', 2), more.pop('workers', 2)
        cluster = Cluster(stack, home, run_server, postgres_url(), s3, more,
                          apis=apis, workers=workers)
        try:
            for worker in cluster.workers:
                worker.start()
            yield cluster
        finally:
            cluster.watch = None
            for worker in cluster.workers:
                if worker.process is not None:
                    worker.process.kill()
