"""Writes an RBD image with several operations at once."""

from __future__ import annotations

import threading
from typing import Any

from glancelite.plugins.store.rbd.client import Client

#: bytes per operation: large enough that the cost per operation does not matter, and aligned
#: to the objects of the image
PIECE_SIZE = 4 << 20
#: smaller chunks are collected first
SMALL_CHUNK = 64 << 10
#: the most by which an image of unknown size is enlarged at once
MAX_GROWTH = 8 << 30

_ZEROS = bytes(PIECE_SIZE)


class Upload:
    """Writes an image from its start and enlarges it when needed.

    Used by one thread. All methods raise errors of the contract.

    :param client: translates errors.
    :param image: an open ``rbd.Image``.
    :param capacity: its size.
    :param chunk_size: the image is first enlarged by two chunks of this size.
    :param parallel: maximum number of pending operations.
    :param thin: do not write zeros.
    """

    def __init__(self, client: Client, image: Any, capacity: int, *, chunk_size: int,
                 parallel: int, thin: bool):
        self.size = 0
        self._client = client
        self._image = image
        self._capacity = capacity
        self._growth = 2 * chunk_size
        self._thin = thin
        self._parallel = parallel
        self._free = threading.Semaphore(parallel)
        self._error_code: int | None = None
        self._small_chunks = bytearray()
        self._collected: list[bytes] = []
        self._collected_size = 0

    def write(self, data: bytes) -> None:
        """Write bytes when there are enough for an operation."""
        if len(data) < SMALL_CHUNK:
            self._small_chunks += data
            if len(self._small_chunks) < SMALL_CHUNK:
                return
            data = b''
        if self._small_chunks:
            self._collect(bytes(self._small_chunks))
            self._small_chunks.clear()
        if data:
            self._collect(data)

    def finish(self) -> None:
        """Write the rest, wait for all operations, and shrink the image to its data."""
        self._collect(bytes(self._small_chunks))
        self._small_chunks.clear()
        for data in self._collected:
            self._write_piece(data)
        self._collected.clear()
        for _ in range(self._parallel):
            self._free.acquire()
        self._raise_error()
        with self._client.translated_errors():
            if self._capacity != self.size:
                self._image.resize(self.size)
            self._image.flush()

    def _collect(self, data: bytes) -> None:
        self._collected.append(data)
        self._collected_size += len(data)
        if self._collected_size < PIECE_SIZE:
            return
        joined = b''.join(self._collected) if len(self._collected) > 1 else data
        whole = len(joined) - len(joined) % PIECE_SIZE
        if whole == len(joined) == PIECE_SIZE:
            self._write_piece(joined)
        else:
            for start in range(0, whole, PIECE_SIZE):
                self._write_piece(joined[start:start + PIECE_SIZE])
        rest = joined[whole:]
        self._collected = [rest] if rest else []
        self._collected_size = len(rest)

    def _write_piece(self, data: bytes) -> None:
        start, self.size = self.size, self.size + len(data)
        if self.size > self._capacity:
            self._enlarge()
        if self._thin and data == (_ZEROS if len(data) == PIECE_SIZE else _ZEROS[:len(data)]):
            return
        self._free.acquire()
        self._raise_error()
        with self._client.translated_errors():
            self._image.aio_write(data, start, self._on_written)

    def _enlarge(self) -> None:
        while self._capacity < self.size:
            self._capacity += self._growth
            self._growth = min(2 * self._growth, MAX_GROWTH)
        with self._client.translated_errors():
            self._image.resize(self._capacity)

    def _on_written(self, completion: Any) -> None:     # on a thread of librbd
        code = completion.get_return_value()
        if code < 0 and self._error_code is None:
            self._error_code = code
        self._free.release()

    def _raise_error(self) -> None:
        if self._error_code is not None:
            raise self._client.translate_error(self._error_code,
                                               f'a write failed with {self._error_code}')
