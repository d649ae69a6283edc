"""``wsgi.input``: the body of a request, taken from the socket in large pieces."""

import re
import sys

CONTINUE = b'HTTP/1.1 100 Continue\r\n\r\n'
PIECE = 1 << 20         # bytes per step when everything is asked for
LOOK_AHEAD = 1 << 16    # bytes fetched at once to look for a line's end
RAW = 1 << 17           # bytes of chunked encoding that are kept for decoding
STRAIGHT = 1 << 14      # bytes of a chunk that are worth being received where they belong
FORESEEN = 256          # chunks received at once on the guess that they are alike
DROPPED = 1 << 16       # bytes that nobody reads which a connection is worth
MAX_SIZE_LINE = 1 << 12
MAX_TRAILERS = 1 << 15

# Strict on purpose: what two servers read differently can smuggle a request.
_SIZE_LINE = re.compile(rb'([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?')
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class BodyCutShort(ConnectionError):
    """The client stopped sending before the body was complete."""


class BodyMalformed(OSError):
    """The chunked encoding of the body is broken."""


class Body:
    """An empty body, and what the other two have in common.

    Methods follow PEP 3333. ``read(n)`` returns ``n`` bytes unless the body
    ends before; a body that does not arrive whole raises `BodyCutShort`, it
    never just ends.
    """

    surplus = b''       # once finished: what was fetched beyond the end
    finished = True     # the connection stands where the next request begins
    pending = 0         # bytes still to come; None if nobody knows
    awaited = False     # the client waits for a word before it sends them

    def __init__(self, ahead=b''):
        self._ahead = ahead     # decoded bytes that were fetched, not yet handed out

    @property
    def worth_dropping(self):
        """Whether what nobody has read may be skipped, so that the connection lives on."""
        return self.finished or (self.pending is not None and self.pending <= DROPPED
                                 and not self.awaited)

    def read(self, size=-1):
        """:raises BodyCutShort, BodyMalformed: and every later call does so again."""
        if size is None or size < 0:
            return b''.join(iter(lambda: self.read(PIECE), b''))
        ahead = self._ahead
        if not ahead:
            return self._take(size)
        if len(ahead) >= size:
            self._ahead = ahead[size:]
            return ahead[:size]
        self._ahead = b''
        return ahead + self._take(size - len(ahead))

    def readline(self, size=-1):
        limit = sys.maxsize if size is None or size < 0 else size
        ahead = self._ahead
        while (not (end := ahead.find(b'\n') + 1) and len(ahead) < limit
               and (more := self._some(LOOK_AHEAD))):
            self._ahead = ahead = ahead + more
        end = min(end or len(ahead), limit)
        self._ahead = ahead[end:]
        return ahead[:end]

    def readlines(self, hint=-1):
        lines, size = [], 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self):
        return iter(self.readline, b'')

    def readinto(self, room):
        """Fill ``room``, as `read` does with fewer copies; returns how many bytes came.

        Servers with this method spare whoever takes much data the memory of
        ``bytes``; PEP 3333 has no word for it.
        """
        view, ahead = memoryview(room), self._ahead
        filled = min(len(ahead), len(view))
        view[:filled], self._ahead = ahead[:filled], ahead[filled:]
        while filled < len(view) and (some := self._into(view[filled:])):
            filled += some
        return filled

    def _some(self, size, whole=False):
        """One to ``size`` bytes, whatever comes first; ``b''`` at the end.

        :param whole: rather wait for all of them, if that costs less.
        """
        return b''

    def _into(self, room):
        """As `_some` with ``whole``, into a buffer; how many bytes."""
        return 0

    def _take(self, size):
        """``size`` bytes, fewer only at the end."""
        parts = []
        while size and (part := self._some(size, whole=True)):
            parts.append(part)
            size -= len(part)
        return b''.join(parts)      # a single part is not copied


class _Arriving(Body):
    """A body that is still on its way."""

    finished = False

    def __init__(self, connection, ahead=b'', *, awaited=False):
        """:param awaited: the client sends nothing before it is told to go on."""
        super().__init__(ahead)
        self.awaited = awaited
        self._connection = connection
        self._failure = None

    def _fetch(self, receive, where):
        """:param where: what ``receive`` takes; it returns nothing, or 0, at the end."""
        if self._failure is not None:
            raise self._failure
        try:
            if self.awaited:
                self.awaited = False
                self._connection.send(CONTINUE)
            data = receive(where)
        except OSError as exc:
            raise self._fail(BodyCutShort(f'the request body was cut short: {exc}')) from exc
        if not data:
            raise self._fail(BodyCutShort('the request body was cut short: '
                                          'the client closed the connection'))
        return data

    def _fail(self, failure):
        self._failure = failure
        self.pending = None
        return failure


class SizedBody(_Arriving):
    """A body whose length was announced."""

    def __init__(self, connection, size, early, *, awaited=False):
        """:param early: the part of it that came along with the head."""
        super().__init__(connection, early, awaited=awaited and not early)
        self.pending = size - len(early)
        self.finished = not self.pending

    def _some(self, size, whole=False):
        if self.finished:
            return b''
        receive = self._connection.receive_all if whole else self._connection.receive
        data = self._fetch(receive, min(size, self.pending or 1))
        self._came(len(data))
        return data

    def _into(self, room):
        if self.finished:
            return 0
        return self._came(self._fetch(self._connection.fill, room[:self.pending]))

    def _came(self, size):
        self.pending -= size
        self.finished = not self.pending
        return size


class ChunkedBody(_Arriving):
    """A body in chunks; it ends with the chunk of size 0.

    Clients send chunks of one size.  Where that is so they are received straight
    into the buffer in which they are wanted, with the lines between them put aside.
    """

    pending = None

    def __init__(self, connection, early, *, awaited=False):
        super().__init__(connection, awaited=awaited and not early)
        self._raw = bytearray(RAW)      # of the encoding, decoded up to
        self._at = self._end = 0
        self._left = 0          # of the current chunk
        self._first = True
        self._between = None    # what stood before the last chunk: nearly always the same
        self._usual = 0         # the size it announces
        self._alike = 0         # chunks that are believed to be like the last one
        self._lines = self._gaps = b''      # where what stands between them goes
        self._put_back(early)

    def _some(self, size, whole=False):
        if not self._in_chunk():
            return b''
        if self._at == self._end:
            self._more()
        return bytes(self._fetched(size))

    def _into(self, room):
        if not self._in_chunk():
            return 0
        if self._at == self._end:
            if max(self._left, self._alike and self._usual) >= STRAIGHT:
                return self._straight(room)
            self._more()
        data = self._fetched(len(room))
        room[:len(data)] = data
        return len(data)

    def _in_chunk(self):
        """False when the body is over."""
        if self._failure is not None:
            raise self._failure
        return not self.finished and bool(self._left or self._begin_chunk())

    def _fetched(self, size):
        """What is there of the chunk; good until more is fetched."""
        at = self._at
        self._at = min(self._end, at + min(size, self._left))
        self._left -= self._at - at
        return memoryview(self._raw)[at:self._at]

    def _straight(self, room):
        """Receive data of this chunk, and of the next ones as far as they are alike."""
        if self._left > len(room) or not (self._alike and self._connection.can_scatter):
            came = self._fetch(self._connection.fill, room[:self._left])
            self._left -= came
            return came
        return self._several(room)

    def _several(self, room):
        """Receive as if all were as before: data into ``room`` and lines aside, in turns."""
        line, usual, first = self._between, self._usual, self._left
        at = first
        count = min(self._alike, 1 + (len(room) - at) // usual)
        if len(self._gaps) < count:
            self._lines = bytearray(len(line) * self._alike)
            self._gaps = [memoryview(self._lines)[start:start + len(line)]
                          for start in range(0, len(self._lines), len(line))]
        parts = [room[:at], self._gaps[0]]
        for gap in self._gaps[1:count]:
            parts += room[at:at + usual], gap
            at += usual
        if count < self._alike and at < len(room):
            parts.append(room[at:])
        came = self._fetch(self._connection.scatter, parts)
        self._alike = min(2 * self._alike, FORESEEN)
        if came <= first:
            self._left -= came
            return came
        more, rest = divmod(came - first - len(line), usual + len(line))
        begun = max(0, rest - usual)    # bytes of the next line
        if self._lines.startswith(line * (1 + more) + line[:begun]):
            self._left = usual - rest + begun
            self._put_back(line[:begun])
            return first + more * usual + rest - begun
        return self._sorted(parts, came)

    def _sorted(self, parts, came):
        """Find the data in ``parts``; what is not as foreseen is left for decoding."""
        found = 0
        for number, part in enumerate(parts):
            part = part[:came]
            came -= len(part)
            if number % 2 == 0:
                found += len(part)
                self._left -= len(part)
            elif part == self._between:
                self._left = self._usual
            else:
                self._put_back(part, *_first(parts[number + 1:], came))
                return found
            if not came:
                break
        return found

    def _put_back(self, *parts):
        """What has come, but nobody has decoded yet; nothing else is waiting for that."""
        raw = b''.join(parts)
        self._raw[:len(raw)] = raw
        self._at, self._end = 0, len(raw)

    def _more(self):
        """Fetch more of the encoding; what is not decoded yet stays before it."""
        if len(self._raw) - self._end < LOOK_AHEAD:
            rest = self._raw[self._at:self._end]
            self._raw[:len(rest)] = rest
            self._at, self._end = 0, len(rest)
        self._end += self._fetch(self._connection.receive_into,
                                 memoryview(self._raw)[self._end:])

    def _begin_chunk(self):
        """False when the body is over."""
        if (self._between is not None
                and self._raw.startswith(self._between, self._at, self._end)):
            self._at += len(self._between)
            self._left, self._alike = self._usual, self._alike or 1
            return True
        if not self._first and self._line(MAX_SIZE_LINE):
            raise self._fail(BodyMalformed('a chunk does not end where its size says'))
        self._first = False
        line = self._line(MAX_SIZE_LINE)
        size = _SIZE_LINE.fullmatch(line)
        if size is None:
            raise self._fail(BodyMalformed('a chunk has no proper size'))
        self._left = int(size[1], 16)
        if self._left:
            between = b'\r\n%b\r\n' % line
            self._alike = (self._alike or 1) if between == self._between else 0
            if not self._alike:
                self._gaps = b''
            self._between, self._usual = between, self._left
            return True
        self._skip_trailers()
        self.surplus = bytes(self._raw[self._at:self._end])
        self.finished, self.pending = True, 0
        return False

    def _skip_trailers(self):
        room = MAX_TRAILERS
        while line := self._line(room):
            room -= len(line)
            if not _TRAILER.fullmatch(line):
                raise self._fail(BodyMalformed('the trailer of the body is malformed'))

    def _line(self, limit):
        """The next line of the encoding, without its end."""
        while True:
            at, limited = self._at, self._at + limit + 2
            end = self._raw.find(b'\r\n', at, min(limited, self._end))
            if end >= 0:
                self._at = end + 2
                return bytes(self._raw[at:end])
            if self._end >= limited:
                raise self._fail(BodyMalformed('a line of the chunked encoding is too long'))
            self._more()


def _first(parts, size):
    """The first ``size`` bytes of all parts together."""
    for part in parts:
        if not size:
            break
        part = part[:size]
        size -= len(part)
        yield part
