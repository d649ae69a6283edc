"""Writing a file past the page cache, which large images would only push others out of."""

from __future__ import annotations

import fcntl
import mmap
import os

from glancelite.support.background import BackgroundCalls

#: bytes per write, the least and the most: as many as come at once; the buffer is aligned to
#: a page, which suits every disk
SIZE = 1 << 20
LARGEST = 4 << 20
#: bytes that are written before the disk is told to keep them, beside the next writes: else all
#: of them would wait in its own cache, or that of a virtual machine's host, for the end
KEPT = 32 << 20
#: what offsets must be a multiple of
ALIGNMENT = 4096


class Direct:
    """Writes with ``O_DIRECT``: from where the bytes are, if a disk can take them from there.

    Others are gathered into whole buffers. The disk works while the caller sees to the next
    bytes: what goes wrong is raised by the next ``write``, or by ``finish``.

    :param fd: open for writing, positioned at a multiple of ``ALIGNMENT``.
    :raises OSError: this file system has no such writes.
    """

    def __init__(self, fd: int):
        self._fd = fd
        self._flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, self._flags | os.O_DIRECT)
        self._buffer = _room(SIZE)
        self._filled = 0
        self._straight = True   # what comes may be written from where it is
        self._batch: list[bytes] = []
        self._batched = 0
        self._beside: BackgroundCalls[list[bytes]] = BackgroundCalls(
            self._put, 'glancelite-write', ahead=2)
        self._keeper: BackgroundCalls[int] = BackgroundCalls(os.fdatasync, 'glancelite-keep')
        self._written = 0   # since the keeper looked

    def write(self, data: bytes) -> None:
        """Take ``data``, which nobody changes; it is written now or later, in order."""
        self._batch.append(data)
        self._batched += len(data)
        if self._batched >= SIZE:
            self._beside.call(self._batch)
            self._batch = []
            self._batched = 0

    def finish(self) -> None:
        """Write what is left; afterwards the file is written the usual way."""
        self._beside.finish()
        self._put(self._batch)
        self._usual(0)
        self._keeper.finish()

    def abandon(self) -> None:
        """Wait until nobody writes any more; fine after ``finish``."""
        self._beside.abandon()
        self._keeper.abandon()

    def _put(self, batch: list[bytes]) -> None:
        for data in batch:
            self._put_one(data)
            self._written += len(data)
        if self._written >= KEPT and self._keeper.offer(self._fd):
            self._written = 0

    def _put_one(self, data: bytes) -> None:
        left = memoryview(data)
        if self._straight and not self._filled:
            left = left[self._from_there(left):]
        if len(self._buffer) < len(left) and len(self._buffer) < LARGEST:
            self._grow(len(left))
        buffer, room = self._buffer, len(self._buffer)
        while left:
            some = min(len(left), room - self._filled)
            buffer[self._filled:self._filled + some] = left[:some]
            self._filled += some
            left = left[some:]
            if self._filled == room:
                self._flush()

    def _from_there(self, data: memoryview) -> int:
        """Write from the memory that the data came in, if it is aligned; how many bytes."""
        whole = len(data) - len(data) % ALIGNMENT
        if not whole:
            return 0
        try:
            done = os.write(self._fd, data[:whole])
        except OSError:
            done = 0
        if done < whole:    # no room, or not like this: the usual way knows which it is
            self._straight = False
        return done

    def _grow(self, size: int) -> None:
        """Fewer writes for whoever brings much at once."""
        larger = _room(min(LARGEST, size + -size % SIZE))
        larger[:self._filled] = self._buffer[:self._filled]
        self._buffer = larger

    def _flush(self) -> None:
        try:
            done = os.write(self._fd, self._buffer)
        except OSError:
            done = 0    # no room, or not like this: the usual way knows which it is
        if done < self._filled:
            self._usual(done)
        self._filled = 0

    def _usual(self, start: int) -> None:
        """Write the rest of the buffer through the cache."""
        fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags)
        with memoryview(self._buffer) as view:
            while start < self._filled:
                start += os.write(self._fd, view[start:self._filled])


def _room(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
