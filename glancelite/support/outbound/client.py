"""An HTTP client that applies the address rules to every connection and limits slow servers."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import logging
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import urllib3
from urllib3 import exceptions

from glancelite.contract import Invalid, Misconfigured, Unavailable
from glancelite.support.outbound.rules import DEFAULT_PORTS, Rules, Target, UnknownHost

LOG = logging.getLogger(__name__)

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
#: bytes per second; a slower server is treated as one that does not answer
MIN_RATE = 1 << 10
#: bytes of the status line and all headers, including those of ``100 Continue``
MAX_HEADER_SIZE = 1 << 20

_CONNECTION_ERRORS = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError,
                      exceptions.ProxyError)


class Response:
    """A response whose body was not read yet; the caller closes it.

    ``read`` returns the body as it was sent: a content encoding is not decoded.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, target: Target):
        self._response = response
        self._target = target
        self.status = response.status
        #: values by case-insensitive name
        self.headers: Mapping[str, str] = response.headers

    def read(self, amount: int) -> bytes:
        """Return ``amount`` bytes, fewer only at the end.

        :raises Unavailable: the body is truncated, or too slow.
        """
        try:
            return self._response.read(amount, decode_content=False)
        except (exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            self.close()
            raise translate_error(error, self._target) from error

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

    def open(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Response:
        """Send a request and follow redirects.

        Credentials of the URL are sent to the same origin only.

        :param method: ``GET`` or ``HEAD``.
        :raises Invalid: the rules forbid the URL or a redirect, or there are too many redirects.
        :raises Unavailable: the server does not answer, or its response is malformed.
        """
        target = self._rules.parse(url)
        authorization = target.authorization
        for _ in range(MAX_REDIRECTS + 1):
            response = self._request(method, target, {
                'Accept': '*/*', 'Accept-Encoding': 'identity', 'User-Agent': 'glancelite',
                **({'Authorization': authorization} if authorization else {}),
                **(headers or {}), 'Host': target.netloc})
            if response.status not in REDIRECTS:
                return response
            response.drain()
            redirect = self._rules.parse(urllib.parse.urljoin(target.url, _location(response)))
            same_origin = (redirect.scheme, redirect.netloc) == (target.scheme, target.netloc)
            authorization = redirect.authorization or (authorization if same_origin else None)
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
            raise Unavailable('The host of this location is unknown now.') from error
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
        self._timeout = sock.gettimeout()
        self._waited = 0.0
        self._received = 0
        #: bytes that may still come; None for no limit
        self.limit: int | None = None

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, 1 << 16)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._timeout and self._waited > self._timeout:
            if self._received < MIN_RATE * self._timeout:
                raise TimeoutError('the server is too slow')
            self._waited, self._received = 0.0, 0
        start = time.monotonic()
        count = self._raw.readinto(buffer) or 0
        if self._received:    # the time before the first bytes does not count
            self._waited += time.monotonic() - start
        self._received += count
        if self.limit is not None:
            self.limit -= count
            if self.limit < 0:
                raise http.client.HTTPException('the headers are too long')
        return count

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._raw.close()
        super().close()


class _HTTPResponse(http.client.HTTPResponse):

    def __init__(self, sock: socket.socket, *args: Any, **named: Any):
        self._stream = _LimitedStream(sock)
        super().__init__(self._stream, *args, **named)  # type: ignore[arg-type]

    def begin(self) -> None:
        self._stream.limit = MAX_HEADER_SIZE
        super().begin()
        self._stream.limit = None


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


def _location(response: Response) -> str:
    """Return the target of a redirect; raw UTF-8 in the header is decoded."""
    location = response.headers.get('location', '')
    if not location:
        raise Unavailable('Redirect without a Location header.')
    with contextlib.suppress(UnicodeError):
        return location.encode('latin-1').decode()
    return location


def _tls(verify: str | bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    except (OSError, ValueError) as error:
        raise Misconfigured(f'{verify} must be a file with certificate authorities: '
                            f'{error}') from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


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
        return Unavailable('No secure connection to the web server of this location.')
    if isinstance(error, _CONNECTION_ERRORS):
        return Unavailable('The web server of this location cannot be reached.')
    if isinstance(error, exceptions.ReadTimeoutError):
        return Unavailable('The web server of this location is too slow.')
    return Unavailable('The response of the web server of this location is incomplete or invalid.')


def _text_without_url(error: BaseException) -> str:
    """Return the text of the cause: that of some urllib3 errors contains the URL."""
    cause = error.__cause__ or error.__context__ or error
    return str(cause.args[-1] if cause.args else cause)
