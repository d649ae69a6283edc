"""The data of an upload, in pieces that end where segments do."""

from __future__ import annotations

import collections
import itertools
import sys
from collections.abc import Iterable, Iterator

#: smaller chunks are merged
MIN_CHUNK = 1 << 16


class ChunkReader:
    """Reads chunks in pieces of limited total size.

    :param first: chunks in front of the others.
    :ivar size: bytes read so far.
    """

    def __init__(self, first: Iterable[bytes], rest: Iterator[bytes]):
        self._first: collections.deque[bytes | memoryview] = collections.deque(first)
        self._rest = rest
        self.size = 0

    def ended(self) -> bool:
        """Return whether there is no more data; reads one chunk ahead."""
        if not self._first:
            self._first.extend(itertools.islice(self._rest, 1))
        return not self._first

    def read(self, limit: int = sys.maxsize) -> Iterator[bytes | memoryview]:
        """Yield the next pieces, of ``limit`` bytes in total at most."""
        while limit and not self.ended():
            piece = self._first.popleft()
            if len(piece) > limit:
                piece = memoryview(piece)
                self._first.appendleft(piece[limit:])
                piece = piece[:limit]
            limit -= len(piece)
            self.size += len(piece)
            yield piece


def merge_small(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in larger chunks, to save system calls."""
    small: list[bytes] = []
    size = 0
    for chunk in chunks:
        if not small and len(chunk) >= MIN_CHUNK:
            yield chunk
            continue
        small.append(chunk)
        size += len(chunk)
        if size >= MIN_CHUNK:
            yield b''.join(small)
            small, size = [], 0
    if small:
        yield b''.join(small)
