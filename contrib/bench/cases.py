"""The measurements; each returns the figures of one round on one server."""

import dataclasses
import threading

import bulk
import load
from subject import patch_requests

MIB = bulk.MIB
GIB = bulk.GIB
SLOW = 64


@dataclasses.dataclass
class Point:
    """One figure of one round.

    ``work`` is the amount of work that the CPU time was spent on, in units of
    ``per``: ``request`` or ``GiB``.  ``cpu``, ``database`` and ``clients`` are CPU
    seconds of the server, the database and the benchmark.
    """

    row: str
    value: float
    unit: str
    more_is_better: bool = True
    work: float = 0.0
    per: str = ''
    cpu: float | None = None
    database: float | None = None
    clients: float = 0.0
    latencies: list = dataclasses.field(default_factory=list)
    failed: int = 0


@dataclasses.dataclass(frozen=True)
class Case:
    """One measurement.

    ``run(subject, settings)`` returns points.  ``needs_api`` is False if it also runs on
    a file server.
    """

    name: str
    group: str
    run: object
    needs_api: bool = True

    def selected(self, only):
        return not only or any(self.group == name or self.name.startswith(name)
                               for name in only)


def _requests_point(row, results, usage):
    return Point(row, results.requests / results.seconds, 'req/s', work=results.requests,
                 per='request', cpu=usage.server, database=usage.database, clients=usage.clients,
                 latencies=results.latencies, failed=results.failed)


def _data_point(row, size, seconds, usage, **more):
    return Point(row, size / MIB / seconds, 'MiB/s', work=size / GIB, per='GiB',
                 cpu=usage.server, database=usage.database, clients=usage.clients, **more)


def requests(name, group, make, clients):
    """Return a case that repeats the requests of ``make(subject)`` for some seconds."""

    def run(subject, settings):
        subject.create_set()
        prepared = make(subject)
        load.send_requests(subject.target, prepared, clients=clients, count=2 * clients)
        with subject.measure_cpu() as usage:
            results = load.send_requests(subject.target, prepared, clients=clients,
                                         seconds=settings.seconds)
        return [_requests_point(name, results, usage)]

    return Case(name, group, run)


def get(path):
    return lambda subject: [subject.target.request('GET', path(subject))]


def get_images(subject):
    return [subject.target.request('GET', f'/v2/images/{image_id}')
            for image_id in subject.sample()]


def create_and_delete(clients):
    label = f'{clients} client' + 's' * (clients > 1)

    def run(subject, settings):
        subject.create_set()
        creations = [subject.create_request(number, 'bench-new') for number in range(2000)]
        with subject.measure_cpu() as usage:
            results = load.send_requests(subject.target, creations, clients=clients,
                                         seconds=settings.seconds)
        created = _requests_point(f'create, {label}', results, usage)
        deletions = [subject.target.request('DELETE', '/v2/images/' + url.rsplit('/', 1)[1])
                     for url in results.locations]
        with subject.measure_cpu() as usage:
            results = load.send_requests(subject.target, deletions, clients=clients,
                                         count=len(deletions))
        return [created, _requests_point(f'delete, {label}', results, usage)]

    return Case(f'create, {label}', 'create', run)


def deep_pages(pages):
    def run(subject, settings):
        subject.create_set()
        limit = max(1, settings.images // pages // 2)
        with subject.measure_cpu() as usage:
            results = load.follow_pages(subject.target, f'/v2/images?limit={limit}', pages)
        return [_requests_point(f'{results.requests} pages of {limit}', results, usage)]

    return Case('pages', 'pages', run)


def uploads(row, count, chunked=False):
    def run(subject, settings):
        size = settings.size // count
        ids = [subject.create_image() for _ in range(count)]
        subject.source.prepare(size * count)
        with subject.measure_cpu() as usage:
            seconds = bulk.run_parallel([
                lambda image_id=image_id: subject.upload(image_id, size, chunked)
                for image_id in ids])
        for image_id in ids:
            subject.check(image_id, size)
            subject.delete(image_id)
        return [_data_point(row, size * count, seconds, usage)]

    return Case(row, 'upload', run)


def downloads(row, streams):
    def run(subject, settings):
        size = settings.size if streams == 1 else settings.size // 4
        path = subject.data_path(size)
        with subject.measure_cpu() as usage:
            seconds = bulk.run_parallel(
                [lambda: bulk.download(subject.target, path, size)] * streams)
        return [_data_point(row, size * streams, seconds, usage)]

    return Case(row, 'download', run, needs_api=False)


def random_ranges(clients):
    row = f'4 MiB ranges, {clients} client' + 's' * (clients > 1)

    def run(subject, settings):
        path = subject.data_path(settings.size)
        with subject.measure_cpu() as usage:
            results = bulk.ranges(subject.target, path, settings.size,
                                  clients=clients, seconds=settings.seconds)
        return [_data_point(row, results.payload, results.seconds, usage,
                            latencies=results.latencies)]

    return Case(row, 'range', run, needs_api=False)


def slow_readers():
    def run(subject, settings):
        seconds = min(max(4.0, 3 * settings.seconds), 0.8 * settings.size / MIB)
        path = subject.data_path(settings.size)
        subject.create_set()
        readers = bulk.SlowReaders(subject.target, path, SLOW)
        thread = threading.Thread(target=readers.run, args=(seconds,))
        with subject.measure_cpu() as usage:
            thread.start()
            median, worst, sent, failed = bulk.probe_latency(
                subject.target, get_images(subject)[0], seconds)
            thread.join()
        subject.wait_until_responsive()
        return [
            _data_point(f'{SLOW} slow clients', sum(readers.received), seconds, usage),
            Point('  of them served', readers.served(seconds), 'clients'),
            Point('  GET at the same time, median', median * 1e3, 'ms', False),
            Point('  GET at the same time, worst', worst * 1e3, 'ms', False),
            Point('  GET at the same time, unanswered', failed, f'of {sent}', False),
        ]

    return Case('slow', 'slow', run)


def memory(row):
    def run(subject, settings):
        if subject.tree is None:
            return []
        proportional, resident = subject.tree.memory()
        return [Point(f'{row} (PSS)', proportional / MIB, 'MiB', False),
                Point(f'{row} (RSS, summed)', resident / MIB, 'MiB', False)]

    return Case(row, 'memory', run)


def every_case():
    """Return all measurements, in the order in which they run."""
    cases = [memory('memory before')]
    for clients, label in ((1, '1 client'), (8, '8 clients')):
        cases += [
            requests(f'versions, {label}', 'discovery', get(lambda _: '/versions'), clients),
            requests(f'get, {label}', 'get', get_images, clients),
            requests(f'patch, {label}', 'patch', patch_requests, clients),
            create_and_delete(clients),
        ]
    for limit, clients in ((25, 1), (25, 8), (100, 1), (1000, 1)):
        cases.append(requests(f'list {limit}, {clients} client' + 's' * (clients > 1), 'list',
                              get(lambda _, limit=limit: f'/v2/images?limit={limit}'), clients))
    for row, query in (
            ('name=', lambda _: 'name=bench-00042'),
            ('property=', lambda _: 'bench_group=42'),
            ('tag=', lambda _: 'tag=bench-group-42'),
            ('status=', lambda _: 'status=queued'),
            ('sort by name', lambda _: 'sort=name:asc'),
            ('created_at=gt:', lambda subject: f'created_at=gt:{subject.median_created_at}')):
        cases.append(requests(f'list 25, {row}', 'filter', get(
            lambda subject, query=query: f'/v2/images?limit=25&{query(subject)}'), 1))
    return [
        *cases,
        deep_pages(50),
        uploads('upload, sized', 1),
        uploads('upload, chunked', 1, chunked=True),
        uploads('4 uploads at once', 4),
        downloads('download, 1 stream', 1),
        downloads('download, 4 streams', 4),
        downloads('download, 16 streams', 16),
        random_ranges(1),
        random_ranges(4),
        slow_readers(),
        memory('memory after'),
    ]
