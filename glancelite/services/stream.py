"""The data of an upload on its way into a store: limited, counted, hashed, inspected."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from glancelite import contract
from glancelite.services import border
from glancelite.support.background import BackgroundCalls

LOG = logging.getLogger(__name__)

#: bytes passed to the hashing thread at once; less is not worth waking it.  Chunks are
#: smaller only if the client is slow, and then more would hold memory for long.
BATCH = 1 << 18
#: seconds between two looks whether a transfer is still wanted
CHECK_INTERVAL = 2.0


class InspectedStream(Iterator[bytes]):
    """Yields ``source`` unchanged; each chunk is inspected before the store gets it.

    ``with InspectedStream(source, inspections) as chunks: store.write(key, chunks)``; then
    read ``chunks.facts``.  The errors of inspections are raised in the store's iteration, so
    the store discards what it has written.  This includes the errors of ``finish()``, which
    is called before the store sees the end.

    Inspections without ``ACCEPTS_MEMORYVIEW`` get copies of views as ``bytes``.

    :param source: ``bytes``, or a ``memoryview`` of bytes that does not change afterwards;
        empty chunks are skipped.
    :param inspections: closed together with this, even if no chunk was read.
    """

    def __init__(self, source: Iterable[bytes],
                 inspections: Sequence[contract.Inspection] = ()):
        self._inspections = inspections
        self._facts: dict[str, object] | None = None
        self._flow = self._run(source)
        self._closed = False
        #: True if a chunk was asked for
        self.begun = False
        #: True if the source or an inspection has raised an error
        self.failed = False

    def _run(self, source: Iterable[bytes]) -> Iterator[bytes]:
        self.begun = True
        feeds = [each.feed if each.ACCEPTS_MEMORYVIEW else _with_bytes(each.feed)
                 for each in self._inspections]
        for chunk in source:
            if not chunk:
                continue
            for feed in feeds:
                feed(chunk)
            yield chunk
        facts: dict[str, object] = {}
        for inspection in self._inspections:
            facts.update(inspection.finish())
        self._facts = facts

    def __next__(self) -> bytes:
        try:
            return next(self._flow)
        except StopIteration:
            raise
        except BaseException:
            self.failed = True
            raise

    @property
    def facts(self) -> Mapping[str, object]:
        """The results of the inspections: fields of ``Image``.

        :raises RuntimeError: the store did not read to the end, so it cannot have stored
            everything.
        """
        if self._facts is None:
            raise RuntimeError('the store returned before it had read all the data')
        return self._facts

    def close(self) -> None:
        """Close the inspections; may be called twice."""
        if self._closed:
            return
        self._closed = True
        for inspection in self._inspections:
            inspection.close()

    def __enter__(self) -> InspectedStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def watched(source: Iterator[bytes], check: Callable[[], object]) -> Iterator[bytes]:
    """Yield ``source`` unchanged, and call ``check`` every two seconds; its errors end this.

    :param source: if it has a method ``watch(look)``, it calls ``look`` while it waits for
        its client, so a client that sends nothing is told as well.  Without one, ``check``
        is called between chunks only.
    :param check: ``Unavailable`` is ignored: the write that completes the transfer finds out.
    """
    look = _Looks(check)
    if (watch := getattr(source, 'watch', None)) is not None:
        watch(look)
    for chunk in source:
        look()
        yield chunk


class _Looks:
    """Calls ``check`` if the last call was some time ago."""

    def __init__(self, check: Callable[[], object]):
        self._check = check
        self._due = time.monotonic() + CHECK_INTERVAL

    def __call__(self) -> None:
        if time.monotonic() < self._due:
            return
        with contextlib.suppress(contract.Unavailable):
            self._check()
        # counted from now on, so that a slow database does not stop the data
        self._due = time.monotonic() + CHECK_INTERVAL


def _with_bytes(feed: Callable[[bytes], None]) -> Callable[[bytes], None]:
    return lambda chunk: feed(bytes(chunk))


class Foreign(contract.Inspection):
    """The inspection of a plugin; what it raises and returns is checked."""

    def __init__(self, inspector: contract.Inspector, inspection: contract.Inspection):
        self._inspector = inspector
        self._inspection = inspection
        self._feed = inspection.feed
        # the class says what the wrapper accepts
        self.ACCEPTS_MEMORYVIEW = inspection.ACCEPTS_MEMORYVIEW     # type: ignore[misc]

    def feed(self, chunk: bytes) -> None:
        with border.Calling(self._inspector):
            self._feed(chunk)

    def finish(self) -> Mapping[str, object]:
        with border.Calling(self._inspector):
            facts = self._inspection.finish()
        return border.check_facts(self._inspector, facts)

    def close(self) -> None:
        try:
            with border.Calling(self._inspector):
                self._inspection.close()
        except Exception:       # the upload has ended, in one way or the other
            LOG.exception('the inspector %s failed to close', self._inspector.name)


def inspect(inspector: contract.Inspector, image: contract.Image,
            ctx: contract.Context) -> contract.Inspection | None:
    """Start an inspection by a plugin; None if it does not examine the image."""
    with border.Calling(inspector):
        inspection = inspector.open(image, ctx=ctx)
    if inspection is None:
        return None
    if not isinstance(inspection, contract.Inspection):
        raise border.wrong(inspector, f'returned a {type(inspection).__name__} from open and no '
                                      'Inspection')
    return Foreign(inspector, inspection)


class Limit(contract.Inspection):
    """Stops an upload at the first chunk that exceeds a limit.

    :param most: bytes allowed.
    :param error: the class to raise; ``contract.QuotaExceeded`` if the limit is a quota.
    :param reason: the message for the user.
    """

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, most: int, error: type[contract.Error] = contract.TooLarge,
                 reason: str = ''):
        self._remaining = most
        self._error = error
        self._reason = reason or f'The image is larger than the {most} bytes allowed.'

    def skip(self, count: int) -> None:
        """Count bytes that are there already."""
        self._remaining -= count
        if self._remaining < 0:
            raise self._error(self._reason)

    def feed(self, chunk: bytes) -> None:
        self.skip(len(chunk))


class Exact(contract.Inspection):
    """Rejects an upload that is longer or shorter than announced.

    :param size: bytes announced.
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
    """Counts and hashes: ``size``, ``checksum``, ``os_hash_algo`` and ``os_hash_value``.

    Long uploads compute both hashes in parallel: md5 in the caller's thread, the other one
    in a background thread, which costs about as much.  An upload below ``BATCH`` does not
    start the thread.

    :param algorithm: any name that ``hashlib`` knows.
    :param checksum: also compute md5; without it there is no ``checksum``.
    :param ahead: number of batches that may wait for a hash, which then all have threads of
        their own; 0 for the above.  It is for callers that often wait for something else.
    :raises ValueError: the algorithm is unknown.
    """

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, algorithm: str = 'sha512', *, checksum: bool = True, ahead: int = 0):
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._checksum = checksum
        self._md5 = (hashlib.md5(usedforsecurity=False)
                     if checksum and algorithm != 'md5' else None)
        self._ahead = ahead
        self._size = 0
        self._batch: list[bytes] = []
        self._batched = 0
        self._helpers: list[BackgroundCalls[list[bytes]]] = []

    def feed(self, chunk: bytes) -> None:
        length = len(chunk)
        self._size += length
        self._batched += length
        self._batch.append(chunk)
        if self._batched >= BATCH:
            self._flush()

    def _flush(self) -> None:
        batch = self._batch
        if not self._helpers:
            self._start_helpers()
        for helper in self._helpers:
            helper.call(batch)
        for algorithm in self._hashes[len(self._helpers):]:
            _update(algorithm, batch)
        self._batch = []
        self._batched = 0

    @property
    def _hashes(self) -> list[Any]:
        return [self._hash] if self._md5 is None else [self._hash, self._md5]

    def _start_helpers(self) -> None:
        """Start a thread for each hash that is not computed by the caller."""
        apart = self._hashes if self._ahead else self._hashes[:-1]
        self._helpers = [BackgroundCalls(functools.partial(_update, algorithm), 'glancelite-hash',
                                         ahead=self._ahead or 1) for algorithm in apart]

    def finish(self) -> Mapping[str, object]:
        if self._helpers:
            self._flush()
            for helper in self._helpers:
                helper.finish()
        else:
            for algorithm in self._hashes:
                _update(algorithm, self._batch)
        facts: dict[str, object] = {'size': self._size, 'os_hash_algo': self._algorithm,
                                    'os_hash_value': self._hash.hexdigest()}
        if self._checksum:
            facts['checksum'] = (self._md5 or self._hash).hexdigest()
        return facts

    def close(self) -> None:
        for helper in self._helpers:
            helper.cancel()


def _update(algorithm: Any, batch: list[bytes]) -> None:
    for chunk in batch:
        algorithm.update(chunk)


class Verified(Iterator[bytes]):
    """The data of a whole image; the last chunk is held back until the hash was checked.

    So a client never receives as many bytes of damaged data as announced.

    :param chunks: closed together with this.
    :param on_checked: called with whether the data is intact, when it has been read.
    :raises Unavailable: before the last chunk, if the hash differs.
    :raises ValueError: the algorithm of the image's hash is unknown.
    """

    def __init__(self, chunks: Iterator[bytes], image: contract.Image,
                 on_checked: Callable[[bool], None] = lambda intact: None):
        self._chunks = chunks
        self._image = image
        self._on_checked = on_checked
        self._first: list[bytes] = []
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
        intact = self._hash.hexdigest() == (image.os_hash_value or image.checksum)
        self._on_checked(intact)
        if not intact:
            LOG.error('the data of image %s does not match its hash', image.id)
            raise damaged(image)
        if held:
            yield held

    def start(self) -> None:
        """Read as much as is needed for the first chunk, possibly everything.

        :raises Unavailable: this is the whole data, and it is damaged.
        """
        self._first.extend(itertools.islice(self._flow, 1))

    def __next__(self) -> bytes:
        return self._first.pop() if self._first else next(self._flow)

    def close(self) -> None:
        """Close the chunks, even if none was read."""
        contract.store.close_chunks(self._chunks)


def damaged(image: contract.Image) -> contract.Unavailable:
    """Return the error for users whose image has other data than it had."""
    return contract.Unavailable(f'The data of image {image.id} is damaged.')


def verified(chunks: Iterator[bytes], image: contract.Image,
             on_checked: Callable[[bool], None] = lambda intact: None) -> Iterator[bytes]:
    """Return ``chunks``, checked if the image has a hash; see ``Verified``."""
    if not (image.os_hash_value or image.checksum):
        return chunks
    try:
        return Verified(chunks, image, on_checked)
    except ValueError:
        LOG.warning('the hash algorithm %s of image %s is unknown', image.os_hash_algo, image.id)
        return chunks


class Unchanged(Digests):
    """Compares the data with the hash that the image has."""

    def __init__(self, image: contract.Image):
        super().__init__(image.os_hash_algo if image.os_hash_value and image.os_hash_algo
                         else 'md5', checksum=False)
        self._image = image

    def finish(self) -> Mapping[str, object]:
        facts = super().finish()
        if facts['os_hash_value'] != (self._image.os_hash_value or self._image.checksum):
            raise contract.WrongContent(str(damaged(self._image)))
        return {'size': facts['size']}
