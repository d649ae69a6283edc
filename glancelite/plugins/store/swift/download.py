"""One download from Swift, resumed after a broken connection."""

from __future__ import annotations

import contextlib
import logging
import re

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift.account import Account
from glancelite.plugins.store.swift.client import CONNECTION_ERRORS, ResponseStream
from glancelite.plugins.store.swift.errors import translate_error
from glancelite.plugins.store.swift.location import ObjectLocation

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20
_TOTAL = re.compile(r'bytes (?:\*|\d+-\d+)/(\d+)\Z')


class Download:
    """The bytes of an object from ``offset`` on; the constructor sends the request.

    :param account: closed with the download.
    :param length: None for everything.
    :param retries: how often the connection may break.
    :raises RangeNotSatisfiable: ``offset`` is beyond the end.
    """

    def __init__(self, account: Account, target: ObjectLocation, offset: int,
                 length: int | None, retries: int):
        self._account = account
        self._target = target
        self._retries = retries
        self._stream: ResponseStream | None = None
        self._position = offset
        self._end: int | None = None if length is None else offset + length
        self._version: tuple[str | None, int] | None = None
        if length == 0:     # HTTP has no empty range
            size = self._head_size()
            if offset > size:
                raise store_rules.beyond_end(size)
        else:
            self._open()

    def __iter__(self) -> Download:
        return self

    def __next__(self) -> bytes:
        assert self._end is not None
        while self._position < self._end:
            try:
                if self._stream is None:
                    self._open()
                assert self._stream is not None
                chunk = self._stream.read(min(CHUNK, self._end - self._position))
                if chunk:
                    self._position += len(chunk)
                    return chunk
                raise ConnectionError('the connection was closed before the end of the data')
            except CONNECTION_ERRORS as error:
                self._on_error(translate_error(error))
            except contract.Unavailable as error:
                self._on_error(error)
        self.close()
        raise StopIteration

    def close(self) -> None:
        self._close_stream()
        self._account.close()

    def _on_error(self, error: contract.Error) -> None:
        """Let the download be resumed, or raise the error."""
        self._close_stream()
        if not self._retries:
            self.close()
            raise error
        self._retries -= 1
        LOG.warning('a download from Swift broke at byte %s; it is resumed', self._position)

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _head_size(self) -> int:
        head = self._account.head(self._target.container, self._target.name)
        return int(head.get('Content-Length') or 0)

    def _open(self) -> None:
        """Request the remaining bytes."""
        byte_range = None
        if self._position or self._end is not None:
            byte_range = f'{self._position}-{"" if self._end is None else self._end - 1}'
        with contextlib.ExitStack() as on_error:
            stream = self._account.open(self._target.container, self._target.name, byte_range)
            on_error.callback(stream.close)
            self._check(stream)
            on_error.pop_all()
        self._stream = stream

    def _check(self, stream: ResponseStream) -> None:
        """Check a response, and move to the first byte."""
        total = _total_size(stream)
        if total is None:
            total = self._head_size()
        version = stream.headers.get('ETag'), total
        if self._version is None:
            self._version = version
            if self._position > total:
                raise store_rules.beyond_end(total)
            self._end = total if self._end is None else min(self._end, total)
        elif version != self._version:
            raise contract.Unavailable('The data has changed during the download.')
        if stream.status == 416:    # such a response may have a body
            self._end = self._position
        elif stream.status == 200:  # the server, or a proxy, does not support ranges
            _skip(stream, self._position)


def _skip(stream: ResponseStream, size: int) -> None:
    while size:
        data = stream.read(min(CHUNK, size))
        if not data:
            raise ConnectionError('the connection was closed before the end of the data')
        size -= len(data)


def _total_size(stream: ResponseStream) -> int | None:
    """Return the size of the whole object, if the response has it."""
    if stream.status == 200:
        length = stream.headers.get('Content-Length')
        return None if length is None else int(length)
    total = _TOTAL.match(stream.headers.get('Content-Range') or '')
    return int(total.group(1)) if total else None
