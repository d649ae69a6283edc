"""A package of a vendor with a driver for glance_store, as pip would leave it."""

DRIVER = '''
"""Images on tape; as careless as a driver can be."""

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
    """Opens when the first block is wanted."""

    def __init__(self, path, cut):
        self.path, self.cut = path, cut

    def __iter__(self):
        try:
            file = open(self.path, 'rb')
        except FileNotFoundError:
            raise exceptions.NotFound(image=self.path)
        with file:
            while block := file.read(100_000):
                yield bytearray(block)
                yield b''
                if self.cut:
                    return


class Store(driver.Store):
    _CAPABILITIES = capabilities.BitMasks.RW_ACCESS
    OPTIONS = [cfg.StrOpt('tape_shelf', required=True, help='A directory.'),
               cfg.StrOpt('tape_key', secret=True, help='Of the cupboard.'),
               cfg.IntOpt('tape_speed', default=7, help='Metres per second.'),
               cfg.ListOpt('tape_faults', default=[], help='What is wrong with it.')]

    def get_schemes(self):
        return ('tape',)

    def configure_add(self):
        self.number = next(NUMBERS)
        options = driver.BackendGroupConfiguration(
            self.OPTIONS, self.backend_group, conf=self.conf)
        self.shelf, self.speed = options.tape_shelf, options.tape_speed
        self.key, self.faults = options.tape_key, options.tape_faults
        if os.path.exists(os.path.join(self.shelf, 'power cut')):
            raise ConnectionError(f'the robot does not answer to {self.key}')
        if 'mistake' in self.faults:
            raise exceptions.BadStoreConfiguration(
                store_name='tape', reason=f'no robot opens with {self.key}')
        if 'read-only' in self.faults:
            self.unset_capabilities(capabilities.BitMasks.WRITE_ACCESS)
        os.makedirs(self.shelf, exist_ok=True)
        self._url_prefix = self._address('')[:-1]

    def _address(self, name):
        account = f'me:{self.key}@' if 'secret prefix' in self.faults else ''
        return f'tape://{account}robot/{name}'

    def _path(self, place):
        return os.path.join(self.shelf, place.store_location.name)

    def _call(self, verb, context, **named):
        CALLS.append((verb, self.number, context and context.to_dict(), named))

    @capabilities.check
    def add(self, image_id, image_file, image_size, hashing_algo, context=None, verifier=None):
        self._call('add', context, size=image_size)
        if 'full' in self.faults:
            raise exceptions.StorageFull()
        written = 0
        with open(os.path.join(self.shelf, image_id), 'wb') as tape:
            while True:
                try:
                    most = image_size - written if 'believes the size' in self.faults else 50_000
                    block = image_file.read(most)
                except Exception:
                    if 'takes a failure for the end' not in self.faults:
                        raise
                    block = b''
                if not block:
                    break
                written += tape.write(block)
        metadata = METADATA
        metadata['store'] = self.backend_group
        if 'strange metadata' in self.faults:
            metadata = {'robot': object()}
        url = self._address(image_id)
        if 'secret address' in self.faults:
            url += '?key=' + self.key
        return url, written, 'md5', 'sha', metadata

    @capabilities.check
    def get(self, location, offset=0, chunk_size=None, context=None):
        self._call('get', context)
        if 'takes no token' in self.faults:
            raise exceptions.NotAuthenticated()
        path = self._path(location)
        size = os.path.getsize(path) if os.path.exists(path) else 0
        return Data(path, 'cuts' in self.faults), str(size)

    def get_size(self, location, context=None):
        self._call('get_size', context)
        try:
            if 'says zero' in self.faults:
                raise RuntimeError
            return os.path.getsize(self._path(location))
        except Exception:
            return 0

    @capabilities.check
    def delete(self, location, context=None):
        self._call('delete', context)
        if 'in use' in self.faults:
            raise exceptions.InUseByStore()
        try:
            os.unlink(self._path(location))
        except OSError:
            raise exceptions.Forbidden()

    def set_acls(self, location, public=False, read_tenants=None, write_tenants=None,
                 context=None):
        self._call('set_acls', context, public=public, read=read_tenants, write=write_tenants)
'''
ENTRY_POINTS = '[glance_store.drivers]\nacme_tape = acme_tape.store:Store\n'


def install(home):
    """Put the package into the directory ``home``."""
    package, info = home / 'acme_tape', home / 'acme_tape-2.0.dist-info'
    package.mkdir()
    info.mkdir()
    (package / '__init__.py').touch()
    (package / 'store.py').write_text(DRIVER)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme-tape\nVersion: 2.0\n')
    (info / 'entry_points.txt').write_text(ENTRY_POINTS)
