"""Memory that the bytes of an upload arrive in, used again when nobody looks at it any more."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable


class Reader:
    """Reads from a server into page-aligned buffers, from which a disk can take the bytes.

    Fresh pages cost a server more than what it does with them, so buffers are used
    again: a piece stays as it is while anything refers to it or to a part of it.

    :param readinto: fills a buffer unless the body ends before; returns how many bytes.
    """

    def __init__(self, readinto: Callable[[memoryview], int]):
        self._readinto = readinto
        self._buffers: list[mmap.mmap] = []

    def read(self, size: int) -> memoryview:
        """The next ``size`` bytes, fewer at the end, as a view that cannot be written to."""
        view = memoryview(self._spare(size))
        return view[:self._readinto(view[:size])].toreadonly()

    def _spare(self, size: int) -> mmap.mmap:
        for buffer in self._buffers:
            if len(buffer) >= size and _unused(buffer):
                return buffer
        # those which became too small go when their last user does
        self._buffers = [buffer for buffer in self._buffers if len(buffer) >= size]
        self._buffers.append(_pages(size))
        return self._buffers[-1]


def _pages(size: int) -> mmap.mmap:
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError, AttributeError):     # large pages are a favour
        buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer


def _unused(buffer: mmap.mmap) -> bool:
    """Does nothing refer to its content?  A map that somebody uses refuses to be resized."""
    try:
        buffer.resize(len(buffer))
    except BufferError:
        return False
    return True
