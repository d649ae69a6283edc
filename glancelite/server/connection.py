"""One client connection: collects request heads and small bodies, and closes in order.

gunicorn's parser reads the heads, once they are complete: collecting them
without blocking keeps slow and idle clients from holding threads.  What a slow
client has not read of an answer is kept, for the main thread to send.  A small GET
costs the server 0.16 ms of CPU time, with gunicorn's gthread worker 0.53 ms.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import math
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

from gunicorn import util
from gunicorn.http import body as gunicorn_body
from gunicorn.http import errors, message
from gunicorn.workers import gthread

from glancelite.server import body

HEAD_PIECE = 1 << 14    # bytes received at once while collecting a head
TLS_RECORD = 1 << 14    # TLS returns no more at once; asking for more only costs memory
SMALL = 1 << 16         # up to this size, copying parts together is cheaper than sending each
KNOWN_HEADERS = 1 << 12         # bytes of headers up to which a connection remembers the last ones
MAX_BLANK = 64          # empty lines that are skipped before a request line
BODY_WAIT = 1.0         # seconds that a body waits at once; then the request may be ended
NOTHING = memoryview(b'')
CORK = getattr(socket, 'TCP_CORK', None)        # Linux


class ClientGone(ConnectionResetError):
    """The client has disconnected, or receives nothing; gunicorn does not log it."""

    def __init__(self, cause: object):
        super().__init__(errno.ECONNRESET, f'sending failed: {cause}')


class After(enum.Enum):
    """What becomes of a connection when a thread leaves it."""

    WAIT = 'for the next bytes of the client'
    AGAIN = 'the next request has arrived; another connection may come first'
    QUEUE = 'until another transfer ends'
    LINGER = 'until the client has stopped sending'
    CLOSE = 'at once'


class Request(message.Request):
    """gunicorn's request, with a body that is copied less often.

    :raises errors.ParseException: the head is invalid.
    """

    body: Any

    def __init__(self, cfg: Any, connection: Connection, head: bytes):
        self._connection = connection
        # Without a peer address gunicorn does not check for trusted proxies;
        # headers of proxies are the matter of a middleware.
        super().__init__(cfg, _Head(head), None)
        if self.version > (1, 1):
            raise errors.InvalidHTTPVersion(self.version)
        if self.version >= (1, 1) and [name for name, _ in self.headers].count('HOST') != 1:
            raise errors.InvalidHeader('Host (exactly one is required)', req=self)

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> list[tuple[str, str]]:
        """As gunicorn's; most clients send the same headers again on a connection."""
        known, headers = self._connection.last_headers
        if from_trailer or data != known:
            headers = super().parse_headers(data, from_trailer)
            # what Expect means depends on the version in the request line
            if len(data) <= KNOWN_HEADERS and all(name != 'EXPECT' for name, _ in headers):
                self._connection.last_headers = data, headers
        return headers.copy()

    def set_body_reader(self) -> None:
        super().set_body_reader()
        reader = self.body.reader
        if isinstance(reader, gunicorn_body.LengthReader):
            self.body = self._connection.sized_body(reader.length, self._expected_100_continue)
            return
        coding = next(value for name, value in self.headers if name == 'TRANSFER-ENCODING')
        if coding.lower() != 'chunked':
            raise errors.UnsupportedTransferCoding(coding)
        self.body = self._connection.chunked_body(self._expected_100_continue)


class _Head:
    """One complete head, with the interface that gunicorn's parser reads from."""

    def __init__(self, data: bytes):
        self._data = data

    def read(self, size: int | None = None, read_ahead: int | None = None) -> bytes:
        data, self._data = self._data, b''
        return data

    def unread(self, data: bytes) -> None:
        pass


def _is_silence(error: OSError) -> bool:
    """Whether nothing came in time; ``SO_RCVTIMEO`` reports this as EAGAIN.

    ETIMEDOUT, a client that is not there any more, is a `TimeoutError` with a number.
    """
    return (isinstance(error, BlockingIOError)
            or (isinstance(error, TimeoutError) and error.errno is None))


class Connection(gthread.TConn):
    """gunicorn's connection object, which parses its requests itself.

    The kernel keeps the timeouts (``SO_RCVTIMEO``), which saves a system call
    per read and write; only TLS needs Python's.  A body waits ``cfg.body_wait`` seconds
    at once, and ``cfg.client_socket_timeout`` in all.

    :param context: an `ssl.SSLContext`, or None.
    """

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any,
                 context: ssl.SSLContext | None):
        super().__init__(cfg, sock, client, server)
        self._secure = context is not None
        if not self._secure:
            sock.setblocking(True)      # calls that must not block have a flag
        self._handshake_done = not self._secure
        self._blocks_for: float | None = -1.0       # seconds, with TLS; unknown at first
        if context is not None:
            self.sock: Any = context.wrap_socket(sock, server_side=True,
                                                 do_handshake_on_connect=False)
        self.unsent = NOTHING   # of an answer whose client reads slowly
        self.keeps_unsent = False       # whether `send` may leave something unsent
        self.after = After.WAIT         # when all is sent
        self.is_transfer = False        # whether the request holds one of the transfers
        self.broken = False             # nothing more can be sent
        self.refused: tuple[int, int] | None = None     # status, and size of the body
        self.last_headers: tuple[bytes | None, list[tuple[str, str]]] = None, []
        self._request: Request | None = None
        self._answered = True           # whether `_request` was
        self._head = b''
        self._blank = 0         # empty lines skipped before it
        self._buffer = b''      # received, not used yet
        self._skip = 0          # bytes of the last body that are to be discarded
        self._waiting_since: float | None = None    # for the client's next bytes
        self._poll: select.poll | None = None

    # --- the interface of gunicorn's connections

    @property
    def has_begun(self) -> bool:
        """Whether a part of a request has arrived."""
        return bool(self._buffer or not self._answered)

    @property
    def request(self) -> Request | None:
        """The request that has arrived, at least its head, and is not answered yet."""
        return None if self._answered else self._request

    def set_timeout(self) -> None:
        if self._waiting_since is None or not (self.has_begun or self._skip):
            self._waiting_since = time.monotonic()
        self.timeout = self._waiting_since + (self.cfg.client_socket_timeout or math.inf)

    def close(self, graceful: bool = False) -> None:
        util.close(self.sock)

    # --- requests

    def next_request(self) -> Request:
        """The request whose head has arrived, until it is `finish_request`-ed.

        :raises errors.ParseException: the head is invalid.
        """
        if not self._answered:
            assert self._request is not None
            return self._request
        self._request, self._waiting_since, self._blank = None, None, 0
        head, self._head = self._head, b''
        if len(head) > self.cfg.max_head:
            raise errors.LimitRequestHeaders('the request head is too large')
        self._request = Request(self.cfg, self, head)
        self._answered = False
        return self._request

    def body_arrived(self, is_transfer: bool) -> bool:
        """Whether the application can read the body without waiting for the client.

        So it is, too, if the body is not one that is collected: it is large, or it is that
        of a transfer, and chunked or not sent before "100 Continue".
        """
        assert self._request is not None
        rest = self._request.body
        if is_transfer and (rest.expects_continue or isinstance(rest, body.ChunkedBody)):
            return True
        if rest.expects_continue and rest.may_be_small:
            rest.expects_continue = False
            self.keeps_unsent = True
            self.send(body.CONTINUE)
        if isinstance(rest, body.ChunkedBody):
            rest.add(b'')
        while not (rest.finished or rest.expects_continue) and rest.may_be_small:
            try:
                data = self._receive_available(rest.pending or HEAD_PIECE)
            except OSError:
                data = b''
            if not data:
                return data is not None     # the application is told that it was cut short
            rest.add(data)
        return True

    def begin_answer(self, keeps_unsent: bool) -> None:
        """Called before anything is sent, or received by the application."""
        self.keeps_unsent = keeps_unsent

    def finish_request(self) -> None:
        """Do not wait for the rest of the body; it is skipped when it arrives."""
        assert self._request is not None
        self._answered = True
        rest = self._request.body
        if rest.finished:
            self._buffer += rest.surplus
        else:
            assert rest.pending is not None
            self._skip = rest.pending

    # --- receiving

    def head_arrived(self, timeout: int = 0) -> bool | None:
        """True if the whole head of a request has arrived, None if not yet.

        False means that no more requests will come.  A head that exceeds the
        limits counts as arrived, and is rejected later.  So does the head of a
        request that was not answered yet.

        :param timeout: milliseconds to wait for its first byte.
        """
        if self._head or not self._answered:
            return True
        try:
            if not self._handshake_done:
                self.sock.do_handshake()
                self._handshake_done = True
            return self._collect_head(timeout)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return False

    def _collect_head(self, timeout: int) -> bool | None:
        buffer = self._buffer
        while True:
            if self._skip:
                skipped = min(self._skip, len(buffer))
                self._skip -= skipped
                buffer = buffer[skipped:]
            while buffer.startswith(b'\r\n') and self._blank < MAX_BLANK:
                self._blank += 1
                buffer = buffer[2:]
            end = buffer.find(b'\r\n\r\n') + 4
            if end > 3 or b'\n\n' in buffer or len(buffer) > self.cfg.max_head:
                end = end if end > 3 else len(buffer)
                self._head, self._buffer = buffer[:end], buffer[end:]
                return True
            data = self._receive_available(HEAD_PIECE, timeout)
            if not data:
                self._buffer = buffer
                return None if data is None else False
            buffer += data
            timeout = 0

    def _receive_available(self, size: int, timeout: int = 0) -> bytes | None:
        """What has arrived: ``b''`` at the end of the stream, None for nothing."""
        if timeout and not (self._secure and self.sock.pending()) and not self._readable(timeout):
            return None
        try:
            if not self._secure:
                return self.sock.recv(size, socket.MSG_DONTWAIT)
            self._block_for(0)
            return self.sock.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def _readable(self, timeout: int) -> bool:
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.sock, select.POLLIN)
        return bool(self._poll.poll(timeout))

    def sized_body(self, size: int, expects_continue: bool) -> body.Body:
        """The body of ``size`` bytes that follows the head."""
        if not size:
            return body.Body()
        early, self._buffer = self._buffer[:size], self._buffer[size:]
        return body.SizedBody(self, size, early, expects_continue=expects_continue)

    def chunked_body(self, expects_continue: bool) -> body.Body:
        early, self._buffer = self._buffer, b''
        return body.ChunkedBody(self, early, expects_continue=expects_continue)

    def receive(self, size: int, flags: int = 0) -> bytes:
        """One to ``size`` bytes of a body; ``b''`` at the end of the stream.

        :raises TimeoutError: the client sent nothing for too long.
        """
        if self._secure:
            return self._in_time(self.sock.recv, min(size, TLS_RECORD))
        return self._in_time(self.sock.recv, size, flags)

    def receive_into(self, buffer: memoryview, flags: int = 0) -> int:
        """As `receive`, into a buffer; returns the number of bytes."""
        if self._secure:
            return self._in_time(self.sock.recv_into, buffer)
        return self._in_time(self.sock.recv_into, buffer, 0, flags)

    def fill(self, buffer: memoryview) -> int:
        """As `receive_into`, but fill the buffer if possible."""
        if not self._secure:
            return self.receive_into(buffer, socket.MSG_WAITALL)
        filled, until = self.receive_into(buffer), time.monotonic() + self.cfg.body_wait
        with contextlib.suppress(TimeoutError):
            # a record at once; each way through the layers above would cost as much again
            while (filled < len(buffer) and time.monotonic() < until
                   and (count := self.sock.recv_into(buffer[filled:]))):
                filled += count
        return filled

    @property
    def can_scatter(self) -> bool:
        return not self._secure

    def scatter(self, buffers: Sequence[memoryview]) -> int:
        """As `receive_into`, into several buffers one after the other."""
        return self._in_time(self.sock.recvmsg_into, buffers)[0]

    def receive_all(self, size: int) -> bytes:
        """As `receive`, but wait for all ``size`` bytes if possible (not with TLS)."""
        return self.receive(size, socket.MSG_WAITALL)

    def _in_time(self, receive: Callable[..., Any], *arguments: Any) -> Any:
        """Receive; while nothing comes, let the body look whether it is still wanted."""
        if self._secure:
            self._block_for(self.cfg.body_wait)
        late = 0.0
        while True:
            try:
                return receive(*arguments)
            except OSError as exc:
                if not _is_silence(exc):
                    raise
            now, wait = time.monotonic(), self.cfg.body_wait
            if not late:    # one wait ago it began; half of one, because timeouts are not exact
                late = now - wait + (self.cfg.client_socket_timeout or math.inf) - wait / 2
            if now >= late:
                raise TimeoutError('the client sent nothing for too long')
            assert self._request is not None
            self._request.body.look()

    def _block_for(self, seconds: float | None) -> None:
        """Set the timeout of a socket with TLS; each change costs a system call."""
        if seconds != self._blocks_for:
            self.sock.settimeout(seconds)
            self._blocks_for = seconds

    # --- sending

    @property
    def can_sendfile(self) -> bool:
        return not self._secure

    def cork(self, on: bool) -> None:
        """Let the kernel send full segments only, which costs less CPU time; or no longer."""
        if CORK is not None:
            with contextlib.suppress(OSError):      # not a TCP socket
                self.sock.setsockopt(socket.IPPROTO_TCP, CORK, on)

    def send(self, *parts: bytes) -> None:
        """Send all, or with ``keeps_unsent`` what the kernel takes at once.

        :raises ClientGone: the connection is lost, or the client receives nothing.
        """
        try:
            if self.keeps_unsent:
                self._send_or_keep(b''.join(parts))
                return
            if self._secure:
                self._block_for(self.cfg.client_socket_timeout or None)
            if len(parts) == 1 or sum(map(len, parts)) <= SMALL or self._secure:
                self.sock.sendall(b''.join(parts))
                return
            sent = self.sock.sendmsg(parts)
            for part in parts:
                if sent < len(part):
                    self.sock.sendall(memoryview(part)[sent:])
                sent = max(0, sent - len(part))
        except OSError as exc:
            self.broken = True
            raise ClientGone(exc) from exc

    def _send_or_keep(self, data: bytes) -> None:
        if self.unsent:
            self.unsent = memoryview(b''.join((self.unsent, data)))
            return
        sent = 0
        if not self._secure:
            with contextlib.suppress(BlockingIOError):
                sent = self.sock.send(data, socket.MSG_DONTWAIT)
            if sent == len(data):       # like nearly always
                return
        self.unsent = memoryview(data)[sent:]
        if self._secure:
            self.send_unsent()

    @property
    def memory(self) -> int:
        """Bytes that are kept for what is unsent."""
        return memoryview(self.unsent.obj).nbytes

    def send_unsent(self) -> None:
        """Send what the kernel takes at once.

        :raises OSError: the connection is lost.
        """
        try:
            if not self._secure:
                sent = self.sock.send(self.unsent, socket.MSG_DONTWAIT)
                self.unsent = self.unsent[sent:] if sent < len(self.unsent) else NOTHING
                return
            self._block_for(0)
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent[:TLS_RECORD]):]
        except (BlockingIOError, ssl.SSLWantWriteError):
            return

    # --- the end

    def reset(self) -> None:
        """Let the client see a failure when the connection is closed, not an end."""
        self.broken, self.unsent = True, NOTHING
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')

    def end(self) -> After:
        """End the stream to the client; what follows is `After.CLOSE` or `After.LINGER`.

        If a connection is closed while the client still sends, the kernel may discard
        the response, so incoming data is read and discarded for a while.
        """
        if self.broken:
            return After.CLOSE
        try:
            if self._secure:
                self._end_tls()
            if self._all_read():
                return After.CLOSE
            self.sock.shutdown(socket.SHUT_WR)
            return After.LINGER
        except OSError:
            return After.CLOSE      # the client has disconnected

    def discard(self, buffer: bytearray) -> int:
        """Receive what has arrived, and forget it; returns its size, 0 at the end.

        :raises OSError: nothing has arrived (`BlockingIOError`), or the connection is lost.
        """
        # the method of plain sockets: there is no reason to decrypt
        return socket.socket.recv_into(self.sock, buffer, 0, socket.MSG_DONTWAIT)

    def _all_read(self) -> bool:
        if self._request is None:
            return False
        rest = self._request.body
        return rest is not None and rest.finished and not (rest.surplus or self._buffer)

    def _end_tls(self) -> None:
        self._block_for(0)
        with contextlib.suppress(OSError):      # do not wait for the client's close_notify
            self.sock.unwrap()
