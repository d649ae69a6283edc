"""Reads an image that has several locations: if one fails, the next one continues."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from glancelite import contract
from glancelite.contract import Context, FileExtent, Image, Location
from glancelite.services.stores.configured import ConfiguredStore

LOG = logging.getLogger(__name__)


class FailoverRead:
    """One read: the locations that were not tried yet, and the range.

    :param candidates: stores with their locations, the best first.
    :param offset: first byte.
    :param length: number of bytes.
    """

    def __init__(self, image: Image, candidates: Iterable[tuple[ConfiguredStore, Location]], *,
                 offset: int, length: int, ctx: Context | None):
        self._image = image
        self._candidates = list(reversed(list(candidates)))
        self._offset = offset
        self._length = length
        self._ctx = ctx
        self._store: ConfiguredStore | None = None

    def start(self) -> Iterator[bytes] | None:
        """Return the data from the first location that opens.

        :returns: None if no store has the data.
        :raises Unavailable: a store that should have the data does not answer.
        :raises Unsupported: a range was requested, and no store can read one.
        """
        reason: contract.Error | None = None
        while self._candidates:
            try:
                return self._with_failover(self._open(0), 0)
            except contract.NotFound:
                LOG.error('the data of image %s is missing in the store %s',
                          self._image.id, self._store_name)
            except contract.Error as error:
                LOG.warning('image %s cannot be read from the store %s: %s',
                            self._image.id, self._store_name, error)
                reason = error
        if reason is not None:
            raise reason
        return None

    def resume(self, sent: int, failure: BaseException) -> Iterator[bytes]:
        """Return the data after the first ``sent`` bytes, from the next location.

        :raises BaseException: ``failure``, if there is no other location.
        """
        LOG.error('reading image %s from the store %s failed after %s bytes: %s',
                  self._image.id, self._store_name, sent, failure)
        if self._store is not None:
            self._store.record_result(failure)
        while self._candidates:
            try:
                chunks = self._open(sent)
            except contract.Error as error:
                LOG.warning('reading image %s cannot continue from the store %s: %s',
                            self._image.id, self._store_name, error)
            else:
                LOG.warning('reading image %s continues from the store %s', self._image.id,
                            self._store_name)
                return self._with_failover(chunks, sent)
        raise failure

    @property
    def _store_name(self) -> str:
        return self._store.name if self._store is not None else 'of its location'

    def _open(self, sent: int) -> Iterator[bytes]:
        self._store, location = self._candidates.pop()
        store = self._store
        try:
            store.reader()      # builds the driver, on which the capabilities may depend
            offset, length = self._offset + sent, self._length - sent
            if offset == 0 and length == self._image.size:
                chunks = store.read(location.url, ctx=self._ctx)
            elif 'range' in store.capabilities:
                chunks = store.read(location.url, ctx=self._ctx, offset=offset, length=length)
            else:
                raise contract.Unsupported('this image can only be read as a whole')
        except contract.Error as error:
            store.record_result(error)
            raise
        store.record_result(None)
        return chunks

    def _with_failover(self, chunks: Iterator[bytes], sent: int) -> Iterator[bytes]:
        """Return the same data, continued from another location after a failure."""
        # without a hash, nothing proves that the locations have the same data
        if not self._candidates or not (self._image.os_hash_value or self._image.checksum):
            return chunks
        if isinstance(chunks, FileExtent):
            chunks.fallback = lambda more, failure: self.resume(sent + more, failure)
            return chunks
        return _FailoverChunks(self, chunks, sent, self._length)


class _FailoverChunks:
    """Chunks that come from another location after a failure."""

    def __init__(self, read: FailoverRead, chunks: Iterator[bytes], sent: int, length: int):
        self._read = read
        self._chunks = chunks
        self._sent = sent
        self._length = length

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            if self._sent >= self._length:
                raise
            chunk = self._resume(OSError('the data was truncated'))
        except Exception as error:  # drivers and their libraries may raise anything
            if self._sent >= self._length:
                raise StopIteration from error      # the client has everything
            chunk = self._resume(error)
        self._sent += len(chunk)
        return chunk

    def _resume(self, failure: Exception) -> bytes:
        self.close()
        self._chunks = self._read.resume(self._sent, failure)
        return next(self._chunks)

    def close(self) -> None:
        contract.store.close_chunks(self._chunks)
