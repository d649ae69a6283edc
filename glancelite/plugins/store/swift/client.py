"""An HTTP client for large objects, with a pool of connections.

urllib3 (2.8 was tried) cannot replace it, for two reasons.  It does not wait for
``100 Continue``: a server that refused 64 MiB after half a second had received several MiB, with
and without ``Content-Length``.  To add the wait, botocore overrides private methods of
``http.client``.  And ``urlopen`` returns only when the response has arrived, while this driver
sends a segment before it reads the response to the former one.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import io
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

#: exceptions of a broken connection or an invalid response
CONNECTION_ERRORS = (OSError, http.client.HTTPException)

#: seconds after which an idle connection is not used again
IDLE_TIME = 15
#: idle connections that are kept for one server
MAX_IDLE = 32
#: seconds to wait for ``100 Continue``; some servers do not send it
CONTINUE_TIMEOUT = 3
#: smaller chunks are sent in one call with their chunk header
SMALL = 1 << 16
#: bytes that are read of an error response, or of an unfinished one to reuse its connection
MAX_DRAIN = 1 << 16

_Result = TypeVar('_Result')


class Response:
    """A response with its whole body."""

    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes):
        self.status = status
        self.headers = headers
        self.body = body


class EarlyResponse(OSError):
    """The server responded and closed the connection before it had the whole body."""

    def __init__(self, response: Response):
        super().__init__(f'the server closed the connection with status {response.status}')
        self.response = response


class Client:
    """Sends requests to any number of servers; for many threads.

    :param cafile: bundle of certificates; None for the system's.
    :param insecure: do not verify certificates.
    :param connect_timeout: seconds.
    :param timeout: seconds for each read and write.
    :raises OSError: the bundle cannot be read.
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
        self._idle: dict[str, collections.deque[tuple[float, http.client.HTTPConnection]]] = (
            collections.defaultdict(collections.deque))

    def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b'', *,
                timeout: float | None = None) -> Response:
        """Send a request and read the response."""
        with contextlib.closing(self.open(method, url, headers, body, timeout=timeout)) as stream:
            return Response(stream.status, stream.headers, stream.read_all())

    def open(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b'', *,
             timeout: float | None = None) -> ResponseStream:
        """Send a request; the caller reads the body of the response, and closes it."""
        def exchange(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
            connection.sock.settimeout(timeout or self.timeout)
            connection.request(method, target, body=body or None,
                               headers={**headers, **_content_length(method, body)})
            return connection.getresponse()

        origin, target = _split_url(url)
        connection, response = self._exchange(origin, exchange)
        return ResponseStream(self, origin, connection, response)

    def open_upload(self, url: str, headers: Mapping[str, str],
                    length: int | None = None) -> Response | UploadStream:
        """Begin a PUT.

        :param length: bytes of the body, if that is certain.
        :returns: a stream for the body, or the response of a server that refuses it.
        """
        def exchange(connection: http.client.HTTPConnection) -> Response | None:
            connection.putrequest('PUT', target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if length is None:
                connection.putheader('Transfer-Encoding', 'chunked')
            else:
                connection.putheader('Content-Length', str(length))
            connection.putheader('Expect', '100-continue')
            connection.endheaders()
            return _read_refusal(connection, self.timeout)

        origin, target = _split_url(url)
        connection, refusal = self._exchange(origin, exchange)
        if refusal is not None:
            connection.close()      # the server may still wait for the body
            return refusal
        return UploadStream(self, origin, connection, length)

    def release(self, origin: str, connection: http.client.HTTPConnection) -> None:
        """Keep a connection for the next request."""
        with self._lock:
            idle = self._idle[origin]
            idle.append((time.monotonic() + IDLE_TIME, connection))
            surplus = idle.popleft()[1] if len(idle) > MAX_IDLE else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        with self._lock:
            idle = [connection for pool in self._idle.values() for _, connection in pool]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _exchange(self, origin: str, exchange: Callable[[http.client.HTTPConnection], _Result],
                  ) -> tuple[http.client.HTTPConnection, _Result]:
        """Call ``exchange`` with an idle connection, and with a new one if that is broken."""
        connection = self._take_idle(origin)
        if connection is not None:
            try:
                with _closing_on_error(connection):
                    return connection, exchange(connection)
            except TimeoutError:
                raise
            except CONNECTION_ERRORS:
                pass    # the server has closed it in the meantime
        connection = self._connect(origin)
        with _closing_on_error(connection):
            return connection, exchange(connection)

    def _take_idle(self, origin: str) -> http.client.HTTPConnection | None:
        now = time.monotonic()
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                expires, connection = idle.pop()
            if expires > now:
                return connection
            connection.close()

    def _connect(self, origin: str) -> http.client.HTTPConnection:
        scheme, _, host = origin.partition('://')
        if scheme == 'https':
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, timeout=self._connect_timeout, context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, timeout=self._connect_timeout)
        with _closing_on_error(connection):
            connection.connect()
            connection.sock.settimeout(self.timeout)
        return connection


class ResponseStream:
    """A response whose body is read in pieces."""

    def __init__(self, client: Client, origin: str, connection: http.client.HTTPConnection,
                 response: http.client.HTTPResponse):
        self.status = response.status
        self.headers = response.headers
        self._client = client
        self._origin = origin
        self._connection: http.client.HTTPConnection | None = connection
        self._response = response

    def read(self, size: int) -> bytes:
        """Return the next bytes; b'' at the end, whether the body is complete or not."""
        return self._response.read(size)

    def read_all(self) -> bytes:
        return self._response.read()

    def close(self) -> None:
        """Release the connection if it can be used again, otherwise close it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        response = self._response
        if (not response.isclosed() and response.length is not None
                and response.length <= MAX_DRAIN):
            with contextlib.suppress(*CONNECTION_ERRORS):
                response.read()
        if response.isclosed() and not response.will_close and connection.sock is not None:
            connection.sock.settimeout(self._client.timeout)
            self._client.release(self._origin, connection)
        else:
            response.close()
            connection.close()


class UploadStream:
    """The body of a PUT.  Without ``finish``, the server stores nothing."""

    status = http.client.CONTINUE

    def __init__(self, client: Client, origin: str, connection: http.client.HTTPConnection,
                 length: int | None):
        self._client = client
        self._origin = origin
        self._connection: Any = connection
        self._chunked = length is None
        self._separator = b''

    def write(self, data: bytes | memoryview) -> None:
        """Send the next bytes of the body.

        :raises EarlyResponse: the server responded before the end of the body.
        """
        send = self._connection.send
        try:
            if not self._chunked:
                send(data)
                return
            header = b'%b%x\r\n' % (self._separator, len(data))
            self._separator = b'\r\n'
            if len(data) < SMALL:
                send(header + data)
            else:
                send(header)
                send(data)
        except OSError:
            self._raise_early_response()
            raise

    def write_file(self, file: io.FileIO) -> None:
        """Send a whole open file as the body; raises as ``write`` does."""
        file.seek(0)
        try:
            self._connection.sock.sendfile(file)
        except OSError:
            self._raise_early_response()
            raise

    def finish(self) -> Response:
        """End the body, and read the response."""
        connection = self._connection
        if self._chunked:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(self._separator + b'0\r\n\r\n')
        stream = ResponseStream(self._client, self._origin, connection, connection.getresponse())
        self._connection = None     # the stream owns it
        with contextlib.closing(stream):
            return Response(stream.status, stream.headers, stream.read_all())

    def abort(self) -> None:
        """Close the connection, unless the response has been read."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _raise_early_response(self) -> None:
        """Read the response of a server that has closed the connection, if there is one."""
        try:
            self._connection.sock.settimeout(1)
            response = self._connection.getresponse()
            early = Response(response.status, response.headers, response.read(MAX_DRAIN))
        except CONNECTION_ERRORS:
            return
        raise EarlyResponse(early)


@contextlib.contextmanager
def _closing_on_error(connection: http.client.HTTPConnection) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        stack.callback(connection.close)
        yield
        stack.pop_all()


def _split_url(url: str) -> tuple[str, str]:
    """Return the scheme with the host, and the rest."""
    parts = urllib.parse.urlsplit(url)
    return f'{parts.scheme}://{parts.netloc}', urllib.parse.urlunsplit(
        ('', '', parts.path or '/', parts.query, ''))


def _content_length(method: str, body: bytes) -> dict[str, str]:
    """Return the header that requests need which could have a body but have none."""
    return {'Content-Length': '0'} if method in ('PUT', 'POST') and not body else {}


def _read_refusal(connection: http.client.HTTPConnection, timeout: float) -> Response | None:
    """Return the response of a server that refuses the body.

    :returns: None if the server requests the body, or sends nothing for a while.
    """
    connection.sock.settimeout(CONTINUE_TIMEOUT)
    with connection.sock.makefile('rb') as stream:
        try:
            line = stream.readline(MAX_DRAIN)
            if not line:
                raise http.client.RemoteDisconnected('the server closed the connection')
            status = int(line.split(None, 2)[1])
            headers = http.client.parse_headers(stream)
            if status < http.client.OK:
                refusal = None
            else:
                length = min(int(headers.get('Content-Length') or 0), MAX_DRAIN)
                refusal = Response(status, headers, stream.read(length))
        except TimeoutError:
            refusal = None
        except (IndexError, ValueError):
            raise http.client.BadStatusLine('not an HTTP response') from None
    connection.sock.settimeout(timeout)
    return refusal
