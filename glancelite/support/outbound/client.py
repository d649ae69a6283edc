"""A web client that keeps the rules for every connection, and is not easily held up."""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3 import exceptions

from glancelite.contract import Invalid, Misconfigured, Unavailable
from glancelite.support.outbound.rules import DEFAULT_PORTS, Rules, Target

LOG = logging.getLogger(__name__)

MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
#: bytes per second below which a server is taken for one that only keeps us busy
SLOWEST = 1 << 10
#: bytes in which an answer has to come to its point
LONGEST_HEAD = 1 << 20

_UNREACHED = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError,
              exceptions.ProxyError)


class Reply:
    """An answer whose body is still to come, as it is on the wire; ``close`` it."""

    def __init__(self, response: urllib3.BaseHTTPResponse, target: Target):
        self._response = response
        self._target = target
        self.status = response.status
        #: name (in any case) -> value
        self.headers: Mapping[str, str] = response.headers

    def read(self, amount: int) -> bytes:
        """So many bytes; fewer only at the end.

        :raises Unavailable: the body is cut, or too slow.
        """
        try:
            return self._response.read(amount, decode_content=False)
        except (exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            self.close()
            raise _meaning(error, self._target) from error

    def close(self) -> None:
        # a connection with an unread body is of no use to others
        self._response.close()
        self._response.release_conn()

    def forget(self) -> None:
        """``close``, and keep the connection for others if the body is short."""
        with contextlib.suppress(Unavailable):
            if self.read(1 << 12):
                self.read(1)
        self.close()


class Client:
    """Keeps connections open for the next request; may be used by many threads at once.

    :param verify: a file with certificate authorities, True for those of the system, or
        False for no checks of certificates.
    :param proxies: scheme -> proxy. It goes to the hosts then, not we: the rules for addresses
        are kept only as far as we can look the hosts up ourselves.
    :param connect_timeout: seconds for a connection.
    :param read_timeout: seconds of silence that a server may have; while we wait for it,
        it also has to send SLOWEST bytes per second in any time that long.
    :raises Misconfigured: there are no certificates in that file, or a proxy is no address.
    """

    def __init__(self, rules: Rules, *, verify: str | bool = True,
                 proxies: Mapping[str, str] | None = None,
                 connect_timeout: float = 10, read_timeout: float = 60):
        self._rules = rules
        common = {'maxsize': 8, 'ssl_context': _tls(verify), 'retries': False,
                  'timeout': urllib3.Timeout(connect=connect_timeout, read=read_timeout)}
        self._direct = _patient(urllib3.PoolManager(num_pools=32, **common))
        self._proxies = {scheme.strip().lower(): _patient(_proxy(address, common))
                         for scheme, address in (proxies or {}).items()}

    def check(self, url: str) -> Target:
        """As ``Rules.check``, and with a proxy as far as we can look."""
        target = self._rules.parse(url)
        self._addresses(target)
        return target

    def open(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask, and follow redirects.

        :param method: ``GET`` or ``HEAD``.
        :raises Invalid: the URL, or a redirect, leads where users may not send us.
        :raises Unavailable: nobody answers there, or nothing that makes sense.
        """
        target = self._rules.parse(url)
        authorization = target.authorization
        for _ in range(MOST_REDIRECTS + 1):
            reply = self._ask(method, target, {
                'Accept': '*/*', 'Accept-Encoding': 'identity', 'User-Agent': 'glancelite',
                **({'Authorization': authorization} if authorization else {}),
                **(headers or {}), 'Host': target.netloc})
            if reply.status not in REDIRECTS:
                return reply
            reply.forget()
            there = self._rules.parse(urllib.parse.urljoin(target.url, _location(reply)))
            same_origin = (there.scheme, there.netloc) == (target.scheme, target.netloc)
            authorization = there.authorization or (authorization if same_origin else None)
            target = there
        raise Invalid('The web server sends us from one place to the next.')

    def close(self) -> None:
        for pools in (self._direct, *self._proxies.values()):
            pools.clear()

    def _addresses(self, target: Target) -> list[str]:
        return self._rules.addresses(target, must_exist=target.scheme not in self._proxies)

    def _ask(self, method: str, target: Target, headers: Mapping[str, str]) -> Reply:
        """One request, to one of the addresses that were checked for it."""
        addresses = self._addresses(target)
        options = {'headers': headers, 'redirect': False, 'preload_content': False,
                   'decode_content': False}
        try:
            if proxy := self._proxies.get(target.scheme):
                response = _again(lambda: proxy.urlopen(method, target.url, **options))
            else:
                response = self._ask_direct(method, target, addresses, options)
        except (exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise _meaning(error, target) from error
        return Reply(response, target)

    def _ask_direct(self, method: str, target: Target, addresses: list[str],
                    options: Mapping[str, Any]) -> urllib3.BaseHTTPResponse:
        # a name is for the certificate only: the connection has an address, and cannot be
        # led elsewhere by another answer to the question where the host is
        named = {'server_hostname': target.host} if target.scheme == 'https' else {}
        for last, address in enumerate(addresses, 1 - len(addresses)):
            pool = self._direct.connection_from_host(address, target.port, target.scheme, named)
            try:
                return _again(lambda pool=pool: pool.urlopen(
                    method, target.path, assert_same_host=False, **options))
            except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError):
                if not last:
                    raise
        raise AssertionError('a host without addresses does not come here')


class _Stream(io.RawIOBase):
    """What comes from a server, as long as it does not try our patience."""

    def __init__(self, sock: socket.socket):
        self._raw = sock.makefile('rb', buffering=0)
        self._patience = sock.gettimeout()
        self._waited = 0.0
        self._got = 0
        #: how much may come before the next end of a head; None for any
        self.limit: int | None = None

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, 1 << 16)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._patience and self._waited > self._patience:
            if self._got < SLOWEST * self._patience:
                raise TimeoutError('the server is too slow')
            self._waited, self._got = 0.0, 0
        start = time.monotonic()
        count = self._raw.readinto(buffer) or 0
        if self._got:    # until the first bytes, it may think about the answer
            self._waited += time.monotonic() - start
        self._got += count
        if self.limit is not None:
            self.limit -= count
            if self.limit < 0:
                raise http.client.HTTPException('the head of the answer has no end')
        return count

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):

    def __init__(self, sock: socket.socket, *args: Any, **named: Any):
        self._stream = _Stream(sock)
        super().__init__(self._stream, *args, **named)  # type: ignore[arg-type]

    def begin(self) -> None:
        self._stream.limit = LONGEST_HEAD
        super().begin()
        self._stream.limit = None


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _Response


class _HTTPSConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


def _patient(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    manager.pool_classes_by_scheme = {'http': _HTTPPool, 'https': _HTTPSPool}
    return manager


def _again(ask: Any) -> urllib3.BaseHTTPResponse:
    """Ask; once more if the server gave a connection up that it had kept open."""
    try:
        return ask()
    except exceptions.ProtocolError as error:
        if not isinstance(error.args[-1], ConnectionError):
            raise
        return ask()


def _location(reply: Reply) -> str:
    """Where a redirect leads; with letters that are not in ASCII as they were meant."""
    location = reply.headers.get('location', '')
    if not location:
        raise Unavailable('The web server sends us to nowhere.')
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
    except (exceptions.HTTPError, ValueError):    # the address may hold a password
        raise Misconfigured('a proxy is written as host:port or http://host:port') from None


def _meaning(error: BaseException, target: Target) -> Unavailable:
    """What it means to the caller; the log says where it was, but not with which path."""
    LOG.info('%s://%s: %s: %s', target.scheme, target.netloc, type(error).__name__,
             _reason(error))
    if isinstance(error, exceptions.SSLError):
        return Unavailable('No safe connection to the web server of this location is possible.')
    if isinstance(error, _UNREACHED):
        return Unavailable('The web server of this location cannot be reached.')
    if isinstance(error, exceptions.ReadTimeoutError):
        return Unavailable('The web server of this location is too slow.')
    return Unavailable('The web server of this location does not answer as it should.')


def _reason(error: BaseException) -> str:
    """A text without the URL that some of these errors have in theirs."""
    cause = error.__cause__ or error.__context__ or error
    return str(cause.args[-1] if cause.args else cause)
