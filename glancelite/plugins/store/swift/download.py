"""The bytes of an image, resumed where a conversation broke."""

from __future__ import annotations

import logging
import re

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift.account import Account, broken
from glancelite.plugins.store.swift.client import BROKEN
from glancelite.plugins.store.swift.location import Address

LOG = logging.getLogger(__name__)

#: bytes per chunk
CHUNK = 1 << 20

_TOTAL = re.compile(r'bytes (?:\*|\d+-\d+)/(\d+)\Z')


class Reading:
    """An iterator over a part of an object, opened already.

    :param retries: how often it may break.
    :raises RangeNotSatisfiable: the part begins beyond the end.
    """

    def __init__(self, account: Account, address: Address, offset: int, length: int | None,
                 retries: int):
        self._account = account
        self._address = address
        self._retries = retries
        self._download = None
        self._at = offset
        self._end = None if length is None else offset + length
        self._tag = None
        if length == 0:     # there is no header for nothing
            self._open_nothing()
        else:
            self._open()

    def __iter__(self):
        return self

    def __next__(self) -> bytes:
        while self._at < self._end:
            try:
                if self._download is None:
                    self._open()
                chunk = self._download.read(min(CHUNK, self._end - self._at))
                if chunk:
                    self._at += len(chunk)
                    return chunk
                raise ConnectionError('the data ended too early')
            except BROKEN as error:
                self._broke(broken(error))
            except contract.Unavailable as error:
                self._broke(error)
        self.close()
        raise StopIteration

    def close(self) -> None:
        self._let_go()
        self._account.close()

    def _broke(self, error):
        self._let_go()
        if not self._retries:
            self.close()
            raise error
        self._retries -= 1
        LOG.warning('a download from Swift broke at byte %s and is resumed', self._at)

    def _let_go(self):
        download, self._download = self._download, None
        if download is not None:
            download.close()

    def _open_nothing(self):
        size = int(self._account.head(self._address.container, self._address.name)
                   .get('Content-Length') or 0)
        if self._at > size:
            raise _beyond(size)

    def _open(self):
        """Ask for what is missing yet."""
        span = None
        if self._at or self._end is not None:
            span = f'{self._at}-{"" if self._end is None else self._end - 1}'
        found = self._account.open(self._address.container, self._address.name, span)
        try:
            self._begin(found)
        except BaseException:
            found.close()
            raise
        self._download = found

    def _begin(self, found):
        total = _total(found)
        if total is None:
            total = int(self._account.head(self._address.container, self._address.name)
                        .get('Content-Length') or 0)
        tag = found.headers.get('ETag'), total
        if self._tag is None:
            self._tag = tag
            if self._at > total:
                raise _beyond(total)
            self._end = total if self._end is None else min(self._end, total)
        elif tag != self._tag:
            raise contract.Unavailable('The data has changed while it was read.')
        if found.status == 416:     # there are answers without data to it, and with
            self._end = self._at
        elif found.status == 200:   # whoever is in between knows no ranges
            self._skip(found, self._at)

    def _skip(self, found, left):
        while left:
            data = found.read(min(CHUNK, left))
            if not data:
                raise ConnectionError('the data ended too early')
            left -= len(data)


def _total(found) -> int | None:
    """Length of the whole object, if an answer says it."""
    if found.status == 200:
        length = found.headers.get('Content-Length')
        return None if length is None else int(length)
    said = _TOTAL.match(found.headers.get('Content-Range') or '')
    return int(said.group(1)) if said else None


def _beyond(size):
    return store_rules.beyond_end(size)
