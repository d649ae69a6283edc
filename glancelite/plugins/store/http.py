"""Images on web servers; read-only."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.support import outbound
from glancelite.support.outbound import headers

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20


class HTTPStore(contract.Store):
    """Reads URLs that users name, if ``[import_filtering_opts]`` allows them.

    Loopback and link-local addresses must be listed in ``allowed_hosts``, ports other than
    80 and 443 in ``allowed_ports``. Redirects are checked in the same way. As in Glance,
    certificates are not checked unless ``https_insecure`` is false or
    ``https_ca_certificates_file`` is set. A service can have only one such store.
    """

    OPTS = outbound.client_opts(insecure=True)
    LIBRARY_OPTS = (outbound.register,)
    CAPABILITIES = frozenset({'range', 'adopt'})
    SCHEMES = PUBLIC_SCHEMES = ('http', 'https')

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'http',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        checked = outbound.checks_certificates(options)
        self._certificates = 'checked' if checked else 'not checked'
        if not checked:
            LOG.warning('store %s does not check the certificates of web servers, so anyone on '
                        'the network path can replace images: set https_insecure = false', name)
        self._client = outbound.make_client(options, conf)

    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: contract.Context | None = None) -> Iterator[bytes]:
        if offset == 0 and length is None:
            return _Body(self._request('GET', url), None)
        if length == 0:
            size = self._size(url)
            if size is None and offset:
                raise _unknown_size()
            _check_offset(offset, size or 0)
            return iter(())
        last = '' if length is None else offset + length - 1
        with contextlib.ExitStack() as on_failure:
            response = self._request('GET', url, {'Range': f'bytes={offset}-{last}'})
            on_failure.callback(response.close)
            body = self._range(response, url, offset, length)
            on_failure.pop_all()
        return body

    def size(self, url: str, *, ctx: contract.Context | None = None) -> int:
        return self._size(url) or 0

    def _size(self, url: str) -> int | None:
        """Return the size of the data; None if the web server does not report it."""
        response = self._request('HEAD', url)
        response.drain()
        # some servers report 0 when they do not know the size
        if response.status < 300 and (size := headers.content_length(response.headers)):
            return size
        response = self._request('GET', url, {'Range': 'bytes=0-0'})
        response.drain()
        if response.status != 200:
            size = headers.content_range(response.headers)[2]
        else:
            size = headers.content_length(response.headers)
            if size is None and not _is_without_length(response):
                raise _unknown_size()
        if size is None and response.status == 416:
            raise _unknown_size()
        return size

    def owns(self, url: str) -> bool:
        return url.partition('://')[0].lower() in self.SCHEMES and '://' in url

    def adopt(self, url: str, *, ctx: contract.Context | None = None) -> str:
        target = self._client.check(url)
        if target.authorization:
            raise contract.Invalid('The URL of a location must not contain a password: other '
                                   'users can see it.')
        return url      # with its fragment, which no request contains

    def exclusive_resources(self) -> Collection[str]:
        return ('all http and https URLs',)

    def health(self) -> str:
        return f'read-only; certificates are {self._certificates}'

    def close(self) -> None:
        self._client.close()

    def _request(self, method: str, url: str, asked: Mapping[str, str] | None = None,
                 ) -> outbound.Response:
        """Return a response with data; a response to a range request may have status 416.

        The response to ``HEAD`` may be an error other than 404 and 410, because some servers
        allow only ``GET``.
        """
        response = self._client.open(method, url, asked)
        status = response.status
        if status == 200 or (status in (206, 416) and asked):
            if headers.is_encoded(response.headers):
                response.close()
                raise contract.Unavailable('The web server sends the data with an encoding.')
            return response
        if status in (404, 410):
            failure: contract.Error = store_rules.no_data()
        elif method == 'HEAD' and status >= 400:
            return response
        else:
            LOG.info('store %s: a web server answered with status %d', self.name, status)
            failure = contract.Unavailable(f'The web server refuses the data ({status}).')
        response.drain()
        raise failure

    def _range(self, response: outbound.Response, url: str, offset: int,
               length: int | None) -> Iterator[bytes]:
        """Return the requested bytes from the response to a range request."""
        if response.status == 416:
            size = headers.content_range(response.headers)[2]
            response.drain()
            if size is None:
                size = self._size(url)
            if size is None:
                raise _unknown_size()
            _check_offset(offset, size)
            if offset < size:
                raise contract.Unavailable('The web server refuses this range of the data.')
            return iter(())
        if response.status == 200:     # the whole body: the server does not support ranges
            size = headers.content_length(response.headers)
            if size is not None:
                _check_offset(offset, size)
            _skip(response, offset)
            return _Body(response, length)
        first, last, size = headers.content_range(response.headers)
        if size is not None:
            _check_offset(offset, size)
            length = size - offset if length is None else min(length, size - offset)
        if last is None or first != offset or (length is not None and last != offset + length - 1):
            raise contract.Unavailable('The web server sends another range than requested.')
        return _Body(response, last - first + 1, exact=True)


class _Body:
    """The body of a response, as an iterator.

    :param length: number of bytes, at most; None for all.
    :param exact: raise an error if the body is shorter.
    """

    def __init__(self, response: outbound.Response, length: int | None, exact: bool = False):
        self._response = response
        self._remaining = length
        self._exact = exact

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        remaining = self._remaining
        data = b''
        if remaining != 0:
            data = self._response.read(CHUNK if remaining is None else min(CHUNK, remaining))
        if not data:
            self.close()
            if remaining and self._exact:
                raise contract.Unavailable('The web server sent only a part of the data.')
            raise StopIteration
        if remaining is not None:
            self._remaining = remaining - len(data)
        return data

    def close(self) -> None:
        self._response.close()


def _check_offset(offset: int, size: int) -> None:
    if offset > size:
        raise store_rules.beyond_end(size)


def _skip(response: outbound.Response, offset: int) -> None:
    position = 0
    while position < offset:
        data = response.read(min(CHUNK, offset - position))
        if not data:
            raise store_rules.beyond_end(position)
        position += len(data)


def _is_without_length(response: outbound.Response) -> bool:
    """Return whether the server sends the data without its length, as it may."""
    return ('content-length' not in response.headers
            or 'transfer-encoding' in response.headers)


def _unknown_size() -> contract.Unavailable:
    return contract.Unavailable('The web server does not report the size of the data.')
