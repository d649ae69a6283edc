"""Images in the memory of the process, for tests and trials."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules


class MemoryStore(contract.Store):
    """Keeps data until the instance is closed; instances share no data."""

    CAPABILITIES = frozenset({'write', 'range'})
    SCHEMES = ('memory',)
    VOLATILE = True
    NODE_LOCAL = True

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'memory',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        self._prefix = f'memory://{name}/'
        self._lock = threading.Lock()
        self._data: dict[str, tuple[bytes, ...]] = {}

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: contract.Context | None = None) -> contract.WriteResult:
        if key in self._data:
            raise store_rules.key_in_use()
        data = tuple(chunks)
        with self._lock:
            if key in self._data:
                raise store_rules.key_in_use()
            self._data[key] = data
        return contract.WriteResult(self._prefix + key, sum(map(len, data)))

    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: contract.Context | None = None) -> Iterator[bytes]:
        data = self._find(url)
        if offset == 0 and length is None:
            return iter(data)
        size = sum(map(len, data))
        if offset > size:
            raise store_rules.beyond_end(size)
        return _range(data, offset, size if length is None else offset + length)

    def size(self, url: str, *, ctx: contract.Context | None = None) -> int:
        return sum(map(len, self._find(url)))

    def delete(self, url: str, *, ctx: contract.Context | None = None) -> None:
        self._find(url)
        if self._data.pop(self._key(url), None) is None:
            raise store_rules.no_data()

    def discard(self, key: str, *, ctx: contract.Context | None = None) -> None:
        self._data.pop(key, None)

    def owns(self, url: str) -> bool:
        return url.startswith(self._prefix)

    def health(self) -> str:
        values = list(self._data.values())
        return f'{len(values)} objects, {sum(map(len, itertools.chain(*values)))} bytes'

    def close(self) -> None:
        self._data.clear()

    def _key(self, url: str) -> str:
        if not self.owns(url):
            raise store_rules.foreign_url()
        return url[len(self._prefix):]

    def _find(self, url: str) -> tuple[bytes, ...]:
        try:
            return self._data[self._key(url)]
        except KeyError:
            raise store_rules.no_data() from None


def _range(data: tuple[bytes, ...], start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes from ``start`` to ``end`` of data in chunks."""
    position = 0
    for chunk in data:
        if position >= end:
            return
        after = position + len(chunk)
        if after > start:
            yield chunk[max(start - position, 0):end - position]
        position = after
