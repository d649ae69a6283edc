"""Files in a directory that may stop answering, while they are written or read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from glancelite import contract
from glancelite.plugins.store.file import upload
from glancelite.plugins.store.file.watchdog import Guard, NoAnswer

#: times the deadline that the disk may take to have everything, while the directory answers
PATIENCE = 10
#: bytes per read, each of which costs two changes of threads
PIECE = 1 << 20


class Upload:
    """A ``Partial`` of which nothing stays behind, even if that must be seen to later."""

    def __init__(self, guard: Guard, make: Callable[[], upload.Partial]):
        self._guard = guard
        self._file: upload.Partial = guard.call(make, late=_drop)
        self._lost = False      # to a call that may come back some day, and then cleans up

    @property
    def size(self) -> int:
        return self._file.size

    def write(self, chunk: bytes) -> None:
        try:
            self._guard.move(self._file.write, chunk, late=lambda _: _drop(self._file))
        except NoAnswer as failure:
            self._lost = failure.running
            raise

    def publish(self, key: str) -> str:
        """As ``Partial.publish``."""
        def withdraw(path: str | None) -> None:
            _drop(self._file)
            if path is not None:    # the caller was told that it has failed
                upload.remove(path)
        try:
            return self._guard.move(self._file.publish, key, late=withdraw, patience=PATIENCE)
        except NoAnswer as failure:
            self._lost = failure.running
            raise

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._lost:
            return
        try:
            self._guard.move(self._file.__exit__)
        except NoAnswer as silence:
            if not silence.running:
                self._guard.background(self._file.__exit__)


def _drop(file: upload.Partial | None) -> None:
    if file is not None:
        file.__exit__()


class Extent(Iterator[bytes]):
    """A part of a file, read where nobody else is kept waiting.

    The kernel could send it with fewer copies, but it cannot be told to give up.

    :param first: what was read from ``offset`` on, together with opening it.
    """

    def __init__(self, guard: Guard, file: BinaryIO, offset: int, length: int, first: bytes):
        self._guard = guard
        self._file: BinaryIO | None = file
        self._next = first[:length]
        self._offset = offset
        self._end = offset + length

    def __next__(self) -> bytes:
        wanted = min(PIECE, self._end - self._offset)
        if not wanted or self._file is None:
            self.close()
            raise StopIteration
        data, self._next = self._next, b''
        if not data:
            data = self._read(self._file, wanted)
        if not data:
            raise OSError('the file is shorter than it was')
        self._offset += len(data)
        return data

    def _read(self, file: BinaryIO, wanted: int) -> bytes:
        try:
            return self._guard.ask(os.pread, file.fileno(), wanted, self._offset,
                                   late=lambda _: file.close())
        except NoAnswer as silence:
            if silence.running:
                self._file = None
            raise contract.Unavailable('The store does not answer.') from silence

    def close(self) -> None:
        if self._file is not None:
            self._guard.background(self._file.close)
            self._file = None
