"""``wsgi.input``: the body of a request, taken from the socket in large pieces."""

import re
import sys

CONTINUE = b'HTTP/1.1 100 Continue\r\n\r\n'
PIECE = 1 << 20         # bytes per step when everything is asked for
LOOK_AHEAD = 1 << 16    # bytes fetched at once to look for a line's end
RAW = 1 << 18           # bytes of chunked encoding fetched at once
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

    def _some(self, size, whole=False):
        """One to ``size`` bytes, whatever comes first; ``b''`` at the end.

        :param whole: rather wait for all of them, if that costs less.
        """
        return b''

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

    def _fetch(self, receive, size):
        if self._failure is not None:
            raise self._failure
        try:
            if self.awaited:
                self.awaited = False
                self._connection.send(CONTINUE)
            data = receive(size)
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
        self.pending -= len(data)
        self.finished = not self.pending
        return data


class ChunkedBody(_Arriving):
    """A body in chunks; it ends with the chunk of size 0."""

    pending = None

    def __init__(self, connection, early, *, awaited=False):
        super().__init__(connection, awaited=awaited and not early)
        self._raw = memoryview(early)   # fetched, not yet decoded
        self._left = 0                  # of the current chunk
        self._first = True

    def _some(self, size, whole=False):
        if self._failure is not None:
            raise self._failure
        if self.finished or (not self._left and not self._begin_chunk()):
            return b''
        if not self._raw:
            if self._left >= LOOK_AHEAD <= size:    # a large chunk needs no decoding
                data = self._fetch(self._connection.receive_all, min(size, self._left))
                self._left -= len(data)
                return data
            self._raw = memoryview(self._fetch(self._connection.receive, RAW))
        data = self._raw[:min(size, self._left)]
        self._raw = self._raw[len(data):]
        self._left -= len(data)
        return data

    def _begin_chunk(self):
        """False when the body is over."""
        if not self._first and self._line(MAX_SIZE_LINE):
            raise self._fail(BodyMalformed('a chunk does not end where its size says'))
        self._first = False
        size = _SIZE_LINE.fullmatch(self._line(MAX_SIZE_LINE))
        if size is None:
            raise self._fail(BodyMalformed('a chunk has no proper size'))
        self._left = int(size[1], 16)
        if not self._left:
            self._skip_trailers()
            self.surplus, self._raw = bytes(self._raw), memoryview(b'')
            self.finished, self.pending = True, 0
        return not self.finished

    def _skip_trailers(self):
        room = MAX_TRAILERS
        while line := self._line(room):
            room -= len(line)
            if not _TRAILER.fullmatch(line):
                raise self._fail(BodyMalformed('the trailer of the body is malformed'))

    def _line(self, limit):
        """The next line of the encoding, without its end."""
        raw = bytes(self._raw[:64])     # nearly always enough, and cheap
        end = raw.find(b'\r\n')
        if end < 0:
            raw = bytes(self._raw)
            while (end := raw.find(b'\r\n')) < 0 and len(raw) <= limit:
                raw += self._fetch(self._connection.receive, RAW)
            if not 0 <= end <= limit:
                raise self._fail(BodyMalformed('a line of the chunked encoding is too long'))
            self._raw = memoryview(raw)
        self._raw = self._raw[end + 2:]
        return raw[:end]
