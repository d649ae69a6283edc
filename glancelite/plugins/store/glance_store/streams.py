"""The two streams: our chunks as the file that a driver reads, and its data as our chunks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from glancelite import contract


class SourceFailed(Exception):
    """What the driver sees of a failure of the source.

    It is of no kind that a driver could take for one of its own backend, so that it cleans
    up whatever the failure was.
    """


class Source:
    """A file that is read from an iterator of ``bytes``, once and forwards.

    :ivar failure: what the iterator has raised; whatever is read afterwards fails as well.
    :ivar ended: whether the end has been seen.
    """

    def __init__(self, chunks: Iterator[bytes]):
        self.failure: BaseException | None = None
        self._chunks = iter(chunks)
        self._chunk = b''
        self._at = 0
        self.ended = False

    def read(self, size: int | None = -1) -> bytes:
        """``size`` bytes, or all that are left; fewer at the end only."""
        if size is None or size < 0:
            size = sys.maxsize
        if self._at >= len(self._chunk) and size:
            self._pull()
        part = self._take(size)
        missing = size - len(part)
        if not (missing and part):
            return part
        parts = [part]
        while missing and self._pull():
            parts.append(self._take(missing))
            missing -= len(parts[-1])
        return b''.join(parts)

    def _take(self, size: int) -> bytes:
        part = self._chunk[self._at:self._at + size]    # no copy, if it is the whole
        self._at += len(part)
        return part

    def _pull(self) -> bool:
        """Get the next chunk, when the present one has been taken."""
        if self.failure is not None:
            raise SourceFailed
        if not self.ended:
            self._chunk, self._at = b'', 0
            try:
                self._chunk = next(self._chunks)
                return True
            except StopIteration:
                self.ended = True
            except BaseException as failure:
                self.failure = failure
                raise SourceFailed from failure
        return False

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> bytes:
        if part := self.read(1 << 20):
            return part
        raise StopIteration

    def close(self) -> None:
        """The chunks belong to somebody else."""


class Chunks:
    """What a driver gives, as an iterator of non-empty ``bytes``.

    The first chunk is read at once, since drivers may open as late as that.

    :ivar promised: bytes that have to come; None if nobody knows.
    :param limit: bytes that are wanted of them; None for all.
    :param failed: makes an error of ours from a driver's.
    :param owner: the driver, which must live as long.
    """

    def __init__(self, data: Any, *, promised: int | None, limit: int | None,
                 failed: Callable[[Exception], contract.Error], owner: object = None):
        self.promised = promised
        self._owner = owner
        self._left = promised
        self._limit = sys.maxsize if limit is None else limit
        self._failed = failed
        self._held = contextlib.ExitStack()
        for each in (data, getattr(data, 'wrapped', None)):
            if hasattr(each, 'close'):
                self._held.callback(each.close)
        self._data = iter(data)
        try:
            self._first = self._pull()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        chunk = self._first or self._pull()
        self._first = b''
        if not chunk:
            self.close()
            raise StopIteration
        return chunk

    def _pull(self) -> bytes:
        if not self._limit:
            return b''
        chunk = b''
        while not chunk:
            try:
                chunk = next(self._data)
            except StopIteration:
                if self._left:      # drivers exist that end like this when they fail
                    raise contract.Unavailable('The data in the store is cut off.') from None
                return b''
            except Exception as error:
                raise self._failed(error) from error
        if type(chunk) is not bytes:
            chunk = bytes(chunk)
        if len(chunk) > self._limit:
            chunk = chunk[:self._limit]
        self._limit -= len(chunk)
        if self._left:
            self._left = max(0, self._left - len(chunk))
        return chunk

    def keep(self, held: contextlib.ExitStack) -> None:
        """Close that as well in the end."""
        self._held.push(held)

    def __enter__(self) -> Chunks:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._limit, self._left = 0, None
        try:
            self._held.close()
        except Exception as error:
            self._failed(error)     # which tells the log; the reader has what it wanted
