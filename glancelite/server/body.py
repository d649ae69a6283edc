"""``wsgi.input``: the body of a request, taken from the socket in large pieces."""

import re
import sys

CONTINUE = b'HTTP/1.1 100 Continue\r\n\r\n'
PIECE = 1 << 20         # bytes per step when everything is asked for
LOOK_AHEAD = 1 << 16    # bytes fetched at once to look for a line's end
RAW = 1 << 20           # bytes of chunked encoding in one buffer
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
        self.pending -= len(data)
        self.finished = not self.pending
        return data


class ChunkedBody(_Arriving):
    """A body in chunks; it ends with the chunk of size 0.

    What arrives goes into buffers that are used again once their content has
    been handed out: the pages of new ones would cost more than the decoding.
    """

    pending = None

    def __init__(self, connection, early, *, awaited=False):
        super().__init__(connection, awaited=awaited and not early)
        self._raw = bytearray(early)    # of the encoding, decoded up to
        self._at = 0
        self._end = len(early)
        self._left = 0          # of the current chunk
        self._first = True
        self._between = None    # what stood before the last chunk: nearly always the same
        self._usual = 0         # the size it announces
        self._full = []         # buffers whose content may still be in use
        self._spare = []

    def _take(self, size):
        self._reuse()
        return super()._take(size)

    def _reuse(self):
        self._spare += self._full
        self._full.clear()

    def _some(self, size, whole=False):
        """What it returns is good until the next call, or with ``whole`` until `_take` ends."""
        if self._failure is not None:
            raise self._failure
        if not whole:
            self._reuse()
        if self.finished or (not self._left and not self._begin_chunk()):
            return b''
        if self._at == self._end:
            if self._left >= LOOK_AHEAD <= size:    # a large chunk needs no decoding
                data = self._fetch(self._connection.receive_all, min(size, self._left))
                self._left -= len(data)
                return data
            self._more()
        at = self._at
        self._at = min(self._end, at + min(size, self._left))
        self._left -= self._at - at
        return memoryview(self._raw)[at:self._at]

    def _more(self):
        """Fetch more of the encoding; what is not decoded yet stays before it."""
        if len(self._raw) - self._end < LOOK_AHEAD:
            rest = self._raw[self._at:self._end]
            if len(self._raw) == RAW:
                self._full.append(self._raw)
            self._raw = self._spare.pop() if self._spare else bytearray(RAW)
            self._raw[:len(rest)] = rest
            self._at, self._end = 0, len(rest)
        self._end += self._fetch(self._connection.receive_into,
                                 memoryview(self._raw)[self._end:])

    def _begin_chunk(self):
        """False when the body is over."""
        if (self._between is not None
                and self._raw.startswith(self._between, self._at, self._end)):
            self._at += len(self._between)
            self._left = self._usual
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
            self._between, self._usual = b'\r\n%b\r\n' % line, self._left
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
