"""What every store driver needs: the rule for keys, locks of keys, and texts of errors."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterable, Iterator

from glancelite.contract.errors import Conflict, Invalid, NotFound, RangeNotSatisfiable

#: a key as the core makes it; use it with ``fullmatch``
KEY = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,254}')


def check_key(key: str) -> None:
    """
    :raises Invalid: the core makes no such key.
    """
    if not KEY.fullmatch(key):
        raise Invalid('This cannot be the name of image data.')


def no_data() -> NotFound:
    """The error for a location without data."""
    return NotFound('There is no data at this location.')


def foreign_url() -> Invalid:
    """The error for a URL that the store does not own."""
    return Invalid('This location belongs to another store.')


def key_in_use() -> Conflict:
    """The error for a key that has data, or is being written."""
    return Conflict('There is data under this key already.')


def beyond_end(size: int) -> RangeNotSatisfiable:
    """The error for an offset beyond the end of data of ``size`` bytes."""
    return RangeNotSatisfiable('Offset is beyond the end of the data.', size=size)


class KeyLocks:
    """The keys that threads of this process are writing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[str] = set()

    @contextlib.contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold a key for one writer.

        :raises Conflict: another thread holds it.
        """
        with self._lock:
            if key in self._keys:
                raise key_in_use()
            self._keys.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._keys.remove(key)

    def isdisjoint(self, keys: Iterable[str]) -> bool:
        """Return whether no thread writes any of ``keys``."""
        with self._lock:
            return self._keys.isdisjoint(keys)
