"""The staging area: where the data of imports is until it is in the stores.

Any store that accepts data can be one.  The data of an image is a sequence of parts, each an
object of the store: so work that continues elsewhere goes on behind the last part.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import Context
from glancelite.services.stores.configured import ConfiguredStore
from glancelite.services.stores.stores import acceptable
from glancelite.support import buffers

#: bytes that are read from a file at once
CHUNK_SIZE = 4 << 20

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Staged:
    """Staged data.

    :ivar parts: ``(url, size)`` in the order of the data.
    :ivar node: the only node that can read it; None for any.
    :ivar pending: the key under which a part is being written, if any.  If the writer dies
        there may be data under it.
    :ivar hashes: the facts that ``stream.Digests`` has found, if all data was hashed.
    """

    parts: tuple[tuple[str, int], ...] = ()
    node: str | None = None
    pending: str | None = None
    hashes: Mapping[str, Any] | None = None

    @property
    def size(self) -> int:
        """Number of bytes."""
        return sum(size for _, size in self.parts)

    def to_json(self) -> Mapping[str, Any]:
        """Return it JSON-ready."""
        return {'parts': [list(part) for part in self.parts], 'node': self.node,
                'pending': self.pending, **({'hashes': self.hashes} if self.hashes else {})}

    @classmethod
    def from_json(cls, value: Any) -> Staged:
        """Return what ``to_json`` returned; nothing staged if ``value`` has another form."""
        try:
            return cls(tuple((str(url), int(size)) for url, size in value['parts']),
                       value.get('node'), value.get('pending'), value.get('hashes'))
        except (TypeError, KeyError, ValueError, AttributeError):
            return cls()


class StagingArea:
    """
    :param store: the store that has the data.
    :param node: the node whose processes alone reach the store; None if all do.
    :param part_size: bytes of a part; more if a chunk crosses the limit.
    """

    def __init__(self, store: ConfiguredStore, *, node: str | None, part_size: int):
        self._store = store
        self.node = node
        self.part_size = part_size
        self._buffers = buffers.Pool()

    @property
    def accepts_memoryview(self) -> bool:
        """True if chunks may be views of memory."""
        return self._store.kind.ACCEPTS_MEMORYVIEW

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: Context | None = None) -> tuple[str, int]:
        """Write one part.

        :returns: its URL, and its size.
        :raises TooLarge: the staging area is full.
        :raises Unavailable: the staging area does not answer, or does not accept data.
        """
        store = self._store
        try:
            written = store.write(key, acceptable(chunks, store.writer()), size=size, ctx=ctx)
        except contract.ReadOnly:
            raise contract.Unavailable('The staging area does not accept data.') from None
        return written.url, written.size

    def read(self, staged: Staged, *, views: bool = False) -> Iterator[bytes]:
        """Return the staged data.

        :param views: the chunks may be views of memory.
        :raises Unavailable: it is missing, or the staging area does not answer.
        """
        for url, size in staged.parts:
            try:
                chunks = self._store.read(url, ctx=None)
            except contract.NotFound:
                raise contract.Unavailable('Staged data is missing.') from None
            count = 0
            try:
                for chunk in self.views(chunks) if views else chunks:
                    count += len(chunk)
                    yield chunk
            except OSError as error:
                raise contract.Unavailable('Staged data cannot be read.') from error
            finally:
                contract.store.close_chunks(chunks)
            if count != size:
                raise contract.Unavailable('Staged data is damaged.')

    def views(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a file in large buffers, which are reused, and other data as it is."""
        if not (isinstance(chunks, contract.FileExtent) and hasattr(chunks.file, 'readinto')):
            yield from chunks
            return
        reader, left = buffers.Reader(chunks.file.readinto, self._buffers), chunks.length
        while left and (chunk := reader.read(min(left, CHUNK_SIZE))):
            left -= len(chunk)
            yield chunk     # type: ignore[misc]

    def of_glance(self, image_id: str) -> Staged | None:
        """Return the file in which Glance has staged the data of an image; None if there is none.

        :raises Unavailable: the staging area does not answer.
        """
        store = self._store
        store.reader()
        found = store.properties().get('data_dir')
        for directory in found if isinstance(found, list) else [found] if found else []:
            url = f'{store.schemes[0]}://{directory}/{image_id}'
            with contextlib.suppress(contract.NotFound, contract.Invalid):
                return Staged(((url, store.size(url, ctx=None)),), self.node)
        return None

    def path(self, staged: Staged) -> str | None:
        """Return the path of a file with all of the data; None if there is no such file."""
        if len(staged.parts) != 1:
            return None
        chunks = self._store.read(staged.parts[0][0], ctx=None)
        try:
            return getattr(chunks, 'path', None)
        finally:
            contract.store.close_chunks(chunks)

    def discard(self, staged: Staged) -> None:
        """Delete staged data.

        :raises Unavailable: the staging area does not answer; some of it may be left.
        """
        for url, _ in staged.parts:
            with contextlib.suppress(contract.NotFound):
                self._store.delete(url, ctx=None)
        if staged.pending is not None:
            self._store.discard(staged.pending, ctx=None)

    def health(self) -> str:
        """Check the store.

        :raises Misconfigured, Error: it cannot be used.
        """
        self._store.writer()
        return self._store.health()


def sized(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Yield chunks until they have ``most`` bytes or more."""
    count = 0
    for chunk in chunks:
        count += len(chunk)
        yield chunk
        if count >= most:
            return


def nonempty(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks that are not empty."""
    return (chunk for chunk in chunks if len(chunk))
