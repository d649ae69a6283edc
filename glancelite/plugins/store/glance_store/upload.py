"""Chunks of an upload as the file object that a glance_store driver reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator


class SourceFailed(Exception):
    """The exception that a driver sees if the source of the data fails.

    A driver cannot mistake it for an exception of its backend, so it cleans up as for any
    unknown error.
    """


class ChunkReader:
    """A file object that is read from an iterator of ``bytes``, once and forwards.

    :ivar failure: the exception of the iterator, if any; all later reads fail as well.
    :ivar ended: whether the end was reached.
    """

    def __init__(self, chunks: Iterator[bytes]):
        self.failure: BaseException | None = None
        self.ended = False
        self._chunks = iter(chunks)
        self._chunk = b''
        self._position = 0

    def read(self, size: int | None = -1) -> bytes:
        """Return ``size`` bytes, or all remaining ones; fewer only at the end.

        :raises SourceFailed: the iterator has raised an exception.
        """
        if size is None or size < 0:
            size = sys.maxsize
        if self._position >= len(self._chunk) and size:
            self._next_chunk()
        part = self._take(size)
        missing = size - len(part)
        if not (missing and part):
            return part
        parts = [part]
        while missing and self._next_chunk():
            parts.append(self._take(missing))
            missing -= len(parts[-1])
        return b''.join(parts)

    def _take(self, size: int) -> bytes:
        part = self._chunk[self._position:self._position + size]    # a whole chunk is not copied
        self._position += len(part)
        return part

    def _next_chunk(self) -> bool:
        """Get the next chunk; return False at the end."""
        if self.failure is not None:
            raise SourceFailed
        if not self.ended:
            self._chunk, self._position = b'', 0
            try:
                self._chunk = next(self._chunks)
                return True
            except StopIteration:
                self.ended = True
            except BaseException as failure:
                self.failure = failure
                raise SourceFailed from failure
        return False

    def __iter__(self) -> ChunkReader:
        return self

    def __next__(self) -> bytes:
        if part := self.read(1 << 20):
            return part
        raise StopIteration

    def close(self) -> None:
        """Do nothing: the caller of the store closes the chunks."""
