"""The measurements: each runs once on one server and says what it saw."""

import dataclasses
import threading

import bulk
import load
import subject as subjects

MIB = bulk.MIB
GIB = bulk.GIB
SLOW = 64


@dataclasses.dataclass
class Point:
    """One figure of one round.

    ``work`` is what the CPU time was spent on, counted in ``per``:
    ``request`` or ``GiB``.
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
    """``run(subject, settings)`` gives points; ``needs_api`` is False for file servers."""

    name: str
    group: str
    run: object
    needs_api: bool = True

    def chosen(self, only):
        return not only or any(self.group == word or self.name.startswith(word)
                               for word in only)


def _asked(row, tally, used):
    return Point(row, tally.requests / tally.seconds, 'req/s', work=tally.requests,
                 per='request', cpu=used.server, database=used.database, clients=used.clients,
                 latencies=tally.latencies, failed=tally.failed)


def _moved(row, size, seconds, used, **more):
    return Point(row, size / MIB / seconds, 'MiB/s', work=size / GIB, per='GiB',
                 cpu=used.server, database=used.database, clients=used.clients, **more)


def requests(name, group, make, clients):
    """A case that sends what ``make(subject)`` returns for some seconds."""

    def run(subject, settings):
        subject.fill()
        asked = make(subject)
        load.hammer(subject.target, asked, clients=clients, count=2 * clients)
        with subject.meter() as used:
            tally = load.hammer(subject.target, asked, clients=clients,
                                seconds=settings.seconds)
        return [_asked(name, tally, used)]

    return Case(name, group, run)


def get(path):
    return lambda subject: [subject.target.request('GET', path(subject))]


def shows(subject):
    return [subject.target.request('GET', f'/v2/images/{image_id}')
            for image_id in subject.sample()]


def create_and_delete(clients):
    word = f'{clients} client' + 's' * (clients > 1)

    def run(subject, settings):
        subject.fill()
        asked = [subject.creation(number, 'bench-new') for number in range(2000)]
        with subject.meter() as used:
            tally = load.hammer(subject.target, asked, clients=clients,
                                seconds=settings.seconds)
        created = _asked(f'create, {word}', tally, used)
        asked = [subject.target.request('DELETE', '/v2/images/' + where.rsplit('/', 1)[1])
                 for where in tally.locations]
        with subject.meter() as used:
            tally = load.hammer(subject.target, asked, clients=clients, count=len(asked))
        return [created, _asked(f'delete, {word}', tally, used)]

    return Case(f'create, {word}', 'create', run)


def deep_pages(pages):
    def run(subject, settings):
        subject.fill()
        limit = max(1, settings.images // pages // 2)
        with subject.meter() as used:
            tally = load.walk(subject.target, f'/v2/images?limit={limit}', pages)
        return [_asked(f'{tally.requests} pages of {limit}', tally, used)]

    return Case('pages', 'pages', run)


def uploads(row, count, chunked=False):
    def run(subject, settings):
        size = settings.size // count
        ids = [subject.fresh() for _ in range(count)]
        subject.source.prepare(size * count)
        with subject.meter() as used:
            seconds = bulk.together([lambda image_id=image_id:
                                     subject.put(image_id, size, chunked) for image_id in ids])
        for image_id in ids:
            subject.check(image_id, size)
            subject.remove(image_id)
        return [_moved(row, size * count, seconds, used)]

    return Case(row, 'upload', run)


def downloads(row, streams):
    def run(subject, settings):
        size = settings.size if streams == 1 else settings.size // 4
        path = subject.data(size)
        with subject.meter() as used:
            seconds = bulk.together([lambda: bulk.download(subject.target, path, size)] * streams)
        return [_moved(row, size * streams, seconds, used)]

    return Case(row, 'download', run, needs_api=False)


def random_ranges(clients):
    row = f'4 MiB ranges, {clients} client' + 's' * (clients > 1)

    def run(subject, settings):
        path = subject.data(settings.size)
        with subject.meter() as used:
            tally = bulk.ranges(subject.target, path, settings.size,
                                clients=clients, seconds=settings.seconds)
        return [_moved(row, tally.payload, tally.seconds, used, latencies=tally.latencies)]

    return Case(row, 'range', run, needs_api=False)


def slow_readers():
    def run(subject, settings):
        seconds = min(max(4.0, 3 * settings.seconds), 0.8 * settings.size / MIB)
        path = subject.data(settings.size)
        subject.fill()
        readers = bulk.SlowReaders(subject.target, path, SLOW)
        thread = threading.Thread(target=readers.run, args=(seconds,))
        with subject.meter() as used:
            thread.start()
            median, worst, asked, failed = bulk.latency_meanwhile(
                subject.target, shows(subject)[0], seconds)
            thread.join()
        subject.settle()
        return [
            _moved(f'{SLOW} slow clients', sum(readers.received), seconds, used),
            Point('  of them served', readers.served(seconds), 'clients'),
            Point('  GET meanwhile, median', median * 1e3, 'ms', False),
            Point('  GET meanwhile, worst', worst * 1e3, 'ms', False),
            Point('  GET meanwhile, unanswered', failed, f'of {asked}', False),
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
    """All measurements, in the order in which they are made."""
    cases = [memory('memory before')]
    for clients, word in ((1, '1 client'), (8, '8 clients')):
        cases += [
            requests(f'versions, {word}', 'discovery', get(lambda _: '/versions'), clients),
            requests(f'get, {word}', 'get', shows, clients),
            requests(f'patch, {word}', 'patch', subjects.replacements, clients),
            create_and_delete(clients),
        ]
    for limit, clients in ((25, 1), (25, 8), (100, 1), (1000, 1)):
        cases.append(requests(f'list {limit}, {clients} client' + 's' * (clients > 1), 'list',
                              get(lambda _, limit=limit: f'/v2/images?limit={limit}'), clients))
    for row, query in (
            ('name=', lambda s: 'name=bench-00042'),
            ('property=', lambda s: 'bench_group=42'),
            ('tag=', lambda s: 'tag=bench-group-42'),
            ('status=', lambda s: 'status=queued'),
            ('sort by name', lambda s: 'sort=name:asc'),
            ('created_at=gt:', lambda s: f'created_at=gt:{s.middle}')):
        cases.append(requests(f'list 25, {row}', 'filter', get(
            lambda s, query=query: f'/v2/images?limit=25&{query(s)}'), 1))
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
