"""The layer ``store``: keeps image data."""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import BinaryIO, ClassVar

from glancelite.contract.context import Context
from glancelite.contract.errors import ReadOnly, Unsupported
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import EMPTY, WriteResult

_USER_INFO = re.compile(r'\A([^:]*://)[^/?#]*@')


class FileExtent:
    """A part of an open file: an iterator of bytes that a server may pass to ``sendfile``.

    A store returns it from ``read`` where it can.  The extent owns the file.

    :param file: open for unbuffered or buffered binary reading.
    :param offset: first byte.
    :param length: number of bytes; all of them exist.
    :param chunk: bytes per read when the extent is iterated.
    :param path: where programs can open the file; None if they cannot.

    The core sets ``fallback`` if the image has another location.  It takes the number of
    bytes that came from this file and the failure; it returns the remaining bytes, or
    raises the failure.  Code that reads the file without the iterator calls it as well.
    """

    def __init__(self, file: BinaryIO, offset: int, length: int, chunk: int = 1 << 20,
                 path: str | None = None):
        self.file = file
        self.path = path
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
                raise OSError('the file was truncated')
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
            close_chunks(self._rest)


def close_chunks(chunks: Iterator[bytes]) -> None:
    """Release what a store opened for reading, if anything."""
    close = getattr(chunks, 'close', None)
    if close is not None:
        close()


class Store(Plugin):
    """Keeps data under keys.  It knows nothing of images, hashes or policies.

    Capabilities:

    ``write``
        accepts data, and so defines ``write``, ``delete`` and ``discard``.  Without it
        these are never called, and the store is shown as read-only.
    ``range``
        ``read`` honours ``offset`` and ``length``.  Without it the core reads whole
        objects only.
    ``adopt``
        users may add locations of data that is in the backend already; defines
        ``adopt``.
    ``share``
        the backend can give other projects read access; defines ``share``.

    ``NotFound`` means that one piece of data is gone: the core forgets it.  So a store raises
    it only while the root of all its data is in place.  If the directory, bucket, container
    or pool is away, or a share is not mounted, or the store may not look, each method below
    that needs the backend raises ``Unavailable``, also ``delete`` and ``discard``.  A store
    must not create a root anew in the place of one that it has used.

    Calls of several threads do not wait for each other: not while a source or a reader is
    slow, and not while the backend does not answer, which each call reports in time.
    No method holds all data in memory.

    Recorded URLs may be hostile, too: each method checks the URL that it gets.

    Users see the texts of errors: they contain no secrets, no paths and no addresses.  Only
    the text of ``health`` is for the operator; it contains no secrets.

    ``glancelite.contract.store_rules`` has the rule for keys and the texts of errors.
    """

    LAYER = 'store'
    CAPABILITIES = frozenset({'write', 'range', 'adopt', 'share'})
    REQUIRED_METHODS = MappingProxyType({
        'write': ('write', 'delete', 'discard'), 'adopt': ('adopt',), 'share': ('share',)})
    #: schemes of this driver's URLs, without the colon
    SCHEMES: ClassVar[tuple[str, ...]] = ()
    #: those of ``SCHEMES`` whose data is public: every user may add locations with them,
    #: other locations need the role ``service``
    PUBLIC_SCHEMES: ClassVar[tuple[str, ...]] = ()
    #: True if only this instance has the data, and it is lost with it (stores for tests).
    #: A service with such a store has one process.
    VOLATILE: ClassVar[bool] = False
    #: True if other nodes usually do not see the data, such as files in a directory
    NODE_LOCAL: ClassVar[bool] = False
    #: True if ``write`` accepts chunks that are read-only ``memoryview``, which saves a copy
    ACCEPTS_MEMORYVIEW: ClassVar[bool] = False

    @classmethod
    def section(cls, name: str) -> str:
        return cls.SECTION or name

    @classmethod
    def redact(cls, url: str) -> str:
        """Return a URL of this driver without its secrets, for display and logs.

        Override it if secrets are elsewhere than in the user information of the URL.
        """
        return _USER_INFO.sub(r'\1', url)

    @classmethod
    def reserved_defaults(cls, name: str, options: object) -> Mapping[str, object]:
        """Options for the service's own store ``name``, such as the staging store.

        :param options: the options that the operator has set, as attributes.
        :returns: values for options that are not set.
        """
        return EMPTY

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: Context | None = None) -> WriteResult:
        """Store everything that ``chunks`` yields, or nothing.

        The data is durable when this returns, and cannot be read before.  Of several writers
        of a key one succeeds, and existing data is never overwritten.  An exception raised by
        ``chunks`` passes through unchanged, and no data remains.

        :param key: see ``store_rules.KEY``; case counts.  The core uses no key twice, but
            the store must not rely on it.
        :param chunks: non-empty ``bytes`` of any length; iterated once, to the end and not
            beyond.  If
            ``ACCEPTS_MEMORYVIEW`` is set, a chunk may be a ``memoryview`` of bytes; it
            does not change while it is referenced.
        :param size: expected number of bytes, if known; it may be wrong.
        :param ctx: the caller, for stores that use the caller's rights.
        :returns: the URL, which only this driver interprets, the number of bytes, and
            metadata for the location.  The URL is printable, has one of ``SCHEMES``, no
            secrets, and ``owns`` accepts it.  The metadata is JSON-ready, without the name
            ``store``.
        :raises Conflict: the key has data, or is being written.
        :raises TooLarge: the backend is full.
        :raises Unavailable: the backend does not answer or rejects us.
        """
        raise ReadOnly('this store does not accept data')

    @abc.abstractmethod
    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: Context | None = None) -> Iterator[bytes]:
        """Open the data at ``url``; return an iterator, with ``close()`` if it needs one.

        The iterator yields non-empty ``bytes``.  It is independent of others for the same data.
        A reader may stop early, and close the iterator or just drop it.  If the data is deleted
        meanwhile, the iterator yields the right bytes or raises an error.

        Missing data is reported by this call, not by the first chunk.

        :param offset: first byte; at most the size.
        :param length: number of bytes; None, or more than there are, reads to the end.
        :raises NotFound: there is no data, but the place where it would be.
        :raises Invalid: the URL is not one of this store's.
        :raises Unsupported: a range was requested, without the capability.
        :raises RangeNotSatisfiable: ``offset`` is beyond the end.
        :raises Unavailable: the backend does not answer or rejects us.
        """

    @abc.abstractmethod
    def size(self, url: str, *, ctx: Context | None = None) -> int:
        """Return the size of the data at ``url`` in bytes; raises as ``read`` does.

        :returns: 0 also if the data is not this store's own and the backend does not say how
            long it is, as some web servers.
        """

    def delete(self, url: str, *, ctx: Context | None = None) -> None:
        """Delete the data at ``url``.

        :raises NotFound: there is no data, but the place where it would be.
        :raises Invalid: the URL is not one of this store's.
        :raises InUse: the data is still used; it stays.
        :raises Forbidden: the backend does not allow it, or what is there is not data of this
            store.
        :raises Unavailable: the backend does not answer or rejects us.
        """
        raise ReadOnly('this store does not delete data')

    def discard(self, key: str, *, ctx: Context | None = None) -> None:
        """Delete whatever an interrupted upload left under ``key``, if anything.

        The core calls it for keys that no image refers to, in every store that accepts data.
        It succeeds if there is nothing.

        :param ctx: on whose behalf it was written, if known; it may have a project and
            no token.
        :raises Unavailable: the backend does not answer or rejects us, or a process that was
            killed a moment ago seems to write still; the core tries it again.
        """
        raise ReadOnly('this store does not delete data')

    @abc.abstractmethod
    def owns(self, url: str) -> bool:
        """Return whether ``url`` belongs to this store, as it is configured.

        Used for locations without the name of a store.  Of two stores of one driver only
        one should return True.  ``url`` may be any text.  The answer needs no backend.
        """

    def adopt(self, url: str, *, ctx: Context | None = None) -> str:
        """Check a URL that a user adds as a location, and return it in normal form.

        Such URLs are hostile.  This method looks at the URL only and opens nothing; the
        core reads the data later, with ``size`` and ``read``, which check the URL again.

        :returns: the URL to record: printable, without secrets, in the form that ``write``
            returns.  ``owns`` accepts it, and adopting it again returns it.
        :raises Invalid: the URL is not one of this store's, or it leads to a place that
            must not be opened.  The text does not repeat secrets of the URL.
        """
        raise Unsupported('this store does not accept locations')

    def share(self, url: str, *, public: bool, projects: Sequence[str],
              ctx: Context | None = None) -> None:
        """Give read access to the data at ``url``, and take it from all others.

        The data stays as it is.

        :param public: give it to everybody.
        :param projects: give it to these projects.
        :raises NotFound: there is no data.
        :raises Unavailable: the backend does not answer or rejects us.
        """
        raise Unsupported('this store cannot give read access')

    def exclusive_resources(self) -> Collection[str]:
        """Name what no other store may use, such as directories.

        The service does not start if two of its stores name the same resource.  The names
        are texts that depend on the configuration only, and need no backend.
        """
        return ()

    def properties(self) -> Mapping[str, object]:
        """Return JSON-ready values for ``GET /v2/info/stores/detail``; no secrets.

        They are returned without the backend, too.
        """
        return {}
