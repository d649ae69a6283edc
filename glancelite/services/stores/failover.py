"""Reading an image that has several copies: the next one goes on where one breaks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from glancelite import contract
from glancelite.contract import Context, FileExtent, Image, Location
from glancelite.services.stores.backend import Backend

LOG = logging.getLogger(__name__)


class Reading:
    """One download: the copies that were not tried yet, and what is wanted of them.

    :param copies: where to read, the best first.
    :param offset: first byte wanted.
    :param length: bytes wanted.
    """

    def __init__(self, image: Image, copies: Iterable[tuple[Backend, Location]], *,
                 offset: int, length: int, ctx: Context | None):
        self._image = image
        self._copies = list(reversed(list(copies)))
        self._offset = offset
        self._length = length
        self._ctx = ctx
        self._backend: Backend | None = None

    def start(self) -> Iterator[bytes] | None:
        """The bytes, from the first copy that opens.

        :returns: None if no store has them.
        :raises Unavailable: a store that should have them does not answer.
        :raises Unsupported: a part was asked for, and no store can.
        """
        reason: contract.Error | None = None
        while self._copies:
            try:
                return self._lasting(self._open(0), 0)
            except contract.NotFound:
                LOG.error('the bytes of image %s are missing in the store %s',
                          self._image.id, self._name)
            except contract.Error as error:
                LOG.warning('image %s cannot be read from the store %s: %s',
                            self._image.id, self._name, error)
                reason = error
        if reason is not None:
            raise reason
        return None

    def rest(self, given: int, failure: BaseException) -> Iterator[bytes]:
        """What comes after ``given`` bytes, from the next copy.

        :raises BaseException: ``failure``, if there is no other copy.
        """
        LOG.error('image %s broke off after %s bytes in the store %s: %s', self._image.id,
                  given, self._name, failure)
        if self._backend is not None:
            self._backend.note(failure)
        while self._copies:
            try:
                chunks = self._open(given)
            except contract.Error as error:
                LOG.warning('image %s cannot be read on from the store %s: %s',
                            self._image.id, self._name, error)
            else:
                LOG.warning('image %s goes on from the store %s', self._image.id, self._name)
                return self._lasting(chunks, given)
        raise failure

    @property
    def _name(self) -> str:
        return self._backend.name if self._backend is not None else 'that has it'

    def _open(self, given: int) -> Iterator[bytes]:
        backend, location = self._copies.pop()
        self._backend = backend
        try:
            store = backend.reader()
            offset, length = self._offset + given, self._length - given
            if offset == 0 and length == self._image.size:
                chunks = store.read(location.url, ctx=self._ctx)
            elif 'range' in backend.abilities:
                chunks = store.read(location.url, offset=offset, length=length, ctx=self._ctx)
            else:
                raise contract.Unsupported('this image can only be read as a whole')
        except contract.Error as error:
            backend.note(error)
            raise
        backend.note(None)
        return chunks

    def _lasting(self, chunks: Iterator[bytes], given: int) -> Iterator[bytes]:
        """The same bytes, outliving this copy if there is another one."""
        # without a hash nobody knows whether the others are the same
        if not self._copies or not (self._image.os_hash_value or self._image.checksum):
            return chunks
        if isinstance(chunks, FileExtent):
            chunks.fallback = lambda here, failure: self.rest(given + here, failure)
            return chunks
        return _Continued(self, chunks, given, self._length)


class _Continued:
    """Chunks that come from another copy when one breaks."""

    def __init__(self, reading: Reading, chunks: Iterator[bytes], given: int, length: int):
        self._reading = reading
        self._chunks = chunks
        self._given = given
        self._length = length

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            if self._given >= self._length:
                raise
            chunk = self._next_copy(OSError('the data is shorter than it was'))
        except Exception as error:  # whatever a driver or its library raises
            if self._given >= self._length:
                raise StopIteration from error      # the client has all that it wants
            chunk = self._next_copy(error)
        self._given += len(chunk)
        return chunk

    def _next_copy(self, failure: Exception) -> bytes:
        self.close()
        self._chunks = self._reading.rest(self._given, failure)
        return next(self._chunks)

    def close(self) -> None:
        contract.store.close_chunks(self._chunks)
