"""One download from S3: a stream that goes on after a broken connection."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.s3.client import Client, Refused, meaning

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20
_RANGE = re.compile(r'bytes (\d+)-(\d+)/(\d+)')


class Download(Iterator[bytes]):
    """The bytes of an object from ``offset`` on; opened before this returns.

    :param where: bucket and keys, for ``Client.call``.
    :param length: None for all.
    :raises RangeNotSatisfiable: ``offset`` is beyond the end.
    :raises Refused: the endpoint does not give it away.
    """

    def __init__(self, store: str, client: Client, key: str, where: Mapping[str, Any],
                 offset: int, length: int | None):
        self._store = store
        self._client = client
        self._key = key
        self._where = where
        self._body: Any = None
        self._etag = ''
        self._at = offset
        self._skip = 0
        self._failures = 0
        self._failed_at = offset
        self._broken = client.broken()
        self._damaged = client.damaged()
        if length == 0:
            self._left = 0
            self._check_end(offset)
        else:
            self._open(offset, None if length is None else offset + length)

    def __next__(self) -> bytes:
        while self._left:
            try:
                data = self._body.read(min(CHUNK, self._skip or self._left))
                if not data:
                    raise OSError('the connection was closed too early')
                if self._skip:
                    self._skip -= len(data)
                    continue
                self._left -= len(data)
                self._at += len(data)
                if not self._left:
                    self._finish()
                return data
            except self._damaged as error:
                self.close()
                LOG.error('store %s: the checksum of %s is wrong: %s', self._store, self._key,
                          error)
                raise contract.Unavailable('The data in the store is damaged.') from error
            except self._broken as error:
                self._go_on(error)
        self.close()
        raise StopIteration

    def close(self) -> None:
        body, self._body, self._left = self._body, None, 0
        if body is not None:
            body.close()

    def _open(self, start: int, stop: int | None, **conditions: str) -> None:
        """Ask for the bytes from ``start`` to before ``stop``."""
        wanted = {}
        if start or stop is not None:
            wanted['Range'] = f'bytes={start}-{"" if stop is None else stop - 1}'
        try:
            answer = self._client.call('get_object', Key=self._key, **self._where, **wanted,
                                       **conditions)
        except Refused as refused:
            if refused.status != 416:
                raise
            self._left = 0
            self._check_end(start)
            return
        self._body = answer['Body']
        self._etag = answer.get('ETag', '')
        given = _RANGE.fullmatch(answer.get('ContentRange') or '')
        if given:
            first, end = int(given[1]), int(given[2]) + 1
        else:   # the whole object, whatever we have asked for
            first, end = 0, answer['ContentLength']
            if start > end:
                self.close()
                raise _beyond(end)
        if first > start:
            self.close()
            raise contract.Unavailable('The store has answered another question.')
        self._skip = start - first
        self._left = (end if stop is None else min(stop, end)) - start

    def _check_end(self, offset: int) -> None:
        """A range without bytes is fine only if it does not begin after the end."""
        found = self._client.exists(self._key, **self._where)
        if found is None:
            raise store_rules.no_data()
        if offset > found['ContentLength']:
            raise _beyond(found['ContentLength'])

    def _finish(self) -> None:
        """See to the checksum of the whole, before its last chunk is handed out."""
        body, self._body = self._body, None
        try:
            if hasattr(body, 'checksum'):
                body.read(1)
        finally:
            body.close()

    def _go_on(self, error: BaseException) -> None:
        """Ask for what is missing, unless that was tried often enough to no avail."""
        left = self._left
        self.close()
        self._failures = 1 if self._at - self._failed_at >= CHUNK else self._failures + 1
        self._failed_at = self._at
        LOG.warning('store %s: reading %s broke at byte %d: %s', self._store, self._key,
                    self._at, error)
        if self._failures > self._client.retries:
            raise contract.Unavailable('The store broke off.') from error
        same = {'IfMatch': self._etag} if self._etag else {}
        try:
            self._open(self._at, self._at + left, **same)
        except Refused as refused:
            raise meaning(self._store, refused) from error
        if self._left != left:
            self.close()
            raise contract.Unavailable('The data in the store has changed.') from error


def _beyond(size: int) -> contract.RangeNotSatisfiable:
    return store_rules.beyond_end(size)
