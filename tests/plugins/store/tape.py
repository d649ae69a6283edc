"""A vendor's package with a driver for glance_store, as pip would install it."""

DRIVER = '''
"""Images on tape; a driver with every flaw that glance_store allows."""

import itertools
import os

from glance_store import capabilities, driver, exceptions, location
from oslo_config import cfg

CALLS = []
NUMBERS = itertools.count()
METADATA = {'robot': 'r1'}


class StoreLocation(location.StoreLocation):

    def parse_uri(self, uri):
        host, _, self.name = uri.partition('://')[2].rpartition('/')
        if host.rpartition('@')[2] != 'robot':
            raise exceptions.BadStoreUri(message='secret path')

    def get_uri(self):
        return f'tape://robot/{self.name}'


class Data:
    """Opens the file when the first block is read."""

    def __init__(self, path, truncated):
        self.path, self.truncated = path, truncated

    def __iter__(self):
        try:
            file = open(self.path, 'rb')
        except FileNotFoundError:
            raise exceptions.NotFound(image=self.path)
        with file:
            while block := file.read(100_000):
                yield bytearray(block)
                yield b''
                if self.truncated:
                    return


class Store(driver.Store):
    _CAPABILITIES = capabilities.BitMasks.RW_ACCESS
    OPTIONS = [cfg.StrOpt('tape_shelf', required=True, help='A directory.'),
               cfg.StrOpt('tape_key', secret=True, help='A secret.'),
               cfg.IntOpt('tape_speed', default=7, help='Metres per second.'),
               cfg.ListOpt('tape_faults', default=[], help='Faults to simulate.')]

    def get_schemes(self):
        return ('tape',)

    def configure_add(self):
        self.number = next(NUMBERS)
        options = driver.BackendGroupConfiguration(
            self.OPTIONS, self.backend_group, conf=self.conf)
        self.shelf, self.speed = options.tape_shelf, options.tape_speed
        self.key, self.faults = options.tape_key, options.tape_faults
        if os.path.exists(os.path.join(self.shelf, 'power failure')):
            raise ConnectionError(f'the robot does not answer to {self.key}')
        if 'mistake' in self.faults:
            raise exceptions.BadStoreConfiguration(
                store_name='tape', reason=f'no robot opens with {self.key}')
        if 'read-only' in self.faults:
            self.unset_capabilities(capabilities.BitMasks.WRITE_ACCESS)
        os.makedirs(self.shelf, exist_ok=True)
        self._url_prefix = self._url('')[:-1]

    def _url(self, name):
        account = f'me:{self.key}@' if 'secret prefix' in self.faults else ''
        return f'tape://{account}robot/{name}'

    def _path(self, location):
        return os.path.join(self.shelf, location.store_location.name)

    def _record(self, method, context, **named):
        CALLS.append((method, self.number, context and context.to_dict(), named))

    @capabilities.check
    def add(self, image_id, image_file, image_size, hashing_algo, context=None, verifier=None):
        self._record('add', context, size=image_size)
        if 'full' in self.faults:
            raise exceptions.StorageFull()
        written = 0
        with open(os.path.join(self.shelf, image_id), 'wb') as tape:
            while True:
                try:
                    wanted = image_size - written if 'trusts the size' in self.faults else 50_000
                    block = image_file.read(wanted)
                except Exception:
                    if 'treats a failure as the end' not in self.faults:
                        raise
                    block = b''
                if not block:
                    break
                written += tape.write(block)
        metadata = METADATA
        metadata['store'] = self.backend_group
        if 'strange metadata' in self.faults:
            metadata = {'robot': object()}
        url = self._url(image_id)
        if 'secret url' in self.faults:
            url += '?key=' + self.key
        return url, written, 'md5', 'sha', metadata

    @capabilities.check
    def get(self, location, offset=0, chunk_size=None, context=None):
        self._record('get', context)
        if 'rejects the token' in self.faults:
            raise exceptions.NotAuthenticated()
        path = self._path(location)
        size = os.path.getsize(path) if os.path.exists(path) else 0
        return Data(path, 'truncates' in self.faults), str(size)

    def get_size(self, location, context=None):
        self._record('get_size', context)
        try:
            if 'reports zero' in self.faults:
                raise RuntimeError
            return os.path.getsize(self._path(location))
        except Exception:
            return 0

    @capabilities.check
    def delete(self, location, context=None):
        self._record('delete', context)
        if 'in use' in self.faults:
            raise exceptions.InUseByStore()
        try:
            os.unlink(self._path(location))
        except OSError:
            raise exceptions.Forbidden()

    def set_acls(self, location, public=False, read_tenants=None, write_tenants=None,
                 context=None):
        self._record('set_acls', context, public=public, read=read_tenants, write=write_tenants)
'''
ENTRY_POINTS = '[glance_store.drivers]\nacme_tape = acme_tape.store:Store\n'


def install(home):
    """Install the package into the directory ``home``."""
    package, info = home / 'acme_tape', home / 'acme_tape-2.0.dist-info'
    package.mkdir()
    info.mkdir()
    (package / '__init__.py').touch()
    (package / 'store.py').write_text(DRIVER)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme-tape\nVersion: 2.0\n')
    (info / 'entry_points.txt').write_text(ENTRY_POINTS)
