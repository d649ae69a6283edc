"""``wsgi.input``: the body of a request, received in large pieces.

A GiB costs 0.4 s of CPU time before it is hashed, whether in chunks of 64 KiB or
with a length; with gunicorn's own readers 1.4 s and 1.1 s.  Without the receiving
of several chunks at once (`ChunkedBody._receive_chunks`) chunks cost 0.7 s.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

CONTINUE = b'HTTP/1.1 100 Continue\r\n\r\n'
PIECE = 1 << 20         # bytes per step when the whole body is read at once
LINE_PIECE = 1 << 16    # bytes received at once to find the end of a line
RAW = 1 << 17           # size of the buffer for encoded bytes
DIRECT_MIN = 1 << 14    # from this size on, a chunk is received into the caller's buffer
MAX_EXPECTED = 256      # chunks received at once, if they are expected to be of one size
SKIP_MAX = 1 << 16      # bytes that are collected before the application runs, or skipped
TRIES = 8               # to decode what may be a whole body in chunks
MAX_SIZE_LINE = 1 << 12
MAX_TRAILERS = 1 << 15

# Strict, because a request that two servers parse differently can smuggle another one.
_SIZE_LINE = re.compile(rb'([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?')
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class BodyCutShort(ConnectionError):
    """The client stopped sending before the body was complete."""


class BodyMalformed(OSError):
    """The chunked encoding of the body is invalid."""


class Source(Protocol):
    """What a body requires of the connection; see `glancelite.server.connection`."""

    @property
    def can_scatter(self) -> bool: ...
    def send(self, *parts: bytes) -> None: ...
    def receive(self, size: int) -> bytes: ...
    def receive_all(self, size: int) -> bytes: ...
    def receive_into(self, buffer: memoryview) -> int: ...
    def fill(self, buffer: memoryview) -> int: ...
    def scatter(self, buffers: Sequence[memoryview]) -> int: ...


class Body:
    """An empty body, and the base of the others.

    Methods follow PEP 3333. ``read(n)`` returns ``n`` bytes unless the body
    ends before. A body that does not arrive completely raises `BodyCutShort`;
    it never just ends.
    """

    surplus = b''       # when finished: bytes received beyond the end
    finished = True     # the next request follows on the connection
    pending: int | None = 0     # bytes not received yet; None if unknown
    expects_continue = False    # the client waits for "100 Continue" before it sends them

    def __init__(self, ahead: bytes = b''):
        self._ahead = ahead     # decoded bytes, not returned yet

    @property
    def may_be_small(self) -> bool:
        """Whether the body is small, as far as is known."""
        return self.finished

    @property
    def can_skip(self) -> bool:
        """Whether unread bytes may be skipped to keep the connection."""
        return self.finished or (self.pending is not None and self.pending <= SKIP_MAX
                                 and not self.expects_continue)

    def read(self, size: int | None = -1) -> bytes:
        """:raises BodyCutShort, BodyMalformed: so does every later call."""
        if size is None or size < 0:
            return b''.join(iter(lambda: self.read(PIECE), b''))
        ahead = self._ahead
        if not ahead:
            return self._read(size)
        if len(ahead) >= size:
            self._ahead = ahead[size:]
            return ahead[:size]
        self._ahead = b''
        return ahead + self._read(size - len(ahead))

    def readline(self, size: int | None = -1) -> bytes:
        limit = sys.maxsize if size is None or size < 0 else size
        ahead = self._ahead
        while (not (end := ahead.find(b'\n') + 1) and len(ahead) < limit
               and (more := self._read_some(LINE_PIECE))):
            self._ahead = ahead = ahead + more
        end = min(end or len(ahead), limit)
        self._ahead = ahead[end:]
        return ahead[:end]

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        lines, size = [], 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b'')

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``, as `read` but with fewer copies; returns the number of bytes.

        Not part of PEP 3333.
        """
        view, ahead = memoryview(buffer), self._ahead
        filled = min(len(ahead), len(view))
        view[:filled], self._ahead = ahead[:filled], ahead[filled:]
        while filled < len(view) and (count := self._read_into(view[filled:])):
            filled += count
        return filled

    def watch(self, look: Callable[[], object]) -> None:
        """Call ``look`` whenever data arrives, and about once a second while none does.

        What it raises passes through the method that reads, and ends the body: later
        methods raise `BodyCutShort`.  Not part of PEP 3333.
        """

    def _read_some(self, size: int, whole: bool = False) -> bytes:
        """One to ``size`` bytes; ``b''`` at the end.

        :param whole: wait for all of them if that costs less.
        """
        return b''

    def _read_into(self, buffer: memoryview) -> int:
        """As `_read_some` with ``whole``, into a buffer; returns the number of bytes."""
        return 0

    def _read(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end."""
        parts = []
        while size and (part := self._read_some(size, whole=True)):
            parts.append(part)
            size -= len(part)
        return b''.join(parts)      # a single part is not copied


class _Arriving(Body):
    """The base of bodies that are received from a connection."""

    finished = False

    def __init__(self, connection: Source, ahead: bytes = b'', *,
                 expects_continue: bool = False):
        super().__init__(ahead)
        self.expects_continue = expects_continue
        self._connection = connection
        self._failure: OSError | None = None
        self._look: Callable[[], object] | None = None

    def watch(self, look: Callable[[], object]) -> None:
        self._look = look

    def look(self) -> None:
        """Called by the connection, too, while it waits for the client."""
        if self._look is not None:
            try:
                self._look()
            except Exception:
                # the error itself would keep the caller's buffers
                self._fail(BodyCutShort('the request was ended before its body was complete'))
                raise

    def _receive(self, receive: Callable[[Any], Any], argument: Any) -> Any:
        """Call ``receive(argument)``, which returns ``b''`` or 0 at the end of the stream."""
        if self._failure is not None:
            raise self._failure
        try:
            if self.expects_continue:
                self.expects_continue = False
                self._connection.send(CONTINUE)
            data = receive(argument)
        except OSError as exc:
            raise self._fail(BodyCutShort(f'the request body was cut short: {exc}')) from exc
        if not data:
            raise self._fail(BodyCutShort('the request body was cut short: '
                                          'the client closed the connection'))
        if self._look is not None:
            self.look()
        return data

    def _fail(self, failure: OSError) -> OSError:
        self._failure = failure
        self.pending = None
        return failure


class SizedBody(_Arriving):
    """A body with a Content-Length."""

    pending: int

    def __init__(self, connection: Source, size: int, early: bytes, *,
                 expects_continue: bool = False):
        """:param early: the part of it that arrived together with the head."""
        super().__init__(connection, early, expects_continue=expects_continue and not early)
        self.pending = size - len(early)
        self.finished = not self.pending

    @property
    def may_be_small(self) -> bool:
        return self.pending <= SKIP_MAX

    def add(self, data: bytes) -> None:
        """Let ``data``, received from the connection, be read later."""
        self._ahead += data
        self._received(len(data))

    def _read_some(self, size: int, whole: bool = False) -> bytes:
        if self.finished:
            return b''
        receive = self._connection.receive_all if whole else self._connection.receive
        data: bytes = self._receive(receive, min(size, self.pending or 1))
        self._received(len(data))
        return data

    def _read_into(self, buffer: memoryview) -> int:
        if self.finished:
            return 0
        return self._received(self._receive(self._connection.fill, buffer[:self.pending]))

    def _received(self, size: int) -> int:
        self.pending -= size
        self.finished = not self.pending
        return size


class ChunkedBody(_Arriving):
    """A body in chunked encoding; it ends with a chunk of size 0.

    Most clients send chunks of one size.  As long as they do, several chunks
    at once are received into the caller's buffer, and the separators between
    them into a buffer aside.
    """

    pending = None

    def __init__(self, connection: Source, early: bytes, *, expects_continue: bool = False):
        super().__init__(connection, expects_continue=expects_continue and not early)
        self._raw = bytearray()         # encoded bytes; small until the application reads
        self._start = self._end = 0     # of those not decoded yet
        self._remaining = 0     # bytes of the current chunk
        self._first = True
        self._separator: bytes | None = None    # line before the last chunk, with both line ends
        self._chunk_size = 0    # the size in it
        self._expected = 0      # number of chunks expected to be like the last one
        self._separators = bytearray()          # receives separators ...
        self._gaps: list[memoryview] = []       # ... in these slices
        self._searched = 0      # encoded bytes in which no end was found
        self._tries = TRIES
        self._unread(early)

    @property
    def may_be_small(self) -> bool:
        return self._tries > 0 and self._end <= SKIP_MAX

    def add(self, data: bytes) -> None:
        """Let ``data``, received from the connection, be read later.

        If all has arrived then, the body is finished.  The application has read nothing yet.
        """
        self._raw[self._end:] = data
        self._end += len(data)
        has_end = self._raw.find(b'\r\n\r\n', self._searched) >= 0
        self._searched = max(0, self._end - 3)
        first = self._raw.find(b'\r\n')     # where the line of the first size ends
        if has_end or (first >= 0 and not _SIZE_LINE.fullmatch(self._raw, 0, first)):
            self._decode()

    def _decode(self) -> None:
        """Decode the whole body, if it has arrived."""
        self._tries -= 1
        whole = ChunkedBody(_Nothing(), bytes(self._raw))
        try:
            self._ahead = whole.read()
        except BodyCutShort:
            return
        except BodyMalformed:
            self._tries = 0     # the application is told when it reads
            return
        self.surplus = whole.surplus
        self.finished, self.pending = True, 0

    def _read_some(self, size: int, whole: bool = False) -> bytes:
        if not self._in_chunk():
            return b''
        if self._start == self._end:
            self._receive_raw()
        return bytes(self._take_raw(size))

    def _read_into(self, buffer: memoryview) -> int:
        if not self._in_chunk():
            return 0
        if self._start == self._end:
            if max(self._remaining, self._expected and self._chunk_size) >= DIRECT_MIN:
                return self._receive_direct(buffer)
            self._receive_raw()
        data = self._take_raw(len(buffer))
        buffer[:len(data)] = data
        return len(data)

    def _in_chunk(self) -> bool:
        """Go on to the next chunk if necessary; False at the end of the body."""
        if self._failure is not None:
            raise self._failure
        return not self.finished and bool(self._remaining or self._begin_chunk())

    def _take_raw(self, size: int) -> memoryview:
        """Up to ``size`` bytes of the current chunk from ``_raw``; valid until it changes."""
        start = self._start
        self._start = min(self._end, start + min(size, self._remaining))
        self._remaining -= self._start - start
        return memoryview(self._raw)[start:self._start]

    def _receive_direct(self, buffer: memoryview) -> int:
        """Receive data of this chunk into ``buffer``, and of the next ones if expected alike."""
        if self._remaining > len(buffer) or not (self._expected and self._connection.can_scatter):
            count: int = self._receive(self._connection.fill, buffer[:self._remaining])
            self._remaining -= count
            return count
        return self._receive_chunks(buffer)

    def _receive_chunks(self, buffer: memoryview) -> int:
        """Receive as if all chunks were like the last one: data and separators in turns."""
        separator, size, first = self._separator, self._chunk_size, self._remaining
        assert separator is not None
        position = first
        count = min(self._expected, 1 + (len(buffer) - position) // size)
        if len(self._gaps) < count:
            self._separators = bytearray(len(separator) * self._expected)
            self._gaps = [memoryview(self._separators)[start:start + len(separator)]
                          for start in range(0, len(self._separators), len(separator))]
        parts = [buffer[:position], self._gaps[0]]
        for gap in self._gaps[1:count]:
            parts += buffer[position:position + size], gap
            position += size
        if count < self._expected and position < len(buffer):
            parts.append(buffer[position:])
        received: int = self._receive(self._connection.scatter, parts)
        self._expected = min(2 * self._expected, MAX_EXPECTED)
        if received <= first:
            self._remaining -= received
            return received
        chunks, rest = divmod(received - first - len(separator), size + len(separator))
        begun = max(0, rest - size)     # bytes of the next separator
        if self._separators.startswith(separator * (1 + chunks) + separator[:begun]):
            self._remaining = size - rest + begun
            self._unread(separator[:begun])
            return first + chunks * size + rest - begun
        return self._collect(parts, received)

    def _collect(self, parts: Sequence[Any], received: int) -> int:
        """Find the data in ``parts`` up to the first unexpected separator; unread the rest."""
        size = 0
        for number, part in enumerate(parts):
            part = part[:received]
            received -= len(part)
            if number % 2 == 0:
                size += len(part)
                self._remaining -= len(part)
            elif part == self._separator:
                self._remaining = self._chunk_size
            else:
                self._unread(part, *_first(parts[number + 1:], received))
                return size
            if not received:
                break
        return size

    def _unread(self, *parts: bytes | memoryview) -> None:
        """Let ``parts`` be decoded next; ``_raw`` must be empty."""
        raw = b''.join(parts)
        self._raw[:len(raw)] = raw
        self._start, self._end = 0, len(raw)

    def _receive_raw(self) -> None:
        """Receive more encoded bytes, behind those not decoded yet."""
        if len(self._raw) < RAW:
            self._raw += bytes(RAW - len(self._raw))
        if len(self._raw) - self._end < LINE_PIECE:
            rest = self._raw[self._start:self._end]
            self._raw[:len(rest)] = rest
            self._start, self._end = 0, len(rest)
        self._end += self._receive(self._connection.receive_into,
                                   memoryview(self._raw)[self._end:])

    def _begin_chunk(self) -> bool:
        """Decode the line before a chunk; False at the end of the body."""
        if (self._separator is not None
                and self._raw.startswith(self._separator, self._start, self._end)):
            self._start += len(self._separator)
            self._remaining, self._expected = self._chunk_size, self._expected or 1
            return True
        if not self._first and self._line(MAX_SIZE_LINE):
            raise self._fail(BodyMalformed('a chunk is longer than its size'))
        self._first = False
        line = self._line(MAX_SIZE_LINE)
        size = _SIZE_LINE.fullmatch(line)
        if size is None:
            raise self._fail(BodyMalformed('the size of a chunk is invalid'))
        self._remaining = int(size[1], 16)
        if self._remaining:
            separator = b'\r\n%b\r\n' % line
            self._expected = (self._expected or 1) if separator == self._separator else 0
            if not self._expected:
                self._gaps = []
            self._separator, self._chunk_size = separator, self._remaining
            return True
        self._skip_trailers()
        self.surplus = bytes(self._raw[self._start:self._end])
        self.finished, self.pending = True, 0
        return False

    def _skip_trailers(self) -> None:
        limit = MAX_TRAILERS
        while line := self._line(limit):
            limit -= len(line)
            if not _TRAILER.fullmatch(line):
                raise self._fail(BodyMalformed('the trailer of the body is malformed'))

    def _line(self, limit: int) -> bytes:
        """The next line of the encoding, without its end."""
        while True:
            start, limited = self._start, self._start + limit + 2
            end = self._raw.find(b'\r\n', start, min(limited, self._end))
            if end >= 0:
                self._start = end + 2
                return bytes(self._raw[start:end])
            if self._end >= limited:
                raise self._fail(BodyMalformed('a line of the chunked encoding is too long'))
            self._receive_raw()


class _Nothing:
    """A connection on which nothing more arrives."""

    can_scatter = False

    def send(self, *parts: bytes) -> None:
        pass

    def receive(self, size: int) -> bytes:
        return b''

    receive_all = receive

    def receive_into(self, buffer: memoryview) -> int:
        return 0

    fill = receive_into

    def scatter(self, buffers: Sequence[memoryview]) -> int:
        return 0


def _first(parts: Iterable[Any], size: int) -> Iterator[memoryview]:
    """The first ``size`` bytes of all parts together."""
    for part in parts:
        if not size:
            break
        part = part[:size]
        size -= len(part)
        yield part
