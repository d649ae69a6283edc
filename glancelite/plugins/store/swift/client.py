"""HTTP as large objects need it: kept connections, and no data before it is welcome."""

from __future__ import annotations

import collections
import contextlib
import http.client
import io
import ssl
import threading
import time
import urllib.parse
from collections.abc import Mapping

#: what a conversation can break with
BROKEN = (OSError, http.client.HTTPException)

#: seconds for which a connection that nobody uses is believed to be alive
IDLE = 15
#: how many of those are kept for one server
KEPT = 32
#: seconds to wait for a server's word whether it wants the data; some never say
WORD = 3
#: chunks below this are sent together with what is around them
SMALL = 1 << 16
#: an answer longer than this is not worth reading for its connection's sake
WORTH = 1 << 16


class Reply:
    """An answer that is here as a whole."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes):
        self.status = status
        self.headers = headers
        self.body = body


class Pool:
    """Connections to any number of servers; for many threads.

    :param cafile: bundle of certificates; the system's if None.
    :param connect_timeout: seconds.
    :param timeout: seconds for each piece of a conversation.
    """

    def __init__(self, *, cafile: str | None, insecure: bool, connect_timeout: float,
                 timeout: float):
        self._connect_timeout = connect_timeout
        self.timeout = timeout
        self._tls = ssl.create_default_context(cafile=cafile)
        if insecure:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        self._lock = threading.Lock()
        self._idle: dict[str, collections.deque] = collections.defaultdict(collections.deque)

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b'', *,
            timeout: float | None = None) -> Reply:
        """One whole exchange."""
        download = self.open(method, url, headers, body, timeout=timeout)
        try:
            found = download.rest()
        finally:
            download.close()
        return Reply(download.status, download.headers, found)

    def open(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b'', *,
             timeout: float | None = None) -> Download:
        """An exchange whose answer is still to be read; whoever opens it closes it."""
        def exchange(connection):
            connection.sock.settimeout(timeout or self.timeout)
            connection.request(method, target, body=body or None,
                               headers={**headers, **_length(method, body)})
            return connection.getresponse()

        origin, target = split(url)
        connection, response = self._converse(origin, exchange)
        return Download(self, origin, connection, response)

    def send(self, url: str, headers: Mapping[str, str], length: int | None = None) -> \
            Reply | Upload:
        """Begin a PUT.

        :param length: bytes to come, if that is certain.
        :returns: where to put the data, or the answer of a server that does not want any.
        """
        def exchange(connection):
            connection.putrequest('PUT', target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if length is None:
                connection.putheader('Transfer-Encoding', 'chunked')
            else:
                connection.putheader('Content-Length', str(length))
            connection.putheader('Expect', '100-continue')
            connection.endheaders()
            return _word(connection, self.timeout)

        origin, target = split(url)
        connection, refusal = self._converse(origin, exchange)
        if refusal is not None:
            connection.close()      # it may wait for the data yet
            return refusal
        return Upload(self, origin, connection, length)

    def give(self, origin: str, connection: http.client.HTTPConnection) -> None:
        """Keep a connection whose conversation is over."""
        with self._lock:
            idle = self._idle[origin]
            idle.append((time.monotonic() + IDLE, connection))
            old = idle.popleft()[1] if len(idle) > KEPT else None
        if old is not None:
            old.close()

    def close(self) -> None:
        with self._lock:
            idle = [connection for kept in self._idle.values() for _, connection in kept]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _converse(self, origin, exchange):
        """``(connection, what exchange returns)``; a kept connection may have died meanwhile."""
        connection = self._kept(origin)
        if connection is not None:
            try:
                return connection, exchange(connection)
            except BROKEN as error:
                connection.close()
                if isinstance(error, TimeoutError):
                    raise
            except BaseException:
                connection.close()
                raise
        connection = self._connect(origin)
        try:
            return connection, exchange(connection)
        except BaseException:
            connection.close()
            raise

    def _kept(self, origin):
        now = time.monotonic()
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                until, connection = idle.pop()
            if until > now:
                return connection
            connection.close()

    def _connect(self, origin):
        scheme, _, host = origin.partition('://')
        if scheme == 'https':
            connection = http.client.HTTPSConnection(host, timeout=self._connect_timeout,
                                                     context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, timeout=self._connect_timeout)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        connection.sock.settimeout(self.timeout)
        return connection


class Download:
    """An answer whose body is read piece by piece."""

    def __init__(self, pool, origin, connection, response):
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._pool = pool
        self._origin = origin
        self._connection = connection
        self._response = response

    def read(self, size: int) -> bytes:
        """The next piece; b'' at the end, be it the right one or not."""
        return self._response.read(size)

    def rest(self) -> bytes:
        return self._response.read()

    def close(self) -> None:
        """Keep the connection if it can be used again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        response = self._response
        if not response.isclosed() and response.length is not None and response.length <= WORTH:
            with contextlib.suppress(*BROKEN):
                response.read()
        if response.isclosed() and not response.will_close and connection.sock is not None:
            connection.sock.settimeout(self._pool.timeout)
            self._pool.give(self._origin, connection)
        else:
            response.close()
            connection.close()


class Upload:
    """The body of a PUT; anything but ``finish`` leaves nothing on a server."""

    status = http.client.CONTINUE

    def __init__(self, pool, origin, connection, length):
        self._pool = pool
        self._origin = origin
        self._connection = connection
        self._chunked = length is None
        self._edge = b''

    def write(self, data) -> None:
        """Send bytes, or a memoryview of some."""
        send = self._connection.send
        try:
            if not self._chunked:
                send(data)
                return
            head = b'%b%x\r\n' % (self._edge, len(data))
            self._edge = b'\r\n'
            if len(data) < SMALL:
                send(head + data)
            else:
                send(head)
                send(data)
        except OSError:
            self._early()
            raise

    def write_file(self, file: io.BufferedRandom) -> None:
        """Send an open file from its beginning to its end."""
        file.seek(0)
        try:
            self._connection.sock.sendfile(file)
        except OSError:
            self._early()
            raise

    def finish(self, timeout: float | None = None) -> Reply:
        """All is said; what the server says."""
        connection = self._connection
        if self._chunked:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(self._edge + b'0\r\n\r\n')
        if timeout:
            connection.sock.settimeout(timeout)
        download = Download(self._pool, self._origin, connection, connection.getresponse())
        self._connection = None
        try:
            return Reply(download.status, download.headers, download.rest())
        finally:
            download.close()

    def abort(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _early(self):
        """A server that hangs up has perhaps said why.

        :raises HungUp: with its answer.
        """
        try:
            self._connection.sock.settimeout(1)
            response = self._connection.getresponse()
            reply = Reply(response.status, response.headers, response.read(WORTH))
        except BROKEN:
            return
        raise HungUp(reply)


class HungUp(OSError):
    """The server answered before it had everything."""

    def __init__(self, reply: Reply):
        super().__init__(f'the server hung up with {reply.status}')
        self.reply = reply


def split(url: str) -> tuple[str, str]:
    """Scheme with host, and all the rest."""
    parts = urllib.parse.urlsplit(url)
    return f'{parts.scheme}://{parts.netloc}', urllib.parse.urlunsplit(
        ('', '', parts.path or '/', parts.query, ''))


def _length(method, body):
    """Those that may have a body must say it if they have none."""
    return {'Content-Length': '0'} if method in ('PUT', 'POST') and not body else {}


def _word(connection, timeout) -> Reply | None:
    """None if the server wants the data, or says nothing; else its refusal."""
    connection.sock.settimeout(WORD)
    with connection.sock.makefile('rb') as stream:
        try:
            line = stream.readline(WORTH)
            if not line:
                raise http.client.RemoteDisconnected('the server hung up')
            status = int(line.split(None, 2)[1])
            headers = http.client.parse_headers(stream)
            if status < http.client.OK:
                reply = None
            else:
                length = min(int(headers.get('Content-Length') or 0), WORTH)
                reply = Reply(status, headers, stream.read(length))
        except TimeoutError:
            reply = None
        except (IndexError, ValueError):
            raise http.client.BadStatusLine('no answer of HTTP') from None
    connection.sock.settimeout(timeout)
    return reply
