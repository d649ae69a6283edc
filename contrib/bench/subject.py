"""A measured server, and the images that the measurements need on it."""

import contextlib
import dataclasses
import json
import random
import sys
import time

import bulk
import load

SYSTEMS = ('debian', 'ubuntu', 'fedora', 'rocky', 'cirros')
MACHINES = ('x86_64', 'aarch64', 'ppc64le', 's390x')
GROUPS = 100                # one image of 100 has a given value of bench_group


@dataclasses.dataclass
class CpuUsage:
    """CPU seconds during a measurement; None if they cannot be read."""

    server: float | None = None
    database: float | None = None
    clients: float = 0.0        # of the benchmark itself


class Subject:
    """A measured server, its CPU time, and its images.

    :param settings: the options of the benchmark.
    :param tree: the processes of the server; None if they are unknown.
    :param database: the processes of its database; None if they are unknown.
    """

    def __init__(self, name, target, settings, source, tree=None, database=None):
        self.name = name
        self.target = target
        self.tree = tree
        self.has_api = True
        self._database = database
        self._settings = settings
        self.source = source
        self._data = {}
        self.ids = []
        self.median_created_at = None

    @contextlib.contextmanager
    def measure_cpu(self):
        """Measure CPU seconds of the server and of its database during a ``with``."""
        usage, trees = CpuUsage(), {'server': self.tree, 'database': self._database}
        before = {name: tree.cpu() for name, tree in trees.items() if tree}
        own = time.process_time()
        yield usage
        usage.clients = time.process_time() - own
        for name, seconds in before.items():
            setattr(usage, name, trees[name].cpu() - seconds)

    @property
    def set_tag(self):
        return f'bench-set-{self._settings.images}'

    def sample(self, count=2000):
        """Return the ids of some images of the set, the same in each run."""
        return random.Random(11).choices(self.ids, k=count)

    def create_set(self):
        """Create the set of images through the API, unless it exists from an earlier run."""
        if not self.ids:
            self._find_set()
            missing = self._settings.images - len(self.ids)
            if missing > 0:
                self._create_missing(missing)
                self._find_set()
            if len(self.ids) < self._settings.images:
                raise load.UnexpectedAnswer(
                    f'{self.name} lists only {len(self.ids)} images of the set')

    def _find_set(self):
        times, path = {}, f'/v2/images?limit=1000&tag={self.set_tag}'
        while path:
            page = self.target.json('GET', path)
            times.update((image['id'], image['created_at']) for image in page['images'])
            path = page.get('next')
        self.ids = list(times)
        if times:
            self.median_created_at = sorted(times.values())[len(times) // 2]

    def _create_missing(self, missing):
        begin = len(self.ids)
        print(f'{self.name}: creating {missing} images', file=sys.stderr, flush=True)
        requests = [self.create_request(number, self.set_tag)
                    for number in range(begin, begin + missing)]
        results = load.send_requests(self.target, requests, clients=8, count=missing)
        if results.failed:
            raise load.UnexpectedAnswer(
                f'{self.name}: {results.failed} images could not be created')

    def create_request(self, number, tag):
        """Return a request that creates an image with five properties and two tags."""
        return self.target.request('POST', '/v2/images', {
            'name': f'bench-{number:05}', 'disk_format': 'raw', 'container_format': 'bare',
            'tags': [tag, f'bench-group-{number % GROUPS}'],
            'bench_os': SYSTEMS[number % len(SYSTEMS)],
            'bench_machine': MACHINES[number % len(MACHINES)],
            'bench_group': str(number % GROUPS),
            'bench_build': f'build {number} of the nightly images',
            'bench_note': 'x' * 60})

    def create_image(self):
        """Create an image without data, and return its id."""
        return self.target.json('POST', '/v2/images', {
            'name': 'bench-data', 'disk_format': 'raw', 'container_format': 'bare'})['id']

    def upload(self, image_id, size, chunked=False):
        bulk.upload(self.target, self.source, image_id, size, chunked)

    def check(self, image_id, size):
        """Check that the image is active and has this size."""
        image = self.target.json('GET', f'/v2/images/{image_id}')
        if (image['status'], image['size']) != ('active', size):
            raise load.UnexpectedAnswer(f'{self.name}: uploaded {size} bytes, but the image is '
                              f'{image["status"]} with {image["size"]}')

    def delete(self, image_id):
        self.target.call('DELETE', f'/v2/images/{image_id}')

    def data_path(self, size):
        """Return the path of the data of an image of ``size`` bytes, created once."""
        if size not in self._data:
            image_id = self.create_image()
            self.upload(image_id, size)
            self.check(image_id, size)
            self._data[size] = image_id
        return f'/v2/images/{self._data[size]}/file'

    def wait_until_responsive(self, timeout=60):
        """Wait until a simple request is answered within 0.2 s."""
        until = time.monotonic() + timeout
        while True:
            begin = time.monotonic()
            with contextlib.suppress(OSError, load.UnexpectedAnswer):
                self.target.call('GET', '/versions')
                if time.monotonic() - begin < 0.2:
                    return
            if time.monotonic() > until:
                raise load.UnexpectedAnswer(f'{self.name} does not answer within {timeout} s')
            time.sleep(0.2)

    def close(self, clean=False):
        """Delete the images with data and, with ``clean``, the set."""
        for image_id in self._data.values():
            self.delete(image_id)
        if clean and self.ids:
            requests = [self.target.request('DELETE', f'/v2/images/{image_id}')
                        for image_id in self.ids]
            load.send_requests(self.target, requests, clients=4, count=len(requests))


class FileServer:
    """A web server with files of given sizes, to compare downloads with."""

    has_api = False

    def __init__(self, name, target, tree, directory, source):
        self.name, self.target, self.tree = name, target, tree
        self._directory, self._source = directory, source

    measure_cpu = Subject.measure_cpu
    _database = None

    def data_path(self, size):
        path = self._directory / str(size)
        if not path.exists():
            self._source.save(path, size)
        return f'/{size}'

    def close(self, clean=False):
        """Do nothing: the files are deleted with the directory of the server."""


def patch_requests(subject):
    """Return PATCH requests that change the property ``bench_note`` of images of the set."""
    generator = random.Random(13)
    requests = []
    for image_id in subject.sample():
        change = [{'op': 'replace', 'path': '/bench_note',
                   'value': f'{generator.getrandbits(200):x}'}]
        body = json.dumps(change).encode()
        requests.append(subject.target.head(
            'PATCH', f'/v2/images/{image_id}',
            'Content-Type: application/openstack-images-v2.1-json-patch',
            f'Content-Length: {len(body)}') + body)
    return requests
