"""One server under measurement, and the images that the measurements need on it."""

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
GROUPS = 100                # an image in a hundred has a given bench_group


@dataclasses.dataclass
class Used:
    """CPU seconds between two looks; None where nothing can be seen."""

    server: float | None = None
    database: float | None = None
    clients: float = 0.0        # what the measuring itself took


class Subject:
    """A server, what it costs, and the images kept on it."""

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
        self.middle = None          # created_at of the image in the middle of the set

    @contextlib.contextmanager
    def meter(self):
        """CPU seconds of the server and of its database during a ``with``."""
        used, trees = Used(), {'server': self.tree, 'database': self._database}
        before = {name: tree.cpu() for name, tree in trees.items() if tree}
        own = time.process_time()
        yield used
        used.clients = time.process_time() - own
        for name, begun in before.items():
            setattr(used, name, trees[name].cpu() - begun)

    @property
    def marker(self):
        return f'bench-set-{self._settings.images}'

    def sample(self, count=2000):
        """Ids of some images of the set, the same ones on every run."""
        return random.Random(11).choices(self.ids, k=count)

    def fill(self):
        """Have the set of images there; created through the API, kept for next time."""
        if not self.ids:
            self._find()
            missing = self._settings.images - len(self.ids)
            if missing > 0:
                self._create(missing)
                self._find()
            if len(self.ids) < self._settings.images:
                raise load.Broken(f'{self.name}: has {len(self.ids)} images of the set')

    def _find(self):
        seen, path = {}, f'/v2/images?limit=1000&tag={self.marker}'
        while path:
            page = self.target.json('GET', path)
            seen.update((image['id'], image['created_at']) for image in page['images'])
            path = page.get('next')
        self.ids = list(seen)
        if seen:
            self.middle = sorted(seen.values())[len(seen) // 2]

    def _create(self, missing):
        begin = len(self.ids)
        print(f'{self.name}: creating {missing} images', file=sys.stderr, flush=True)
        requests = [self.creation(number, self.marker)
                    for number in range(begin, begin + missing)]
        tally = load.hammer(self.target, requests, clients=8, count=missing)
        if tally.failed:
            raise load.Broken(f'{self.name}: {tally.failed} images could not be created')

    def creation(self, number, tag):
        """The request that creates an image with five properties and two tags."""
        return self.target.request('POST', '/v2/images', {
            'name': f'bench-{number:05}', 'disk_format': 'raw', 'container_format': 'bare',
            'tags': [tag, f'bench-group-{number % GROUPS}'],
            'bench_os': SYSTEMS[number % len(SYSTEMS)],
            'bench_machine': MACHINES[number % len(MACHINES)],
            'bench_group': str(number % GROUPS),
            'bench_build': f'build {number} of the nightly images',
            'bench_note': 'x' * 60})

    def fresh(self):
        """The id of a new image without data."""
        return self.target.json('POST', '/v2/images', {
            'name': 'bench-data', 'disk_format': 'raw', 'container_format': 'bare'})['id']

    def put(self, image_id, size, chunked=False):
        bulk.upload(self.target, self.source, image_id, size, chunked)

    def check(self, image_id, size):
        image = self.target.json('GET', f'/v2/images/{image_id}')
        if (image['status'], image['size']) != ('active', size):
            raise load.Broken(f'{self.name}: uploaded {size} bytes, but the image is '
                              f'{image["status"]} with {image["size"]}')

    def remove(self, image_id):
        self.target.call('DELETE', f'/v2/images/{image_id}')

    def data(self, size):
        """The path of an image with that many bytes."""
        if size not in self._data:
            image_id = self.fresh()
            self.put(image_id, size)
            self.check(image_id, size)
            self._data[size] = image_id
        return f'/v2/images/{self._data[size]}/file'

    def settle(self, patience=60):
        """Wait until a simple request is answered at once again."""
        until = time.monotonic() + patience
        while True:
            begin = time.monotonic()
            with contextlib.suppress(OSError, load.Broken):
                self.target.call('GET', '/versions')
                if time.monotonic() - begin < 0.2:
                    return
            if time.monotonic() > until:
                raise load.Broken(f'{self.name}: does not recover')
            time.sleep(0.2)

    def close(self, clean=False):
        """Take the data images away and, if asked, the set too."""
        for image_id in self._data.values():
            self.remove(image_id)
        if clean and self.ids:
            load.hammer(self.target, [self.target.request('DELETE', f'/v2/images/{image_id}')
                                      for image_id in self.ids],
                        clients=4, count=len(self.ids))


class FileServer:
    """A plain web server with files of given sizes: the yardstick for downloads."""

    has_api = False

    def __init__(self, name, target, tree, directory, source):
        self.name, self.target, self.tree = name, target, tree
        self._directory, self._source = directory, source

    meter = Subject.meter
    _database = None

    def data(self, size):
        path = self._directory / str(size)
        if not path.exists():
            self._source.save(path, size)
        return f'/{size}'

    def close(self, clean=False):
        """Its files go with its directory."""


def replacements(subject):
    """PATCH requests, each giving an image of the set another note."""
    dice = random.Random(13)
    requests = []
    for image_id in subject.sample():
        change = [{'op': 'replace', 'path': '/bench_note',
                   'value': f'{dice.getrandbits(200):x}'}]
        body = json.dumps(change).encode()
        requests.append(subject.target.head(
            'PATCH', f'/v2/images/{image_id}',
            'Content-Type: application/openstack-images-v2.1-json-patch',
            f'Content-Length: {len(body)}') + body)
    return requests
