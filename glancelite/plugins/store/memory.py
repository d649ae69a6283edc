"""Images in the memory of the process: for tests and for trying things out."""

from __future__ import annotations

import itertools
import threading

from glancelite import contract
from glancelite.contract import store_rules


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
        taken = store_rules.key_in_use()
        if key in self._stored:
            raise taken
        data = tuple(chunks)
        with self._lock:
            if key in self._stored:
                raise taken
            self._stored[key] = data
        return contract.WriteResult(self._prefix + key, sum(map(len, data)))

    def read(self, url, *, offset=0, length=None, ctx=None):
        data = self._find(url)
        if offset == 0 and length is None:
            return iter(data)
        size = sum(map(len, data))
        if offset > size:
            raise store_rules.beyond_end(size)
        return _part(data, offset, size if length is None else offset + length)

    def size(self, url, *, ctx=None):
        return sum(map(len, self._find(url)))

    def delete(self, url, *, ctx=None):
        self._find(url)
        if self._stored.pop(self._key(url), None) is None:
            raise store_rules.no_data()

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
            raise store_rules.foreign_url()
        return url[len(self._prefix):]

    def _find(self, url: str) -> tuple[bytes, ...]:
        try:
            return self._stored[self._key(url)]
        except KeyError:
            raise store_rules.no_data() from None


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
