"""Images in a Sheepdog cluster, one virtual disk each."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from oslo_config import cfg

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.sheepdog.client import Dog, Failed

LOG = logging.getLogger(__name__)

#: what the core gives as a key, and so nothing that a command line takes for an option
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z')
#: parts of an image that are written at once: one starts and ends beside the other
RUNS = 2
_FULL = ('no space', 'too large', 'larger than', 'maximum VDIs')


class SheepdogStore(contract.Store):
    """One virtual disk per image, named by its key; ``dog`` brings and fetches the bytes.

    A disk can grow but not shrink, so it grows only for bytes that are here already:
    they wait in a temporary file until there are enough for a run of the program. And it has
    its name from its beginning, so it bears an attribute, ``glancelite.unfinished``, until
    it is whole. Only this driver heeds that.

    The length of an image is asked for when a location is added, and then Sheepdog looks
    at all its disks; uploads, downloads and deletes do without.
    """

    OPTS = (
        cfg.HostAddressOpt('sheepdog_store_address', default='127.0.0.1',
                           help='Host of the sheep daemon that is asked.'),
        cfg.PortOpt('sheepdog_store_port', default=7000, min=1,
                    help='Port of the sheep daemon that is asked.'),
        cfg.IntOpt('sheepdog_store_chunk_size', default=64, min=1,
                   help='MiB for one run of the program. An upload keeps up to three times as '
                        'much in the directory for temporary files (TMPDIR).'),
        cfg.ListOpt('sheepdog_store_known_addresses', default=[],
                    sample_default='10.0.0.1:7000,10.0.0.2:7000',
                    help='Other daemons of the same cluster, as host:port, which locations of '
                         'older images name: they are read as well, from these daemons.'),
        cfg.FloatOpt('sheepdog_store_timeout', default=60, min=0.1,
                     help='Seconds in which the cluster has to do something, such as to take or '
                          'send the next bytes.'),
    )
    CAPABILITIES = frozenset({'write', 'range'})
    SCHEMES = ('sheepdog',)

    def __init__(self, options, host, *, name='sheepdog', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        own = (options.sheepdog_store_address, options.sheepdog_store_port)
        self._prefix = f'sheepdog://{own[0]}:{own[1]}:'
        self._dogs = {each: Dog(*each, options.sheepdog_store_timeout)
                      for each in (own, *map(_address, options.sheepdog_store_known_addresses))}
        self._own = self._dogs[own]
        self._chunk = options.sheepdog_store_chunk_size << 20

    # what the service asks

    def write(self, key, chunks, *, size=None, ctx=None):
        if not _NAME.match(key):
            raise contract.Invalid('This cannot be the name of an image.')
        dog = self._own
        try:
            dog.create(key)
        except Failed as failure:
            if failure.says('exists already'):
                raise store_rules.key_in_use() from failure
            raise self._meaning(failure) from failure
        try:
            dog.mark(key)
            written = self._fill(key, chunks)
            dog.unmark(key)
        except BaseException as failure:
            self._take_back(key)
            if isinstance(failure, Failed):
                raise self._meaning(failure) from failure
            raise
        return contract.WriteResult(self._prefix + key, written)

    def read(self, url, *, offset=0, length=None, ctx=None):
        dog, name = self._find(url)
        try:
            self._whole(dog, name)
            return dog.read(name, offset, length)
        except Failed as failure:
            if failure.says('beyond the end'):
                raise store_rules.beyond_end(self.size(url)) from failure
            raise self._meaning(failure) from failure

    def size(self, url, *, ctx=None):
        dog, name = self._find(url)
        try:
            self._whole(dog, name)
            return dog.size(name)
        except Failed as failure:
            raise self._meaning(failure) from failure

    def delete(self, url, *, ctx=None):
        dog, name = self._find(url)
        try:
            dog.delete(name)
        except Failed as failure:
            raise self._meaning(failure) from failure

    def discard(self, key, *, ctx=None):
        if not _NAME.match(key):
            raise contract.Invalid('This cannot be the name of an image.')
        try:
            self._own.unmark(key)
            self._own.delete(key)
        except Failed as failure:
            if not failure.missing:
                raise self._meaning(failure) from failure

    def owns(self, url):
        return self._locate(url) is not None

    def exclusive_resources(self):
        return [f'sheepdog://{address}:{port}' for address, port in self._dogs]

    def properties(self):
        return {'chunk_size': self._chunk}

    def health(self):
        try:
            status = self._own.status()
        except Failed as failure:
            raise self._meaning(failure) from failure
        if not status.startswith('running'):
            raise contract.Unavailable(f'Sheepdog: {status or "nobody knows how it is"}')
        return status

    # writing

    def _fill(self, key: str, chunks: Iterator[bytes]) -> int:
        """Write everything, and gather the next part meanwhile; returns how much it was."""
        end = 0
        running: collections.deque[concurrent.futures.Future[None]] = collections.deque()
        with (concurrent.futures.ThreadPoolExecutor(RUNS, 'sheepdog') as pool,
              contextlib.closing(self._parts(chunks)) as parts):
            for part, length in parts:
                try:
                    if len(running) == RUNS:
                        running.popleft().result()
                    self._own.resize(key, end + length)
                except BaseException:
                    part.close()
                    raise
                running.append(pool.submit(self._write, key, end, part, length))
                end += length
            while running:
                running.popleft().result()
        return end

    def _write(self, key: str, offset: int, part: BinaryIO, length: int) -> None:
        with part:
            self._own.write(key, offset, part, length)

    def _parts(self, chunks: Iterator[bytes]) -> Iterator[tuple[BinaryIO, int]]:
        """Files without a name, and how long they are: a full chunk, but for the last."""
        part, length = None, 0
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    if part is None:
                        part, length = _temporary(), 0
                    now = view[:self._chunk - length]
                    _put(part, now)
                    length += len(now)
                    view = view[len(now):]
                    if length == self._chunk:
                        done, part = part, None
                        yield done, length
            if part is not None:
                done, part = part, None
                yield done, length
        finally:
            if part is not None:
                part.close()

    def _whole(self, dog: Dog, name: str) -> None:
        if dog.marked(name):
            raise store_rules.no_data()

    def _take_back(self, key: str) -> None:
        """Remove what we have begun; whoever is in the way of that must not hide why."""
        try:
            self.discard(key)
        except contract.Error as error:
            LOG.error('store %s: %s is left behind: %s', self.name, key, error)

    # locations

    def _locate(self, url: str) -> tuple[Dog, str] | None:
        scheme, found, rest = url.partition('://')
        if not found or scheme not in self.SCHEMES:
            return None
        where, colon, name = rest.rpartition(':')
        if not _NAME.match(name):
            return None
        if not colon:       # the oldest form: the cluster of the configuration
            return self._own, name
        address, _, port = where.rpartition(':')
        dog = self._dogs.get((address, int(port))) if _PORT.match(port) else None
        return None if dog is None else (dog, name)

    def _find(self, url: str) -> tuple[Dog, str]:
        found = self._locate(url)
        if found is None:
            raise store_rules.foreign_url()
        return found

    # failures

    def _meaning(self, failure: Failed) -> contract.Error:
        if failure.missing:
            return store_rules.no_data()
        LOG.error('store %s: %s', self.name, failure)
        if failure.says(*_FULL):
            return contract.TooLarge('The store is full.')
        if failure.says('is locked'):
            return contract.InUse('Somebody else uses the data.')
        return contract.Unavailable('The store cannot be used now.')


_PORT = re.compile(r'[1-9][0-9]{0,4}\Z')
_ADDRESS = cfg.types.HostAddress()


def _address(text: str) -> tuple[str, int]:
    """``host:port``, as it is in locations.

    :raises Misconfigured: it is not.
    """
    address, _, port = text.strip().rpartition(':')
    try:
        if _PORT.match(port) and _ADDRESS(address) and not address.startswith('-'):
            return address, int(port)
    except ValueError:
        pass
    raise contract.Misconfigured('sheepdog_store_known_addresses has host:port, separated by '
                                 f'commas, but not {text!r}')


def _temporary() -> BinaryIO:
    try:
        return tempfile.TemporaryFile(prefix='glancelite-', buffering=0)
    except OSError as error:
        raise _no_room(error) from error


def _put(file: BinaryIO, data: memoryview) -> None:
    try:
        while data:
            data = data[os.write(file.fileno(), data):]
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> contract.Unavailable:
    LOG.error('temporary files in %s: %s', tempfile.gettempdir(), error.strerror)
    return contract.Unavailable('The store cannot be used now.')
