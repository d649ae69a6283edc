"""What the claims about stores are made with: keys, bytes, patience, and a process that dies."""

from __future__ import annotations

import mmap
import os
import queue
import select
import signal
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from glancelite import contract

KIB, MIB = 1 << 10, 1 << 20

_BLOCK = bytes((number * 89 + (number >> 8) * 151) % 251 for number in range(65_521))


def pattern(size: int) -> bytes:
    """``size`` bytes in which every place looks different."""
    return (_BLOCK * (size // len(_BLOCK) + 1))[:size]


def same(found: object, wanted: object) -> bool:
    """Are they equal?  Asked like this, a failure is no difference of megabytes."""
    return found == wanted


def cut(data: bytes, length: int) -> Iterator[bytes]:
    """``data`` in chunks of ``length`` bytes."""
    return (data[start:start + length] for start in range(0, len(data), length))


def views(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """``chunks`` as uploads arrive: views of pages that nobody may write to."""
    for chunk in chunks:
        pages = mmap.mmap(-1, len(chunk))
        pages[:] = chunk
        yield memoryview(pages).toreadonly()


def twin(store: contract.Store) -> contract.Store:
    """Another instance with the same configuration, as another process would have."""
    return type(store)(store.options, store.host, name=store.name, conf=store.conf)


def secrets(store: contract.Store) -> list[str]:
    """The values of the options that are declared as secret."""
    return [str(value) for opt in store.OPTS
            if opt.secret and (value := getattr(store.options, opt.dest))]


def within(seconds: float, ask: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """What ``ask`` returns or raises; the test fails if that takes longer than ``seconds``."""
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(*args, **named), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        pytest.fail(f'{getattr(ask, "__name__", ask)}: no answer within {seconds} seconds')
    if error is not None:
        raise error
    return answer


def die_while_writing(store: contract.Store, key: str, chunks: Iterator[bytes],
                      seconds: float) -> bool:
    """A process with an instance of its own writes ``chunks`` and is killed before the end.

    :returns: whether it took all ``chunks`` within ``seconds``.
    """
    here, there = os.pipe()

    def source() -> Iterator[bytes]:
        yield from chunks
        os.write(there, b'.')
        time.sleep(2 * seconds)     # killed by then

    with warnings.catch_warnings():
        # pytest and the store have threads; the child uses none of what these may hold
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
    """Writes to a store, and knows what to clean up."""

    def __init__(self, store: contract.Store):
        self._store = store
        self._keys: list[str] = []
        self._urls: dict[str, str] = {}

    def key(self, text: str = '') -> str:
        """A key that nobody has used, with ``text`` in it."""
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
        """Where data under ``key`` would be, judged by where other data is."""
        known = self.key()
        return self.put(b'x', key=known).url.replace(known, key)

    def absent(self, key: str) -> bool:
        """Whether nothing can be read under ``key``, and the name is free."""
        return not self.readable(key) and self.put(b'free', key=key).size == 4

    def readable(self, key: str) -> bool:
        try:
            self._store.read(self.guess(key))
        except (contract.NotFound, contract.Invalid):
            return False
        return True

    def come_and_go(self) -> None:
        """All that a store does for one image, from its beginning to its end."""
        url = self.put(b'12345').url
        assert self.bytes(url) == b'12345'
        assert self._store.size(url) == 5
        self._store.delete(url)

    def clean(self) -> None:
        for key in self._keys:
            try:
                if key in self._urls:
                    self._store.delete(self._urls[key])
            except contract.NotFound:
                pass
            self._store.discard(key)
