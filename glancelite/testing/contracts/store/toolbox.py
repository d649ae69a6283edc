"""Tools of the suites for stores: keys, data, time limits, and a process that is killed."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import select
import signal
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from glancelite import contract
from glancelite.time_limit import Call, TooLate

KIB, MIB = 1 << 10, 1 << 20

_BLOCK = bytes((number * 89 + (number >> 8) * 151) % 251 for number in range(65_521))

#: an absolute path, or an address
_PLACE = re.compile(r'\w+://\w\S*|(?<![\w/])/[\w.-]+/\S*')


def pattern(size: int) -> bytes:
    """Return ``size`` bytes that differ at every position."""
    return (_BLOCK * (size // len(_BLOCK) + 1))[:size]


def same(actual: object, expected: object) -> bool:
    """Return whether both are equal.  A failed assertion does not print megabytes then."""
    return actual == expected


def cut(data: bytes, length: int) -> Iterator[bytes]:
    """Return ``data`` in chunks of ``length`` bytes."""
    return (data[start:start + length] for start in range(0, len(data), length))


def views(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield ``chunks`` as uploads arrive: as read-only views."""
    for chunk in chunks:
        pages = mmap.mmap(-1, len(chunk))
        pages[:] = chunk
        yield memoryview(pages).toreadonly()


def twin(store: contract.Store) -> contract.Store:
    """Return another instance with the same configuration, as in another process."""
    return type(store)(store.options, store.host, name=store.name, conf=store.conf)


def secrets(store: contract.Store) -> list[str]:
    """Return the values of the options that are declared as secret."""
    return [str(value) for opt in store.OPTS
            if opt.secret and (value := getattr(store.options, opt.dest))]


def secrets_in(store: contract.Store, error: contract.Error) -> list[str]:
    """Return the secrets of the store that a user would see in an error."""
    shown = f'{error} {error.details}'
    return [secret for secret in secrets(store) if secret in shown]


def internals(store: contract.Store, error: contract.Error) -> list[str]:
    """Return what users must not see of an error: secrets, paths, addresses of the backend."""
    shown = f'{error} {error.details}'
    places = [value for opt in store.OPTS
              if isinstance(value := getattr(store.options, opt.dest), str) and '/' in value]
    return [*secrets_in(store, error), *_PLACE.findall(shown),
            *(place for place in places if place in shown)]


def within(seconds: float, ask: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call ``ask``; return or raise its result.  Fail the test after ``seconds``."""
    try:
        return Call(lambda: ask(*args, **named)).result('no answer', seconds)
    except TooLate:
        pytest.fail(f'{getattr(ask, "__name__", ask)}: no answer within {seconds} seconds')


def die_while_writing(store: contract.Store, key: str, chunks: Iterator[bytes],
                      seconds: float) -> bool:
    """Write ``chunks`` in another process, and kill it before the end of the write.

    :returns: whether the store read all ``chunks`` within ``seconds``.
    """
    here, there = os.pipe()

    def source() -> Iterator[bytes]:
        yield from chunks
        os.write(there, b'.')
        time.sleep(2 * seconds)     # killed by then

    with warnings.catch_warnings():
        # pytest and the store have threads; the child uses no lock that these may hold
        warnings.simplefilter('ignore', DeprecationWarning)
        child = os.fork()
    if not child:
        try:
            twin(store).write(key, source())
        finally:
            os._exit(1)
    try:
        ready, _, _ = select.select([here], [], [], seconds)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(here)
        os.close(there)
    return bool(ready)


class Box:
    """Writes to a store, and deletes what it has written at the end."""

    def __init__(self, store: contract.Store):
        self._store = store
        self._keys: list[str] = []
        self._urls: dict[str, str] = {}

    def key(self, text: str = '') -> str:
        """Return a new key that contains ``text``."""
        key = f'{uuid.uuid4()}{text}'
        self._keys.append(key)
        return key

    def put(self, data: bytes, *, key: str | None = None) -> contract.WriteResult:
        return self.write(key or self.key(), iter([data] if data else []), size=len(data))

    def write(self, key: str, chunks: Iterator[bytes], **named: Any) -> contract.WriteResult:
        written = self._store.write(key, chunks, **named)
        self._urls[key] = written.url
        return written

    def bytes(self, url: str) -> bytes:
        return b''.join(self._store.read(url))

    def guess(self, key: str) -> str:
        """Return the probable URL of data under ``key``, derived from other data."""
        known = self.key()
        return self.put(b'x', key=known).url.replace(known, key)

    def absent(self, key: str) -> bool:
        """Return whether ``key`` has no data and can be used."""
        return not self.readable(key) and self.put(b'free', key=key).size == 4

    def readable(self, key: str) -> bool:
        try:
            self._store.read(self.guess(key))
        except (contract.NotFound, contract.Invalid):
            return False
        return True

    def round_trip(self) -> None:
        """Write, read and delete a small image."""
        url = self.put(b'12345').url
        assert self.bytes(url) == b'12345'
        assert self._store.size(url) == 5
        self._store.delete(url)

    def clean(self) -> None:
        """Delete what was written; discard what the other keys may have."""
        for key in self._keys:
            if key in self._urls:
                with contextlib.suppress(contract.NotFound):
                    self._store.delete(self._urls[key])
            else:
                self._store.discard(key)
