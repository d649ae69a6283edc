"""The layer ``store``: where the bytes are."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import BinaryIO, ClassVar

from glancelite.contract.context import Context
from glancelite.contract.errors import ReadOnly, Unsupported
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Written


class FileExtent:
    """A part of an open file: an iterator of bytes that a server may hand to the kernel.

    A store returns it from ``read`` where it can; the file belongs to it.

    :param file: open for unbuffered or buffered binary reading.
    :param offset: first byte.
    :param length: bytes, all of which exist.
    :param chunk: bytes per read when nobody uses the kernel's way.

    ``fallback`` is set by the core where there is another copy: called with the bytes
    that came of this file and with what went wrong, it returns the rest, or raises
    what it was given.  Whoever reads the file past the iterator calls it as well.
    """

    def __init__(self, file: BinaryIO, offset: int, length: int, chunk: int = 1 << 20):
        self.file = file
        self.offset = offset
        self.length = length
        self.fallback: Callable[[int, BaseException], Iterator[bytes]] | None = None
        self._chunk = chunk
        self._left = length
        self._rest: Iterator[bytes] | None = None
        file.seek(offset)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._rest is not None:
            return next(self._rest)
        if self._left <= 0:
            self.close()
            raise StopIteration
        try:
            data = self.file.read(min(self._chunk, self._left))
            if not data:
                raise OSError('the file is shorter than it was')
        except OSError as error:
            if self.fallback is None:
                raise
            self._rest = iter(self.fallback(self.length - self._left, error))
            return next(self._rest)
        self._left -= len(data)
        return data

    def close(self) -> None:
        self.file.close()
        if self._rest is not None:
            close(self._rest)


def close(chunks: Iterator[bytes]) -> None:
    """Let go of what a store has opened for reading, if there is anything."""
    end = getattr(chunks, 'close', None)
    if end is not None:
        end()


class Store(Plugin):
    """Keeps bytes under a key.  Knows nothing of images, hashes or callers.

    Capabilities:

    ``write``
        takes data, and so brings ``write``, ``delete`` and ``discard``; without
        it they are never called and the store is shown as read-only.
    ``range``
        ``read`` honours ``offset`` and ``length``; without it, the core asks
        for whole objects only.
    ``adopt``
        users may point an image to data that they have put into the backend
        themselves, and so it brings ``adopt``.
    ``share``
        the backend can let other projects read, and so it brings ``share``.
    """

    LAYER = 'store'
    CAPABILITIES = frozenset({'write', 'range', 'adopt', 'share'})
    DEMANDS = MappingProxyType({'write': ('write', 'delete', 'discard'), 'adopt': ('adopt',),
                                'share': ('share',)})
    #: what the URLs of this driver start with, before the colon
    SCHEMES: ClassVar[tuple[str, ...]] = ()
    #: known to this instance only and forgotten with it, as only stores for tests may be:
    #: a service with such a store has one process
    VOLATILE: ClassVar[bool] = False
    #: ``write`` takes chunks that are read-only ``memoryview`` as well, which spares a copy
    BUFFERS: ClassVar[bool] = False

    @classmethod
    def section(cls, name: str) -> str:
        return cls.SECTION or name

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: Context | None = None) -> Written:
        """Store everything ``chunks`` yields, or nothing at all.

        The bytes are durable when this returns.

        :param key: 1-255 characters of ``[A-Za-z0-9._-]``, the first a letter or
            a digit; case counts.  The core uses no key twice; a store must not believe it.
        :param chunks: non-empty ``bytes`` of any length; pulled once, and to
            the end. Where ``BUFFERS`` says so, a chunk may be a ``memoryview`` of bytes
            instead; it does not change while anything refers to it.
        :param size: bytes to come, if known; a hint, not a promise.
        :param ctx: the caller, for stores that act with the caller's rights.
        :returns: where it is (opaque to everybody else) and its length in bytes.
        :raises Conflict: the key is taken, or just being written.
        :raises TooLarge: the backend is full.
        :raises Unavailable: the backend does not answer or refuses us.

        Whatever ``chunks`` raises passes through unchanged, and nothing remains.
        """
        raise ReadOnly('this store takes no data')

    @abc.abstractmethod
    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: Context | None = None) -> Iterator[bytes]:
        """The bytes at ``url``; an iterator, with ``close()`` if it holds anything.

        It opens before it returns: what is missing is reported here, not
        at the first chunk.

        :param offset: first byte wanted; at most the size.
        :param length: how many bytes; None, or more than there are, to the end.
        :raises NotFound: nothing is stored there.
        :raises Invalid: the URL is none of this store's.
        :raises Unsupported: a range, without the capability.
        :raises RangeNotSatisfiable: ``offset`` is beyond the end.
        :raises Unavailable: the backend does not answer or refuses us.
        """

    @abc.abstractmethod
    def size(self, url: str, *, ctx: Context | None = None) -> int:
        """Length of what is stored at ``url``, in bytes; raises as ``read`` does."""

    def delete(self, url: str, *, ctx: Context | None = None) -> None:
        """Remove what is stored at ``url``.

        :raises NotFound: nothing is stored there.
        :raises Invalid: the URL is none of this store's.
        :raises InUse: somebody builds on it; it stays.
        :raises Forbidden: the backend does not let us.
        :raises Unavailable: the backend does not answer.
        """
        raise ReadOnly('this store gives nothing up')

    def discard(self, key: str, *, ctx: Context | None = None) -> None:
        """Remove whatever a server that died left under ``key``; nothing there is fine.

        Called for keys to which no image points.

        :param ctx: for whom it was written, where that is known: perhaps a project and no token.
        """
        raise ReadOnly('this store gives nothing up')

    @abc.abstractmethod
    def owns(self, url: str) -> bool:
        """Would this store, as configured, be the one to read ``url``?

        Asked where nobody has recorded in which store a copy is: two stores of one driver
        should not both say yes.
        """

    def adopt(self, url: str, *, ctx: Context | None = None) -> str:
        """May an image be where a user says that it is?

        The user's word is hostile: this looks at the URL only and opens nothing. Whether there
        is data is asked later, with ``size`` and ``read``, which are as careful.

        :returns: the URL as it is to be kept: without secrets, written as ``write`` would.
        :raises Invalid: the URL is none of this store's, or leads where nobody may send us.
        """
        raise Unsupported('this store has only what it was given')

    def share(self, url: str, *, public: bool, projects: Sequence[str],
              ctx: Context | None = None) -> None:
        """Let others read what is stored at ``url``, and nobody else any more.

        :param public: everybody may.
        :param projects: these projects may.
        :raises NotFound: nothing is stored there.
        :raises Unavailable: the backend does not answer or refuses us.
        """
        raise Unsupported('this store lets nobody else read')

    def claims(self) -> Collection[str]:
        """What this store must have for itself, such as its directories.

        Two stores of one service with a claim in common stop the start.
        """
        return ()

    def properties(self) -> Mapping[str, object]:
        """JSON-ready facts for ``GET /v2/info/stores/detail``; no secrets."""
        return {}
