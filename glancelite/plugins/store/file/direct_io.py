"""Writes files with O_DIRECT, so that large images do not displace others in the page cache."""

from __future__ import annotations

import fcntl
import mmap
import os

from glancelite.support.background import BackgroundCalls

#: bytes of small chunks, those of slow clients, that are collected before they are written
BATCH_SIZE = 1 << 18
#: minimum and maximum size of the buffer for data that is not aligned
BUFFER_SIZE = 1 << 20
MAX_BUFFER_SIZE = 4 << 20
#: bytes between two calls of ``fdatasync``, which run beside the writes: without them all data
#: would stay in the cache of the disk or hypervisor until the final ``fsync``
SYNC_INTERVAL = 32 << 20
#: offsets of direct writes must be a multiple of this
ALIGNMENT = 4096


class DirectWriter:
    """Writes a file with ``O_DIRECT`` on a background thread.

    Page-aligned data is written from the memory of the caller, other data is copied to an
    aligned buffer first. An error is raised by a later ``write`` or by ``finish``. The owner
    must end with ``cancel``.

    :param fd: open for writing, positioned at a multiple of ``ALIGNMENT``.
    :raises OSError: the file system does not support ``O_DIRECT``.
    """

    def __init__(self, fd: int):
        self._fd = fd
        self._flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, self._flags | os.O_DIRECT)
        self._buffer = _new_buffer(BUFFER_SIZE)
        self._filled = 0
        self._zero_copy = True      # until a write from the caller's memory fails
        self._batch: list[bytes] = []
        self._batch_size = 0
        self._writer: BackgroundCalls[list[bytes]] = BackgroundCalls(
            self._write_batch, 'glancelite-write', ahead=2)
        self._syncer: BackgroundCalls[int] = BackgroundCalls(os.fdatasync, 'glancelite-sync')
        self._unsynced = 0

    def write(self, data: bytes) -> None:
        """Write ``data`` now or later; it must not change."""
        self._batch.append(data)
        self._batch_size += len(data)
        if self._batch_size >= BATCH_SIZE:
            self._writer.call(self._batch)
            self._batch = []
            self._batch_size = 0

    def finish(self) -> None:
        """Write all remaining data, and switch ``O_DIRECT`` off."""
        self._writer.finish()
        self._write_batch(self._batch)
        self._write_through_cache(0)
        self._syncer.finish()

    def cancel(self) -> None:
        """Wait until no thread uses the file any more; does nothing after ``finish``."""
        self._writer.cancel()
        self._syncer.cancel()

    def _write_batch(self, batch: list[bytes]) -> None:
        for data in batch:
            self._write_data(data)
            self._unsynced += len(data)
        if self._unsynced >= SYNC_INTERVAL and self._syncer.try_call(self._fd):
            self._unsynced = 0

    def _write_data(self, data: bytes) -> None:
        remaining = memoryview(data)
        if self._zero_copy and not self._filled:
            remaining = remaining[self._write_zero_copy(remaining):]
        if len(self._buffer) < len(remaining) and len(self._buffer) < MAX_BUFFER_SIZE:
            self._enlarge_buffer(len(remaining))
        buffer, capacity = self._buffer, len(self._buffer)
        while remaining:
            count = min(len(remaining), capacity - self._filled)
            buffer[self._filled:self._filled + count] = remaining[:count]
            self._filled += count
            remaining = remaining[count:]
            if self._filled == capacity:
                self._flush()

    def _write_zero_copy(self, data: memoryview) -> int:
        """Write whole pages from the memory of the caller; return the number of bytes."""
        whole = len(data) - len(data) % ALIGNMENT
        if not whole:
            return 0
        try:
            count = os.write(self._fd, data[:whole])
        except OSError:
            count = 0
        if count < whole:    # unaligned or disk full: the write through the cache finds out
            self._zero_copy = False
        return count

    def _enlarge_buffer(self, size: int) -> None:
        larger = _new_buffer(min(MAX_BUFFER_SIZE, size + -size % BUFFER_SIZE))
        larger[:self._filled] = self._buffer[:self._filled]
        self._buffer = larger

    def _flush(self) -> None:
        try:
            count = os.write(self._fd, self._buffer)
        except OSError:
            count = 0    # not supported or disk full: the write through the cache finds out
        if count < self._filled:
            self._write_through_cache(count)
        self._filled = 0

    def _write_through_cache(self, start: int) -> None:
        """Switch ``O_DIRECT`` off and write the rest of the buffer."""
        fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags)
        with memoryview(self._buffer) as view:
            while start < self._filled:
                start += os.write(self._fd, view[start:self._filled])


def _new_buffer(size: int) -> mmap.mmap:
    # aligned to a page, as O_DIRECT requires
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
