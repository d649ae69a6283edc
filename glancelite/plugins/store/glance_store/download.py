"""The data that a glance_store driver returns, as an iterator of chunks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from glancelite import contract


class Download(Iterator[bytes]):
    """Non-empty ``bytes`` from the iterable of a driver.

    The first chunk is read at once, because some drivers open the data only then.

    :ivar expected: number of bytes that must come; None if unknown.
    :param limit: maximum number of bytes to return; None for all.
    :param failed: translates and logs an exception of the driver.
    :param driver: is kept alive with the download.
    """

    def __init__(self, data: Any, *, expected: int | None, limit: int | None,
                 failed: Callable[[Exception], contract.Error], driver: object = None):
        self.expected = expected
        self._driver = driver
        self._missing = expected
        self._limit = sys.maxsize if limit is None else limit
        self._failed = failed
        self._resources = contextlib.ExitStack()
        for resource in (data, getattr(data, 'wrapped', None)):
            if (close := getattr(resource, 'close', None)) is not None:
                self._resources.callback(close)
        self._data = iter(data)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._first = self._read()
            on_failure.pop_all()

    def __next__(self) -> bytes:
        chunk = self._first or self._read()
        self._first = b''
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def _read(self) -> bytes:
        if not self._limit:
            return b''
        chunk = b''
        while not chunk:
            try:
                chunk = next(self._data)
            except StopIteration:
                if self._missing:      # some drivers end the data when they fail
                    raise contract.Unavailable('The data in the store is truncated.') from None
                return b''
            except Exception as error:
                raise self._failed(error) from error
        if type(chunk) is not bytes:
            chunk = bytes(chunk)
        if len(chunk) > self._limit:
            chunk = chunk[:self._limit]
        self._limit -= len(chunk)
        if self._missing:
            self._missing = max(0, self._missing - len(chunk))
        return chunk

    def close_with(self, resources: contextlib.ExitStack) -> None:
        """Close ``resources`` with the download."""
        self._resources.push(resources)

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._limit, self._missing = 0, None
        try:
            self._resources.close()
        except Exception as error:
            self._failed(error)     # only logged: the reader has the data it wanted
