"""Stores that time out too early, block others, or keep data of killed processes."""

import pathlib
import threading
import time

from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore

TIMEOUT = 0.2     # seconds, too short


class HoldsItsLock(MemoryStore):
    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._writing = threading.Lock()

    def write(self, key, chunks, *, size=None, ctx=None):
        with self._writing:
            return super().write(key, chunks)


class GivesUpOnSlowSources(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        return super().write(key, with_timeout(chunks))


class LocksWhileReading(MemoryStore):
    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._reading = threading.Lock()

    def read(self, url, *, offset=0, length=None, ctx=None):
        data = self._find(url)

        def chunks():
            with self._reading:
                for chunk in data:
                    for start in range(0, len(chunk), 1 << 20):
                        yield chunk[start:start + (1 << 20)]
        return chunks()


class GivesUpOnSlowReaders(MemoryStore):
    def read(self, url, *, offset=0, length=None, ctx=None):
        data = b''.join(self._find(url))

        def chunks():
            for start in range(0, len(data), 1 << 20):
                now = time.monotonic()
                yield data[start:start + (1 << 20)]
                if time.monotonic() - now > TIMEOUT:
                    raise contract.Unavailable('too late')
        return chunks()


class LeavesDataOfKilledProcesses(MemoryStore):
    """Keeps a marker file for each write; it stays when the writer is killed."""

    def write(self, key, chunks, *, size=None, ctx=None):
        mark = pathlib.Path(f'writing-{key}')
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            raise contract.Conflict('the key is being written') from None
        try:
            return super().write(key, chunks)
        finally:
            mark.unlink()


class ShowsDataOfKilledProcesses(MemoryStore):
    """Writes files under their final names."""

    def write(self, key, chunks, *, size=None, ctx=None):
        path = self._path(self._prefix + key)
        size = 0
        with path.open('wb', buffering=0) as file:
            for chunk in chunks:
                size += file.write(chunk)
        return contract.WriteResult(self._prefix + key, size)

    def read(self, url, *, offset=0, length=None, ctx=None):
        try:
            return iter([self._path(url).read_bytes()])
        except FileNotFoundError:
            raise contract.NotFound('nothing there') from None

    def delete(self, url, *, ctx=None):
        self._path(url).unlink()

    def discard(self, key, *, ctx=None):
        self._path(self._prefix + key).unlink(missing_ok=True)

    def _path(self, url):
        return pathlib.Path(f'data-{self._key(url)}')


class NeverReportsItsHealth(MemoryStore):
    def health(self):
        time.sleep(60)
        return 'ok'


def with_timeout(chunks):
    """Yield ``chunks``; raise if one takes too long."""
    while True:
        now = time.monotonic()
        chunk = next(chunks, None)
        if time.monotonic() - now > TIMEOUT:
            raise contract.Unavailable('the source is too slow')
        if chunk is None:
            return
        yield chunk
