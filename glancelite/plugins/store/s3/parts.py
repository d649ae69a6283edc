"""The bodies of upload requests, cut from a stream of chunks without copying them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from glancelite import contract

MIB = 1 << 20
#: limits of S3
MAX_PARTS = 10_000
MAX_PART_SIZE = 5 << 30
MAX_OBJECT_SIZE = 5 << 40
#: number of parts of one size before the size doubles, so that 5 TiB of unknown size fit
PARTS_PER_SIZE = 900
#: chunks below this size are copied together
SMALL = 64 << 10


class Part:
    """The body of one request as a file for boto3.

    ``read`` returns one chunk after the other, whatever size is requested: all its callers
    read until it returns nothing, and smaller pieces would only cost time.
    """

    def __init__(self) -> None:
        self._chunks: list[bytes | bytearray | memoryview] = []
        self._next = 0
        self._position = 0
        self.length = 0

    def add(self, chunk: bytes | memoryview) -> None:
        self.length += len(chunk)
        if len(chunk) < SMALL:
            last = self._chunks[-1] if self._chunks else None
            if isinstance(last, bytearray) and len(last) < SMALL:
                last += chunk
            else:
                self._chunks.append(bytearray(chunk))
        else:
            self._chunks.append(chunk)

    def __len__(self) -> int:
        return self.length

    def read(self, size: int = -1) -> bytes | bytearray | memoryview:
        if self._next == len(self._chunks):
            return b''
        chunk = self._chunks[self._next]
        self._next += 1
        self._position += len(chunk)
        return chunk

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        if (offset, whence) != (0, 0):
            raise ValueError('only the start is supported')
        self._next = self._position = 0
        return 0


class PartReader:
    """Cuts chunks into parts.

    :ivar ended: whether there is no data after the current part.
    """

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks = chunks
        self._rest: bytes | memoryview = b''
        self._part = Part()
        self.ended = False

    def fill(self, size: int) -> int:
        """Read a new part of ``size`` bytes, or of the remaining ones if there are fewer.

        :returns: the length of the part, which ``take`` returns.
        """
        part = self._part = Part()
        missing = size
        chunk = self._rest
        while True:
            while not chunk:
                try:
                    chunk = next(self._chunks)
                except StopIteration:
                    self.ended = True
                    return part.length
            if not missing:
                break
            if len(chunk) <= missing:
                part.add(chunk)
                missing -= len(chunk)
                chunk = b''
            else:
                view = memoryview(chunk)
                part.add(view[:missing])
                chunk, missing = view[missing:], 0
        self._rest = chunk
        return part.length

    def take(self) -> Part:
        """Return the part and drop the reference to it."""
        part, self._part = self._part, Part()
        return part

    def rest(self) -> Iterator[bytes | memoryview]:
        """Yield all remaining data in the chunks of the source."""
        if self._rest:
            yield self._rest
        if not self.ended:
            for chunk in self._chunks:
                if chunk:
                    yield chunk
        self.ended = True


class StreamedBody:
    """A body of announced length that is sent while the source produces it.

    The last chunk is held back until the source has ended: the source may still raise, and a
    complete object cannot be withdrawn.

    :param check: called before the last chunk is sent; may raise, too.
    :ivar failure: what the source or ``check`` raised; boto3 wraps it.
    """

    def __init__(self, first: Part, rest: Iterator[bytes | memoryview], size: int,
                 check: Callable[[], None]):
        self._first = first
        self._rest = rest
        self._held: bytes | bytearray | memoryview = b''
        self._remaining = size
        self._size = size
        self._check = check
        self.started = False
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes | bytearray | memoryview:
        """Return the next chunk, whatever size is requested: see ``Part``."""
        try:
            if not self.started:
                self.started = True
                self._held = self._next()
            chunk = self._held
            self._remaining -= len(chunk)
            self._held = self._next() if chunk else b''
            too_long = self._remaining < 0 or (self._held and not self._remaining)
            if too_long or (self._remaining and not self._held):
                raise contract.Invalid(f'The data is {"longer" if too_long else "shorter"} than '
                                       f'the {self._size} bytes announced.')
            if chunk and not self._held:
                self._check()
        except BaseException as failure:
            self.failure = failure
            raise
        return chunk

    def _next(self) -> bytes | bytearray | memoryview:
        return self._first.read() or next(self._rest, b'')


def part_sizes(smallest: int, size: int | None) -> Iterator[int]:
    """Yield the sizes of parts, as small as the limit of their number allows.

    :param smallest: bytes of the smallest part.
    :param size: bytes expected in total.
    """
    if size:
        needed = -(-min(size, MAX_OBJECT_SIZE) // MAX_PARTS)
        smallest = max(smallest, -(-needed // MIB) * MIB)
        for _ in range(-(-size // smallest)):
            yield smallest
    while True:
        for _ in range(PARTS_PER_SIZE):
            yield min(smallest, MAX_PART_SIZE)
        smallest *= 2
