"""The bytes of an upload on their way into a store: limited, counted, hashed, inspected."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from glancelite import contract
from glancelite.support.background import BackgroundCalls

LOG = logging.getLogger(__name__)

#: Bytes handed to the hashing thread at once; less is not worth waking it for.
BATCH = 1 << 20


class tapped(Iterator[bytes]):
    """Yields ``source`` unchanged; every tap has seen a chunk before the store has.

    Inspections without ``ACCEPTS_MEMORYVIEW`` get copies of views as ``bytes``.

    ``with tapped(source, taps) as chunks: store.write(key, chunks)``; then
    ``chunks.facts``.  What a tap raises comes out of the store's ``next()``, so
    the store forgets what it has written: that is also true of the verdicts
    of ``finish()``, which are spoken before the store sees the end.

    :param source: ``bytes``, or a ``memoryview`` of them, that nobody changes
        afterwards; empty ones are left out.
    :param taps: closed together with this, even if nothing was ever pulled.
    """

    def __init__(self, source: Iterable[bytes], taps: Sequence[contract.Inspection] = ()):
        self._taps = taps
        self._facts: dict[str, object] | None = None
        self._flow = self._run(source)
        self._closed = False

    def _run(self, source: Iterable[bytes]) -> Iterator[bytes]:
        feeds = [tap.feed if tap.ACCEPTS_MEMORYVIEW else _with_bytes(tap.feed)
                 for tap in self._taps]
        for chunk in source:
            if not chunk:
                continue
            for feed in feeds:
                feed(chunk)
            yield chunk
        facts: dict[str, object] = {}
        for tap in self._taps:
            facts.update(tap.finish())
        self._facts = facts

    def __next__(self) -> bytes:
        return next(self._flow)

    @property
    def facts(self) -> Mapping[str, object]:
        """What the taps have found out: fields of ``Image``.

        :raises RuntimeError: the store did not pull to the end, so it cannot
            have stored everything.
        """
        if self._facts is None:
            raise RuntimeError('the store returned before it had seen all the data')
        return self._facts

    def close(self) -> None:
        """Close the taps; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        for tap in self._taps:
            tap.close()

    def __enter__(self) -> tapped:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def _with_bytes(feed: Callable[[bytes], None]) -> Callable[[bytes], None]:
    return lambda chunk: feed(bytes(chunk))


class Limit(contract.Inspection):
    """Stops an upload at the first chunk that goes beyond a limit.

    :param most: bytes that may pass.
    :param error: what to raise; ``contract.QuotaExceeded`` where a quota is the reason.
    :param reason: the sentence for the user.
    """

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, most: int, error: type[contract.Error] = contract.TooLarge,
                 reason: str = ''):
        self._left = most
        self._error = error
        self._reason = reason or f'The image is larger than the {most} bytes allowed.'

    def feed(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise self._error(self._reason)


class Exact(contract.Inspection):
    """Refuses an upload that is longer or shorter than was announced.

    :param size: bytes that have to come.
    """

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, size: int):
        self._size = size
        self._seen = 0

    def feed(self, chunk: bytes) -> None:
        self._seen += len(chunk)
        if self._seen > self._size:
            raise contract.Invalid(f'More data came than the {self._size} bytes announced.',
                                   announced=self._size)

    def finish(self) -> Mapping[str, object]:
        if self._seen != self._size:
            raise contract.Invalid(f'Only {self._seen} of the {self._size} bytes announced came.',
                                   announced=self._size, received=self._seen)
        return {'size': self._size}


class Digests(contract.Inspection):
    """Counts and hashes.  Facts: ``size``, ``checksum``, ``os_hash_algo``, ``os_hash_value``.

    Long uploads hash the two algorithms side by side: md5 in the caller's
    thread, the other one in a helper, which costs about as much.  An upload
    below ``BATCH`` never starts the helper.

    :param algorithm: any name that ``hashlib`` knows.
    :param checksum: also compute md5; without it there is no fact ``checksum``.
    :raises ValueError: nobody knows the algorithm.
    """

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, algorithm: str = 'sha512', *, checksum: bool = True):
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._checksum = checksum
        self._md5 = (hashlib.md5(usedforsecurity=False)
                     if checksum and algorithm != 'md5' else None)
        self._size = 0
        self._batch: list[bytes] = []
        self._batched = 0
        self._helper: BackgroundCalls[list[bytes]] | None = None

    def feed(self, chunk: bytes) -> None:
        length = len(chunk)
        self._size += length
        self._batched += length
        self._batch.append(chunk)
        if self._batched >= BATCH:
            self._flush()

    def _flush(self) -> None:
        batch = self._batch
        if self._md5 is None:
            _update(self._hash, batch)
        else:
            if self._helper is None:
                self._helper = BackgroundCalls(lambda batch: _update(self._hash, batch),
                                      'glancelite-hash')
            self._helper.call(batch)
            _update(self._md5, batch)
        self._batch = []
        self._batched = 0

    def finish(self) -> Mapping[str, object]:
        if self._helper is not None:
            self._helper.call(self._batch)
            _update(self._md5, self._batch)
            self._helper.finish()
        else:
            _update(self._hash, self._batch)
            if self._md5 is not None:
                _update(self._md5, self._batch)
        facts: dict[str, object] = {'size': self._size, 'os_hash_algo': self._algorithm,
                                    'os_hash_value': self._hash.hexdigest()}
        if self._checksum:
            facts['checksum'] = (self._md5 or self._hash).hexdigest()
        return facts

    def close(self) -> None:
        if self._helper is not None:
            self._helper.abandon()


def _update(algorithm: Any, batch: list[bytes]) -> None:
    for chunk in batch:
        algorithm.update(chunk)


class Verified(Iterator[bytes]):
    """The bytes of a whole image, the last of which only come if all are those of its hash.

    So a receiver who counts is not content with others.

    :param chunks: closed together with this.
    :raises Unavailable: before the last chunk, if they are others.
    :raises ValueError: nobody knows the algorithm of the image's hash.
    """

    def __init__(self, chunks: Iterator[bytes], image: contract.Image):
        self._chunks = chunks
        self._image = image
        self._hash = hashlib.new((image.os_hash_value and image.os_hash_algo) or 'md5',
                                 usedforsecurity=False)
        self._flow = self._run()

    def _run(self) -> Iterator[bytes]:
        image, held = self._image, b''
        for chunk in self._chunks:
            if held:
                yield held
            self._hash.update(chunk)
            held = chunk
        if self._hash.hexdigest() != (image.os_hash_value or image.checksum):
            LOG.error('the bytes of image %s are not those that were stored', image.id)
            raise contract.Unavailable(f'The data of image {image.id} is damaged.')
        if held:
            yield held

    def __next__(self) -> bytes:
        return next(self._flow)

    def close(self) -> None:
        """Close the chunks, even if nobody asked for the first."""
        contract.store.close_chunks(self._chunks)


def verified(chunks: Iterator[bytes], image: contract.Image) -> Iterator[bytes]:
    """``chunks``, checked if there is something to check them by."""
    if not (image.os_hash_value or image.checksum):
        return chunks
    try:
        return Verified(chunks, image)
    except ValueError:
        LOG.warning('nobody here knows the hash %s of image %s', image.os_hash_algo, image.id)
        return chunks
