"""Reads an RBD image with several operations at once."""

from __future__ import annotations

import collections
import struct
import threading
from collections.abc import Iterator
from typing import Any

from glancelite import contract
from glancelite.plugins.store.rbd.client import Client, PoolSession
from glancelite.plugins.store.rbd.upload import PIECE_SIZE


class Download(Iterator[bytes]):
    """The bytes of a part of an image, read ahead; the caller closes it.

    Missing objects of an image read as zeros, so the data of an image that is being deleted
    would be wrong. The snapshot is deleted before the data, so its existence is checked after
    data was read and before it is returned.

    :param session: closed with the download, as is ``image``.
    :param image: opened at its snapshot.
    :param snapshot: its name; None if the image was opened without a snapshot, and so has a
        watch that prevents its deletion.
    :param parallel: maximum number of pending operations.
    """

    def __init__(self, client: Client, session: PoolSession, image: Any, snapshot: str | None,
                 offset: int, length: int, *, parallel: int):
        self._client = client
        self._session = session
        self._image = image
        self._position = offset
        self._end = offset + length
        self._snapshot: tuple[str, bytes] | None = None     # header object, id of the snapshot
        self._reads: collections.deque[_Read] = collections.deque()
        self._verified = 0      # number of first reads that preceded the last check
        if snapshot is not None and not image.old_format():
            number = next(snap['id'] for snap in image.list_snaps() if snap['name'] == snapshot)
            self._snapshot = f'rbd_header.{image.id()}', struct.pack('<Q', number)
        with client.translated_errors():
            for _ in range(parallel):
                self._start_read()

    def __next__(self) -> bytes:
        if not self._reads:
            self.close()
            raise StopIteration
        try:
            data = self._take()
            with self._client.translated_errors():
                self._start_read()
        except BaseException:
            self.close()
            raise
        return data

    def close(self) -> None:
        """Close the image, which waits for pending reads."""
        image, self._image = self._image, None
        self._reads.clear()
        if image is not None:
            with self._client.translated_errors():
                image.close()
            self._session.close()

    def __del__(self) -> None:
        self.close()

    def _start_read(self) -> None:
        """Start the next read, if there is one."""
        length = min(PIECE_SIZE - self._position % PIECE_SIZE, self._end - self._position)
        if length > 0:
            read = _Read(length)
            self._image.aio_read(self._position, length, read.on_complete)
            self._reads.append(read)
            self._position += length

    def _take(self) -> bytes:
        read = self._reads[0]
        read.complete.acquire()
        if read.code < 0:
            raise self._client.translate_error(read.code, f'a read failed with {read.code}')
        if read.data is None or len(read.data) != read.length:
            raise contract.Unavailable('The data in the store is truncated.')
        if not self._verified:
            self._check_snapshot()
        self._verified -= 1
        self._reads.popleft()
        return read.data

    def _check_snapshot(self) -> None:
        """Check that the snapshot exists, which verifies all reads that are complete."""
        complete = 0
        for read in self._reads:
            if read.data is None:
                break
            complete += 1
        if self._snapshot is not None:
            header, snapshot = self._snapshot
            with self._client.translated_errors():
                self._session.ioctx.execute(header, 'rbd', 'get_size', snapshot)
        self._verified = complete


class _Read:
    """A pending read; ``complete`` is released when it is done."""

    __slots__ = ('code', 'complete', 'data', 'length')

    def __init__(self, length: int):
        self.length = length
        self.code = 0
        self.data: bytes | None = None
        self.complete = threading.Lock()
        self.complete.acquire()

    def on_complete(self, completion: Any, data: bytes | None) -> None:   # on a thread of librbd
        self.code = completion.get_return_value()
        self.data = data
        self.complete.release()
