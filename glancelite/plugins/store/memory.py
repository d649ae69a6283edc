"""Images in the memory of the process: for tests and for trying things out."""

from __future__ import annotations

import itertools
import threading

from glancelite import contract


class MemoryStore(contract.Store):
    """Forgets everything when the process ends; shares nothing between instances."""

    CAPABILITIES = frozenset({'write', 'range'})
    SCHEMES = ('memory',)
    VOLATILE = True

    def __init__(self, options, host, *, name='memory', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        self._prefix = f'memory://{name}/'
        self._lock = threading.Lock()
        self._stored: dict[str, tuple[bytes, ...]] = {}

    def write(self, key, chunks, *, size=None, ctx=None):
        taken = contract.Conflict('There is data under this key already.')
        if key in self._stored:
            raise taken
        data = tuple(chunks)
        with self._lock:
            if key in self._stored:
                raise taken
            self._stored[key] = data
        return contract.Written(self._prefix + key, sum(map(len, data)))

    def read(self, url, *, offset=0, length=None, ctx=None):
        data = self._find(url)
        if offset == 0 and length is None:
            return iter(data)
        size = sum(map(len, data))
        if offset > size:
            raise contract.RangeNotSatisfiable('The data is shorter than that.', size=size)
        return _part(data, offset, size if length is None else offset + length)

    def size(self, url, *, ctx=None):
        return sum(map(len, self._find(url)))

    def delete(self, url, *, ctx=None):
        self._find(url)
        if self._stored.pop(self._key(url), None) is None:
            raise contract.NotFound('There is no data at this location.')

    def discard(self, key, *, ctx=None):
        self._stored.pop(key, None)

    def owns(self, url):
        return url.startswith(self._prefix)

    def health(self):
        held = list(self._stored.values())
        return f'{len(held)} objects, {sum(map(len, itertools.chain(*held)))} bytes'

    def close(self):
        self._stored.clear()

    def _key(self, url: str) -> str:
        if not self.owns(url):
            raise contract.Invalid('This location belongs to another store.')
        return url[len(self._prefix):]

    def _find(self, url: str) -> tuple[bytes, ...]:
        try:
            return self._stored[self._key(url)]
        except KeyError:
            raise contract.NotFound('There is no data at this location.') from None


def _part(data, start, end):
    """The bytes of ``data`` from ``start`` to ``end``."""
    position = 0
    for chunk in data:
        if position >= end:
            return
        after = position + len(chunk)
        if after > start:
            yield chunk[max(start - position, 0):end - position]
        position = after
