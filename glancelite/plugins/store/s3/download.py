"""One download from S3, resumed after a broken connection."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.s3.client import Client
from glancelite.plugins.store.s3.errors import RequestFailed, translate_error

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20
_CONTENT_RANGE = re.compile(r'bytes (\d+)-(\d+)/(\d+)')


class Download(Iterator[bytes]):
    """The bytes of an object from ``offset`` on; the constructor sends the request.

    :param store: name of the store, for the log.
    :param target: bucket and credentials, for ``Client.call``.
    :param length: None for everything.
    :raises RangeNotSatisfiable: ``offset`` is beyond the end.
    :raises RequestFailed: the endpoint returned an error or no response.
    """

    def __init__(self, store: str, client: Client, key: str, target: Mapping[str, Any],
                 offset: int, length: int | None):
        self._store = store
        self._client = client
        self._key = key
        self._target = target
        self._body: Any = None
        self._etag = ''
        self._position = offset
        self._skip = 0
        self._failures = 0
        self._failure_position = offset
        self._connection_errors = client.connection_errors
        self._checksum_error = client.checksum_error
        if length == 0:
            self._remaining = 0
            self._check_offset(offset)
        else:
            self._open(offset, None if length is None else offset + length)

    def __next__(self) -> bytes:
        while self._remaining:
            try:
                data = self._body.read(min(CHUNK, self._skip or self._remaining))
                if not data:
                    raise OSError('the connection was closed before the end of the data')
                if self._skip:
                    self._skip -= len(data)
                    continue
                self._remaining -= len(data)
                self._position += len(data)
                if not self._remaining:
                    self._finish()
                return data
            except self._checksum_error as error:
                self.close()
                LOG.error('store %s: the checksum of %s is wrong: %s', self._store, self._key,
                          error)
                raise contract.Unavailable('The data in the store is damaged.') from error
            except self._connection_errors as error:
                self._resume(error)
        self.close()
        raise StopIteration

    def close(self) -> None:
        body, self._body, self._remaining = self._body, None, 0
        if body is not None:
            body.close()

    def _open(self, start: int, stop: int | None, **conditions: Any) -> None:
        """Request the bytes from ``start`` to before ``stop``."""
        headers: dict[str, Any] = {}
        if start or stop is not None:
            headers['Range'] = f'bytes={start}-{"" if stop is None else stop - 1}'
        try:
            response = self._client.call('get_object', Key=self._key, **self._target, **headers,
                                         **conditions)
        except RequestFailed as failure:
            if failure.status != 416:
                raise
            self._remaining = 0
            self._check_offset(start)
            return
        self._body = response['Body']
        self._etag = response.get('ETag', '')
        content_range = _CONTENT_RANGE.fullmatch(response.get('ContentRange') or '')
        if content_range:
            first, end = int(content_range[1]), int(content_range[2]) + 1
        else:   # the whole object: the endpoint does not support ranges
            first, end = 0, response['ContentLength']
            if start > end:
                self.close()
                raise store_rules.beyond_end(end)
        if first > start:
            self.close()
            raise contract.Unavailable('The store returned another range than requested.')
        self._skip = start - first
        self._remaining = (end if stop is None else min(stop, end)) - start

    def _check_offset(self, offset: int) -> None:
        """Check that an empty range does not begin beyond the end."""
        head = self._client.head_existing(self._key, **self._target)
        if offset > head['ContentLength']:
            raise store_rules.beyond_end(head['ContentLength'])

    def _finish(self) -> None:
        """Verify the checksum of the whole object, before its last chunk is returned."""
        body, self._body = self._body, None
        try:
            if hasattr(body, 'checksum'):
                body.read(1)
        finally:
            body.close()

    def _resume(self, error: BaseException) -> None:
        """Request the remaining bytes.

        :raises Unavailable: too many failures without progress.
        """
        remaining = self._remaining
        self.close()
        progress = self._position - self._failure_position
        self._failures = 1 if progress >= CHUNK else self._failures + 1
        self._failure_position = self._position
        LOG.warning('store %s: the download of %s broke at byte %d: %s', self._store, self._key,
                    self._position, error)
        if self._failures > self._client.retries:
            raise contract.Unavailable('The connection to the store broke.') from error
        conditions: dict[str, Any] = {'IfMatch': self._etag} if self._etag else {}
        try:
            self._open(self._position, self._position + remaining, **conditions)
        except RequestFailed as failure:
            raise translate_error(self._store, failure) from error
        if self._remaining != remaining:
            self.close()
            raise contract.Unavailable('The data in the store has changed.') from error
