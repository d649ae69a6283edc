"""One client: heads as they arrive, bodies straight from the socket, a clean parting."""

import contextlib
import errno
import io
import math
import select
import socket
import ssl
import time
import types

from gunicorn import util
from gunicorn.http import body as gunicorn_body
from gunicorn.http import errors, message
from gunicorn.workers import gthread

from glancelite.server import body

PIECE = 1 << 14         # bytes fetched at once while heads are looked for
RECORD = 1 << 14        # TLS gives no more at once; asking for more only costs memory
SMALL = 1 << 16         # bytes that are cheaper copied together than sent apart
LINGER = 30.0           # seconds that a client may go on sending what nobody reads
LINGER_SILENCE = 5.0    # seconds of silence that end this
LINGER_PIECE = 1 << 18
CORK = getattr(socket, 'TCP_CORK', None)        # Linux


class ClientGone(ConnectionResetError):
    """The client is not there any more, or takes nothing; gunicorn passes over it."""

    def __init__(self, cause):
        super().__init__(errno.ECONNRESET, f'sending failed: {cause}')


class Request(message.Request):
    """A request by gunicorn's rules, with a body that costs fewer copies."""

    def __init__(self, cfg, connection, head):
        self._connection = connection
        # Without a peer address gunicorn does not look whether it is a trusted
        # proxy; what proxies say is for the middleware to believe or not.
        super().__init__(cfg, _Head(head), None)

    def set_body_reader(self):
        super().set_body_reader()
        reader = self.body.reader
        if isinstance(reader, gunicorn_body.LengthReader):
            self.body = self._connection.sized(reader.length, self._expected_100_continue)
            return
        coding = next(value for name, value in self.headers if name == 'TRANSFER-ENCODING')
        if coding.lower() != 'chunked':
            raise errors.UnsupportedTransferCoding(coding)
        self.body = self._connection.chunked(self._expected_100_continue)


class _Head:
    """One complete head, dressed as the source that gunicorn's parser reads from."""

    def __init__(self, data):
        self._data = data

    def read(self, size=None, read_ahead=None):
        data, self._data = self._data, b''
        return data

    def unread(self, data):
        pass


def _in_time(receive, *arguments):
    """Receive from a socket with a time limit, which it tells of as if it did not block."""
    try:
        return receive(*arguments)
    except BlockingIOError:
        raise TimeoutError('the client sent nothing for too long') from None


class Connection(gthread.TConn):
    """A client as gunicorn's worker knows it, and the parser of its requests in one.

    Sockets carry the time limit themselves (``SO_RCVTIMEO``), which spares a
    call per read and write; only TLS needs Python to watch the time.

    :param context: an `ssl.SSLContext`, or None.
    """

    unreader = types.SimpleNamespace(buf=io.BytesIO())      # what is read ahead is kept here

    def __init__(self, cfg, sock, client, server, context):
        super().__init__(cfg, sock, client, server)
        self.initialized = self.data_ready = True
        self.parser = self
        self._secure = context is not None
        self._shaken = not self._secure
        if self._secure:
            self.sock = context.wrap_socket(sock, server_side=True,
                                            do_handshake_on_connect=False)
        self._request = None
        self._head = b''
        self._buffer = b''      # arrived, not yet used
        self._skip = 0          # bytes of the last body that nobody read
        self._since = None      # when the client began to keep us waiting
        self._poll = None

    # --- what gunicorn asks of a connection and of its parser

    def set_timeout(self):
        if self._since is None or not (self._buffer or self._skip):
            self._since = time.monotonic()
        self.timeout = self._since + (self.cfg.client_socket_timeout or math.inf)

    def close(self, graceful=False):
        util.close(self.sock)

    def __next__(self):
        self._request, self._since = None, None
        if self._secure:
            self.sock.settimeout(self.cfg.client_socket_timeout or None)
        head, self._head = self._head, b''
        if len(head) > self.cfg.max_head:
            raise errors.LimitRequestHeaders('the request head is too large')
        self._request = Request(self.cfg, self, head)
        return self._request

    def finish_body(self, deadline=None):
        """Nobody waits for what is left: it is skipped when it comes."""
        rest = self._request.body
        if rest.finished:
            self._buffer += rest.surplus
        else:
            self._skip = rest.pending
        return True

    # --- what arrives

    def head_arrived(self, patience=0):
        """Whether a request's whole head is there; None: not yet.

        A head that breaks the limits counts as whole, to be refused.

        :param patience: milliseconds to wait for its first byte.
        """
        try:
            if not self._shaken:
                self.sock.do_handshake()
                self._shaken = True
            return self._gather(patience)
        except ssl.SSLWantReadError:
            return None
        except OSError:
            return False

    def _gather(self, patience):
        buffer = self._buffer
        while True:
            if self._skip:
                skipped = min(self._skip, len(buffer))
                self._skip -= skipped
                buffer = buffer[skipped:]
            end = buffer.find(b'\r\n\r\n') + 4
            if end > 3 or b'\n\n' in buffer or len(buffer) > self.cfg.max_head:
                end = end if end > 3 else len(buffer)
                self._head, self._buffer = buffer[:end], buffer[end:]
                return True
            data = self._arrived(PIECE, patience)
            if not data:
                self._buffer = buffer
                return None if data is None else False
            buffer += data
            patience = 0

    def _arrived(self, size, patience):
        """What is there already: ``b''`` at the end of the stream, None for nothing."""
        if patience and not (self._secure and self.sock.pending()) and not self._ready(patience):
            return None
        try:
            if not self._secure:
                return self.sock.recv(size, socket.MSG_DONTWAIT)
            self.sock.settimeout(0)
            return self.sock.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def _ready(self, patience):
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.sock, select.POLLIN)
        return self._poll.poll(patience)

    def sized(self, size, awaited):
        """The body of ``size`` bytes that follows the head."""
        if not size:
            return body.Body()
        early, self._buffer = self._buffer[:size], self._buffer[size:]
        return body.SizedBody(self, size, early, awaited=awaited)

    def chunked(self, awaited):
        early, self._buffer = self._buffer, b''
        return body.ChunkedBody(self, early, awaited=awaited)

    def receive(self, size, flags=0):
        """Between one and ``size`` bytes of a body; ``b''`` at the end of the stream.

        :raises TimeoutError: the client sent nothing for too long.
        """
        if self._secure:
            return self.sock.recv(min(size, RECORD))
        return _in_time(self.sock.recv, size, flags)

    def receive_into(self, room, flags=0):
        """As `receive`, into a buffer; how many bytes."""
        if self._secure:
            return self.sock.recv_into(room)
        return _in_time(self.sock.recv_into, room, 0, flags)

    def fill(self, room):
        """As `receive_into`, but it waits for as many bytes as there is room if it can."""
        return self.receive_into(room, socket.MSG_WAITALL)

    @property
    def can_scatter(self):
        return not self._secure

    def scatter(self, rooms):
        """As `receive_into`, into several buffers, one after the other."""
        return _in_time(self.sock.recvmsg_into, rooms)[0]

    def receive_all(self, size):
        """As `receive`, but it waits for all of ``size`` if it can."""
        return self.receive(size, socket.MSG_WAITALL)

    # --- what goes out

    @property
    def can_sendfile(self):
        return not self._secure

    def cork(self, on):
        """Have the kernel send full segments only, which it does with less work; or no more."""
        if CORK is not None:
            with contextlib.suppress(OSError):      # no TCP
                self.sock.setsockopt(socket.IPPROTO_TCP, CORK, on)

    def send(self, *parts):
        """:raises ClientGone: the connection is lost, or the client takes nothing."""
        try:
            if len(parts) == 1 or sum(map(len, parts)) <= SMALL or self._secure:
                self.sock.sendall(b''.join(parts))
                return
            sent = self.sock.sendmsg(parts)
            for part in parts:
                if sent < len(part):
                    self.sock.sendall(memoryview(part)[sent:])
                sent = max(0, sent - len(part))
        except OSError as exc:
            raise ClientGone(exc) from exc

    def reset(self):
        """Make the coming end look like the failure it is."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        self.close()

    def part(self):
        """End the conversation.

        Closing while the client still sends would make the kernel throw away
        the response, so what comes is read and dropped for a while.
        """
        try:
            if self._secure:
                self._say_farewell()
            if self._all_read():
                return
            self.sock.shutdown(socket.SHUT_WR)
            self._secure = False        # what comes now is not even decrypted
            end = time.monotonic() + LINGER
            while (time.monotonic() < end
                   and self._arrived(LINGER_PIECE, int(LINGER_SILENCE * 1000))):
                pass
        except OSError:
            pass    # the client is gone
        finally:
            self.close()

    def _all_read(self):
        rest = self._request and self._request.body
        return rest is not None and rest.finished and not (rest.surplus or self._buffer)

    def _say_farewell(self):
        self.sock.settimeout(0)
        with contextlib.suppress(OSError):      # it is sent; the client's own is not waited for
            self.sock.unwrap()
