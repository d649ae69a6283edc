"""An HTTP client that applies the address rules to every connection and limits slow servers."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import http.client
import io
import logging
import select
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import urllib3
from urllib3 import exceptions

from glancelite.contract import EMPTY, Invalid, Misconfigured, Unavailable
from glancelite.support.outbound.rules import DEFAULT_PORTS, Rules, Target, UnknownHost

LOG = logging.getLogger(__name__)

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
#: bytes per second; a slower server is treated as one that does not answer
MIN_RATE = 1 << 10
#: bytes of the status line and all headers, including those of ``100 Continue``
MAX_HEADER_SIZE = 1 << 20

#: seconds
_SOON = 1.0

#: for the responses that ``open`` awaits in this thread
_while_waiting: contextvars.ContextVar[Callable[[], None] | None] = contextvars.ContextVar(
    'while_waiting', default=None)

_READ_ERRORS = (exceptions.HTTPError, http.client.HTTPException, OSError)
_CONNECTION_ERRORS = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError,
                      exceptions.ProxyError)


class Response:
    """A response whose body was not read yet; the caller closes it.

    ``read`` returns the body as it was sent: a content encoding is not decoded.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, target: Target):
        self._response = response
        self._target = target
        self._failure: BaseException | None = None
        self.status = response.status
        #: values by case-insensitive name
        self.headers: Mapping[str, str] = response.headers

    def read(self, amount: int) -> bytes:
        """Return ``amount`` bytes, fewer only at the end.

        :raises Unavailable: the body is truncated, or too slow.
        """
        with self._errors():
            return self._response.read(amount, decode_content=False)

    def read_soon(self, amount: int) -> bytes:
        """Return at most ``amount`` bytes: what arrives within a second, but at least one byte.

        Nothing is returned at the end only.  What arrives before an error is returned, and the
        next call raises the error.

        :raises Unavailable: the body is truncated, or too slow.
        """
        pieces: list[bytes] = []
        until = time.monotonic() + _SOON
        while amount and not self._failure:
            left = self._response.length_remaining
            # http.client may read beyond the body otherwise, before Python 3.12.2
            piece_size = amount if left is None else min(amount, left)
            if not piece_size or (pieces and not self._has_data(until - time.monotonic())):
                break
            try:
                piece = self._response.read1(piece_size, decode_content=False)
            except _READ_ERRORS as error:
                self._failure = error
                break
            pieces.append(piece)
            amount -= len(piece)
            if not piece:
                break
        data = pieces[0] if len(pieces) == 1 else b''.join(pieces)
        if self._failure and not data:
            with self._errors():
                raise self._failure
        return data

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _READ_ERRORS as error:
            self.close()
            raise translate_error(error, self._target) from error

    def _has_data(self, seconds: float) -> bool:
        response = getattr(self._response, '_original_response', None)
        return seconds > 0 and (not isinstance(response, _HTTPResponse)
                                or response.has_data(seconds))

    def close(self) -> None:
        # a connection with an unread body cannot be reused
        self._response.close()
        self._response.release_conn()

    def drain(self) -> None:
        """Close, but read a short body first, so that the connection can be reused."""
        with contextlib.suppress(Unavailable):
            if self.read(1 << 12):
                self.read(1)
        self.close()


class Client:
    """Sends ``GET`` and ``HEAD`` requests to URLs that users name; thread-safe.

    Connections are kept open and reused.

    :param verify: path of a file with certificate authorities, True for those of the
        system, or False to accept every certificate.
    :param proxies: proxy addresses by scheme.  The proxy resolves host names then, so
        address rules apply only to names that this machine can resolve too.
    :param connect_timeout: seconds.
    :param read_timeout: seconds without data after which a server counts as silent.  A
        server must also send ``MIN_RATE`` bytes per second on average over this time.
    :raises Misconfigured: ``verify`` names no certificates, or a proxy address is invalid.
    """

    def __init__(self, rules: Rules, *, verify: str | bool = True,
                 proxies: Mapping[str, str] | None = None,
                 connect_timeout: float = 10, read_timeout: float = 60):
        self._rules = rules
        common: dict[str, Any] = {
            'maxsize': 8, 'ssl_context': _tls(verify), 'retries': False,
            'timeout': urllib3.Timeout(connect=connect_timeout, read=read_timeout)}
        self._direct = _with_limits(urllib3.PoolManager(num_pools=32, **common))
        self._proxies = {scheme.strip().lower(): _with_limits(_proxy(address, common))
                         for scheme, address in (proxies or {}).items()}

    def check(self, url: str) -> Target:
        """Check a URL as ``Rules.check`` does; behind a proxy the host may be unknown here."""
        target = self._rules.parse(url)
        self._resolve(target)
        return target

    def open(self, method: str, url: str, headers: Mapping[str, str] | None = None, *,
             secrets: Mapping[str, str] = EMPTY,
             while_waiting: Callable[[], None] | None = None) -> Response:
        """Send a request and follow redirects.

        :param method: ``GET`` or ``HEAD``.
        :param secrets: headers that are sent to the origin of the URL only, as are the
            credentials in a URL.
        :param while_waiting: called each second in which this, or a read of the response, waits
            for data; its errors pass through.
        :raises Invalid: the rules forbid the URL or a redirect, or there are too many redirects.
        :raises Unavailable: the server does not answer, or its response is malformed.
        """
        token = _while_waiting.set(while_waiting)
        try:
            return self._open(method, self._rules.parse(url), headers or {}, secrets)
        finally:
            _while_waiting.reset(token)

    def _open(self, method: str, target: Target, headers: Mapping[str, str],
              secrets: Mapping[str, str]) -> Response:
        secrets = {**_authorization(target), **secrets}
        for _ in range(MAX_REDIRECTS + 1):
            response = self._request(method, target, {
                'Accept': '*/*', 'Accept-Encoding': 'identity', 'User-Agent': 'glancelite',
                **secrets, **headers, 'Host': target.netloc})
            if response.status not in REDIRECTS:
                return response
            response.drain()
            redirect = self._rules.parse(urllib.parse.urljoin(target.url, _location(response)))
            if (redirect.scheme, redirect.netloc) != (target.scheme, target.netloc):
                secrets = {}
            secrets = {**secrets, **_authorization(redirect)}
            target = redirect
        raise Invalid('Too many redirects.')

    def close(self) -> None:
        for pools in (self._direct, *self._proxies.values()):
            pools.clear()

    def _resolve(self, target: Target) -> list[str]:
        return self._rules.resolve(target, must_exist=target.scheme not in self._proxies)

    def _request(self, method: str, target: Target, headers: Mapping[str, str]) -> Response:
        """Send one request, to one of the addresses that were checked for it."""
        try:
            addresses = self._resolve(target)
        except UnknownHost as error:    # the URL was accepted when the host was known
            raise Unavailable('The host of this URL is unknown now.') from error
        options: dict[str, Any] = {'headers': headers, 'redirect': False,
                                   'preload_content': False, 'decode_content': False}
        try:
            if proxy := self._proxies.get(target.scheme):
                response = _retry_stale(lambda: proxy.urlopen(method, target.url, **options))
            else:
                response = self._request_direct(method, target, addresses, options)
        except (exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise translate_error(error, target) from error
        return Response(response, target)

    def _request_direct(self, method: str, target: Target, addresses: list[str],
                        options: Mapping[str, Any]) -> urllib3.BaseHTTPResponse:
        # The connection is made to an address, so that a second DNS answer cannot redirect
        # it; the host name is used for the certificate only.
        named = {'server_hostname': target.host} if target.scheme == 'https' else {}
        for last, address in enumerate(addresses, 1 - len(addresses)):
            pool = self._direct.connection_from_host(address, target.port, target.scheme, named)
            try:
                return _retry_stale(functools.partial(
                    pool.urlopen, method, target.path, assert_same_host=False, **options))
            except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError):
                if not last:
                    raise
        raise AssertionError('resolve returns at least one address')


class _LimitedStream(io.RawIOBase):
    """The data of a socket, with a minimum rate and a maximum size of headers."""

    def __init__(self, sock: socket.socket):
        self._raw = sock.makefile('rb', buffering=0)
        self._socket = sock
        self._blocks = True
        self.while_waiting = _while_waiting.get()
        self._timeout = sock.gettimeout()
        self._waited = 0.0
        self._received = 0
        #: bytes that may still come; None for no limit
        self.limit: int | None = None

    def makefile(self, mode: str) -> io.BufferedReader[Any]:
        self._reader = io.BufferedReader(self, 1 << 16)
        return self._reader

    def readable(self) -> bool:
        return True

    def has_data(self, seconds: float, beyond: int = 0) -> bool:
        """Return whether data, or its end, arrives within this time.

        :param beyond: bytes in the buffer that do not count.
        """
        if self._is_ready(0):
            return True
        self._blocks = False
        try:
            buffered = self._reader.peek(1)
        finally:
            self._blocks = True
        if len(buffered) > beyond:
            return True
        start = time.monotonic()
        ready = self._is_ready(seconds)
        self._waited += time.monotonic() - start
        return ready

    def _is_ready(self, seconds: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def readinto(self, buffer: Any) -> int | None:
        if not self._blocks:
            return None
        if self._timeout and self._waited > self._timeout:
            if self._received < MIN_RATE * self._timeout:
                raise TimeoutError('the server is too slow')
            self._waited, self._received = 0.0, 0
        start = time.monotonic()
        if self.while_waiting:
            self._wait(start, self.while_waiting)
        count = self._raw.readinto(buffer) or 0
        if self._received:    # the time before the first bytes does not count
            self._waited += time.monotonic() - start
        self._received += count
        if self.limit is not None:
            self.limit -= count
            if self.limit < 0:
                raise http.client.HTTPException('the headers are too long')
        return count

    def _wait(self, start: float, call: Callable[[], None]) -> None:
        """Return when there is data to read; a socket with a timeout cannot be read again."""
        while not self._is_ready(_SOON):
            call()
            if self._timeout and time.monotonic() - start > self._timeout:
                raise TimeoutError('the server sends nothing')

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._raw.close()
        super().close()


class _HTTPResponse(http.client.HTTPResponse):

    def __init__(self, sock: socket.socket, *args: Any, **named: Any):
        self.stream = _LimitedStream(sock)
        super().__init__(self.stream, *args, **named)  # type: ignore[arg-type]

    def begin(self) -> None:
        self.stream.limit = MAX_HEADER_SIZE
        super().begin()
        self.stream.limit = None

    def has_data(self, seconds: float) -> bool:
        """Return whether a part of the body, or its end, arrives within this time."""
        # the line that ends a chunk comes with it, and the size of the next one may be late
        return self.stream.has_data(seconds, beyond=2 if self.chunk_left == 0 else 0)


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _HTTPResponse


class _HTTPSConnection(urllib3.connection.HTTPSConnection):
    response_class = _HTTPResponse


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


def _with_limits(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    manager.pool_classes_by_scheme = {'http': _HTTPPool, 'https': _HTTPSPool}
    return manager


def _retry_stale(request: Callable[[], urllib3.BaseHTTPResponse]) -> urllib3.BaseHTTPResponse:
    """Send a request; once more if the server had closed the connection that was reused."""
    try:
        return request()
    except exceptions.ProtocolError as error:
        if not isinstance(error.args[-1], ConnectionError):
            raise
        return request()


def _authorization(target: Target) -> dict[str, str]:
    return {'Authorization': target.authorization} if target.authorization else {}


def _location(response: Response) -> str:
    """Return the target of a redirect; raw UTF-8 in the header is decoded."""
    location = response.headers.get('location', '')
    if not location:
        raise Unavailable('Redirect without a Location header.')
    with contextlib.suppress(UnicodeError):
        return location.encode('latin-1').decode()
    return location


def _tls(verify: str | bool) -> ssl.SSLContext:
    if verify is True:
        return _system_tls()
    if verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=verify)
    except (OSError, ValueError) as error:
        raise Misconfigured(f'{verify} must be a file with certificate authorities: '
                            f'{error}') from error


@functools.cache
def _system_tls() -> ssl.SSLContext:
    """Return one context for all clients: the authorities take 20 ms to read."""
    return ssl.create_default_context()


def _proxy(address: str, common: Mapping[str, Any]) -> urllib3.ProxyManager:
    try:
        proxy = urllib3.util.parse_url(address if '://' in address else f'http://{address}')
        if proxy.scheme not in DEFAULT_PORTS or not proxy.host:
            raise ValueError(proxy.scheme)
        headers = {}
        if proxy.auth:
            headers = urllib3.make_headers(proxy_basic_auth=urllib.parse.unquote(proxy.auth))
        return urllib3.ProxyManager(proxy._replace(auth=None).url, proxy_headers=headers, **common)
    except (exceptions.HTTPError, ValueError):    # the address may contain a password
        raise Misconfigured('a proxy address must be host:port or http://host:port') from None


def translate_error(error: BaseException, target: Target) -> Unavailable:
    """Translate an error of urllib3 or a socket; log the host, but not the path."""
    LOG.info('%s://%s: %s: %s', target.scheme, target.netloc, type(error).__name__,
             _text_without_url(error))
    if isinstance(error, exceptions.SSLError):
        return Unavailable('No secure connection to the web server of this URL.')
    if isinstance(error, _CONNECTION_ERRORS):
        return Unavailable('The web server of this URL cannot be reached.')
    if isinstance(error, exceptions.ReadTimeoutError):
        return Unavailable('The web server of this URL is too slow.')
    return Unavailable('The response of the web server of this URL is incomplete or invalid.')


def _text_without_url(error: BaseException) -> str:
    """Return the text of the cause: that of some urllib3 errors contains the URL."""
    cause = error.__cause__ or error.__context__ or error
    return str(cause.args[-1] if cause.args else cause)
