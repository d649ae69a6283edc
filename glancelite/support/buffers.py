"""Buffers for the data of images, reused when nothing refers to them, and limited in sum."""

from __future__ import annotations

import contextlib
import mmap
import threading
import time
import weakref
from collections.abc import Callable

#: bytes of all buffers of a process, beyond the smallest; half of them for buffers over 1 MiB
LIMIT = 256 << 20
MEDIUM = 1 << 20
#: size of the smallest buffers: for clients whose last MiB came at less than ``SLOW_RATE``
#: bytes per second of waiting for it, and for all others when the limit is reached
SMALL = 1 << 16
SLOW_RATE = 4 << 20


class Pool:
    """Counts the buffers of a process.

    A buffer counts until nothing refers to it: stores may write long after the next was read.
    """

    def __init__(self, limit: int = LIMIT):
        self._limit = limit
        self._lock = threading.RLock()
        self._used = 0

    def new(self, size: int) -> mmap.mmap | None:
        """Return a new buffer; None if it would exceed the limit and is not a small one."""
        limit = self._limit // 2 if size > MEDIUM else self._limit
        with self._lock:
            if size > SMALL and self._used + size > limit:
                return None
            self._used += size
        buffer = _new_buffer(size)
        weakref.finalize(buffer, self._freed, size).atexit = False
        return buffer

    def _freed(self, size: int) -> None:
        with self._lock:
            self._used -= size


class Reader:
    """Reads from a server or a file into page-aligned buffers, which direct I/O can write.

    Fresh pages cost more than all other work on the data, so buffers are reused.  The
    content of a chunk does not change while anything refers to it or to a part of it.

    :param readinto: fills a buffer, or less at the end of the body; returns the number
        of bytes.
    """

    def __init__(self, readinto: Callable[[memoryview], int], pool: Pool):
        self._readinto = readinto
        self._pool = pool
        self._buffers: list[mmap.mmap] = []
        self._is_slow = False
        self._received, self._waited = 0, 0.0   # since this was decided

    def read(self, size: int) -> memoryview:
        """Return the next ``size`` bytes, or less, as a read-only view; empty at the end."""
        if self._is_slow:
            size = min(size, SMALL)
        view = memoryview(self._unused(size))[:size]
        began = time.monotonic()
        count = self._readinto(view)
        self._received += count
        self._waited += time.monotonic() - began
        if self._received >= MEDIUM:
            self._is_slow = self._received < SLOW_RATE * self._waited
            self._received, self._waited = 0, 0.0
            if self._is_slow:
                self._buffers = [buffer for buffer in self._buffers if len(buffer) <= SMALL]
        return view[:count].toreadonly()

    def _unused(self, size: int) -> mmap.mmap:
        for buffer in self._buffers:
            if len(buffer) >= size and not _is_used(buffer):
                return buffer
        new = self._pool.new(size)
        if new is not None:
            # buffers that are now too small are freed with their last reference
            self._buffers = [buffer for buffer in self._buffers if len(buffer) >= size]
        else:
            for buffer in self._buffers:
                if not _is_used(buffer):
                    return buffer
            new = self._pool.new(min(size, MEDIUM)) or self._pool.new(SMALL)
            assert new is not None
        self._buffers.append(new)
        return new


def _new_buffer(size: int) -> mmap.mmap:
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError, AttributeError):     # huge pages are optional
        buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer


def _is_used(buffer: mmap.mmap) -> bool:
    """Return whether anything refers to the content; such a map cannot be resized."""
    try:
        buffer.resize(len(buffer))
    except BufferError:
        return True
    return False
