"""Buffers for the data of an upload, reused when nothing refers to them."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable


class Reader:
    """Reads from a server into page-aligned buffers, which direct I/O can write.

    Fresh pages cost more than all other work on the data, so buffers are reused.  The
    content of a chunk does not change while anything refers to it or to a part of it.

    :param readinto: fills a buffer, or less at the end of the body; returns the number
        of bytes.
    """

    def __init__(self, readinto: Callable[[memoryview], int]):
        self._readinto = readinto
        self._buffers: list[mmap.mmap] = []

    def read(self, size: int) -> memoryview:
        """Return the next ``size`` bytes, or less at the end, as a read-only view."""
        view = memoryview(self._unused(size))
        return view[:self._readinto(view[:size])].toreadonly()

    def _unused(self, size: int) -> mmap.mmap:
        for buffer in self._buffers:
            if len(buffer) >= size and not _is_used(buffer):
                return buffer
        # buffers that are now too small are freed with their last reference
        self._buffers = [buffer for buffer in self._buffers if len(buffer) >= size]
        self._buffers.append(_new_buffer(size))
        return self._buffers[-1]


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
