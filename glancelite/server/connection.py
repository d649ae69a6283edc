"""One client: its requests one after the other, and a clean parting."""

import logging
import math
import time
import urllib.parse

from glancelite.server import body as bodies
from glancelite.server import borrowed
from glancelite.server import response
from glancelite.server import wire

LOG = logging.getLogger('glancelite.server')

PIECE = 1 << 14         # bytes fetched at once while heads are looked for
LINGER = 30.0           # seconds that a client may go on sending what nobody reads
LINGER_SILENCE = 5.0    # seconds of silence that end this
LINGER_PIECE = 1 << 18
LINGER_TURNS = 64       # pieces thrown away before other connections get their turn


class Connection:
    """Does whatever can be done without waiting for a client's next request.

    :ivar deadline: monotonic time after which a parked connection is closed.
    """

    def __init__(self, service, line, peer):
        """
        :param service: a `worker.Service`.
        :param line: a `wire.Wire`.
        :param peer: the client's address as the socket gives it.
        """
        self.deadline = math.inf
        self._service = service
        self._wire = line
        self._peer = peer
        self._buffer = b''      # arrived, not yet used
        self._skip = 0          # bytes of the last body that nobody read
        self._since = None      # when the client began to keep us waiting
        self._linger_until = None

    @property
    def parting(self):
        """Nothing is answered any more, the client only has to notice."""
        return self._linger_until is not None

    def fileno(self):
        return self._wire.sock.fileno()

    def advance(self):
        """Answer what has arrived.

        :returns: True to be called again when more arrives; False, it is over.
        """
        try:
            if self._linger_until is None:
                going_on = self._converse()
                if going_on:
                    return True
            if self._linger_until is not None and self._linger():
                return True
        except OSError as exc:
            LOG.debug('connection of %s lost: %s', self._peer, exc)
        self.close()
        return False

    def close(self):
        self._wire.close()

    def _converse(self):
        if not self._wire.prepare():
            return self._wait()
        while True:
            head = self._head()
            if head is None:
                return self._wait()
            if not head:
                return False
            self._since = None
            if not self._answer(head):
                return False
            if not (self._buffer or self._wire.secure or self._skip):
                return self._wait()     # asking the socket again would be for nothing

    def _wait(self):
        timeout = self._service.timeout
        if self._since is None or not (self._buffer or self._skip):
            self._since = time.monotonic()
        self.deadline = self._since + timeout if timeout else math.inf
        return True

    def _head(self):
        """The next request's head; None if it is not complete, ``b''`` at the end.

        A head that breaks the limits is handed out as it is, to be refused.
        """
        buffer = self._buffer
        while True:
            if self._skip:
                skipped = min(self._skip, len(buffer))
                self._skip -= skipped
                buffer = buffer[skipped:]
            end = buffer.find(b'\r\n\r\n') + 4
            if end > 3 or b'\n\n' in buffer or len(buffer) > self._service.max_head:
                end = end if end > 3 else len(buffer)
                self._buffer = buffer[end:]
                return buffer[:end]
            data = self._wire.arrived(PIECE)
            if not data:
                self._buffer = buffer
                return data
            buffer += data

    def _answer(self, head):
        """True if another request may follow."""
        service = self._service
        try:
            if len(head) > service.max_head:
                raise borrowed.Refused('431 Request Header Fields Too Large',
                                       'the request head is too large')
            request = service.parser.parse(head)
            environ, body = self._environ(request)
        except borrowed.Refused as exc:
            LOG.info('refused a request of %s: %s', self._peer, exc)
            self._respond(bodies.Body(), close=True).refuse(exc.status)
            return self._part()
        answer = self._respond(body, head_only=request.method == 'HEAD',
                               old=request.version < (1, 1),
                               close=service.closing or request.should_close())
        try:
            answer.run(service.app, environ)
        except BaseException as exc:
            self._blame(exc, answer, request)
        if not answer.close and (body.finished or body.pending is not None):
            if body.finished:
                self._buffer += body.surplus
            else:
                self._skip = body.pending
            return True
        return self._part(clean=body.finished and not self._buffer)

    def _respond(self, body, *, head_only=False, old=False, close):
        return response.Response(self._wire, self._service.clock, body,
                                 head_only=head_only, old=old, close=close)

    def _blame(self, exc, answer, request):
        """Log a failure and answer it, if that is still possible."""
        status = '500 Internal Server Error'
        if isinstance(exc, wire.ClientGone):
            LOG.info('%s %s: the client went away: %s', request.method, request.uri, exc)
            raise exc
        if isinstance(exc, (bodies.BodyCutShort, bodies.BodyMalformed)):
            LOG.info('%s %s: %s', request.method, request.uri, exc)
            status = borrowed.BAD_REQUEST
        else:
            LOG.error('%s %s failed', request.method, request.uri, exc_info=exc)
        if answer.started:
            if not answer.framed:
                self._wire.reset()
            raise ConnectionAbortedError('the response was given up')
        answer.refuse(status)

    def _part(self, *, clean=False):
        """End the conversation; False.

        Closing while the client still sends would make the kernel throw away
        the response, so what comes is read and dropped for a while.
        """
        if not clean:
            self._wire.hang_up()
            self._buffer = b''
            self._linger_until = time.monotonic() + LINGER
        return False

    def _linger(self):
        for _ in range(LINGER_TURNS):
            data = self._wire.arrived(LINGER_PIECE)
            if not data:
                break
        else:
            data = None
        now = time.monotonic()
        self.deadline = min(self._linger_until, now + LINGER_SILENCE)
        return data is None and now < self._linger_until

    def _environ(self, request):
        environ = self._service.environ.copy()
        size, coding, host = None, None, None
        for name, value in request.headers:
            if name == 'CONTENT-LENGTH':
                environ['CONTENT_LENGTH'] = size = value
            elif name == 'CONTENT-TYPE':
                environ['CONTENT_TYPE'] = value
            else:
                if name == 'TRANSFER-ENCODING':
                    coding = value
                key = 'HTTP_' + name.replace('-', '_')
                environ[key] = f'{environ[key]},{value}' if key in environ else value
        environ['REQUEST_METHOD'] = request.method
        environ['RAW_URI'] = request.uri
        environ['QUERY_STRING'] = request.query
        path = request.path
        if '%' in path:
            path = urllib.parse.unquote_to_bytes(path).decode('latin-1')
        environ['PATH_INFO'] = path
        environ['SERVER_PROTOCOL'] = 'HTTP/%d.%d' % request.version
        environ['REMOTE_ADDR'] = self._peer[0]
        environ['REMOTE_PORT'] = str(self._peer[1])
        environ['wsgi.input'] = body = self._body(size, coding, environ, request)
        return environ, body

    def _body(self, size, coding, environ, request):
        """The parser has made sure that at most one framing is there, and valid."""
        if size is None and coding is None:
            return bodies.Body()
        awaited = 'HTTP_EXPECT' in environ and request.version >= (1, 1)
        if coding is None:
            size = int(size)
            early, self._buffer = self._buffer[:size], self._buffer[size:]
            return bodies.SizedBody(self._wire, size, early, awaited=awaited)
        if coding.strip().lower() != 'chunked':
            raise borrowed.Refused('501 Not Implemented', f'transfer coding {coding!r}')
        early, self._buffer = self._buffer, b''
        return bodies.ChunkedBody(self._wire, early, awaited=awaited)
