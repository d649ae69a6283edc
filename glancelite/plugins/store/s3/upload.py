"""One upload to S3: cut into parts that are sent side by side, in bounded memory."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.s3.client import Client, Refused

LOG = logging.getLogger(__name__)

MIB = 1 << 20
#: what S3 allows
PARTS = 10_000
LARGEST_PART = 5 << 30
LARGEST_OBJECT = 5 << 40
#: parts of one size before the next are twice as large, so that 5 TiB fit even if nobody
#: announced them
STEP = 900
#: what is shorter is copied together
SMALL = 64 << 10
#: metadata which tells our object from one that somebody else wrote at the same time
MARK = 'glancelite-write'


class Part:
    """The bytes of one request, as they came: a file for boto3 that copies nothing.

    ``read`` returns one piece after the other, however much was asked for: all its readers
    ask until nothing comes, and to cut pieces of a MiB into 16 KiB would only cost time.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray | memoryview] = []
        self._at = 0
        self._position = 0
        self.length = 0

    def add(self, piece: bytes | memoryview) -> None:
        self.length += len(piece)
        if len(piece) < SMALL:
            last = self._pieces[-1] if self._pieces else None
            if isinstance(last, bytearray) and len(last) < SMALL:
                last += piece
            else:
                self._pieces.append(bytearray(piece))
        else:
            self._pieces.append(piece)

    def __len__(self) -> int:
        return self.length

    def read(self, size: int = -1) -> bytes | bytearray | memoryview:
        if self._at == len(self._pieces):
            return b''
        piece = self._pieces[self._at]
        self._at += 1
        self._position += len(piece)
        return piece

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        if (offset, whence) != (0, 0):
            raise ValueError('only back to the start')
        self._at = self._position = 0
        return 0


class Cutter:
    """Cuts the source into parts; ``ended`` tells whether anything follows."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks = chunks
        self._rest: bytes | memoryview = b''
        self._part = Part()
        self.ended = False

    def gather(self, size: int) -> int:
        """Wait for the next ``size`` bytes, or for what is left.

        :returns: how many there are for ``take``.
        """
        part = self._part = Part()
        room = size
        piece = self._rest
        while True:
            while not piece:
                try:
                    piece = next(self._chunks)
                except StopIteration:
                    self.ended = True
                    return part.length
            if not room:
                break
            if len(piece) <= room:
                part.add(piece)
                room -= len(piece)
                piece = b''
            else:
                view = memoryview(piece)
                part.add(view[:room])
                piece, room = view[room:], 0
        self._rest = piece
        return part.length

    def take(self) -> Part:
        """What was gathered; kept alive by the caller only."""
        part, self._part = self._part, Part()
        return part

    def pieces(self) -> Iterator[bytes | memoryview]:
        """All that is left, as it comes."""
        if self._rest:
            yield self._rest
        if not self.ended:
            for chunk in self._chunks:
                if chunk:
                    yield chunk
        self.ended = True


class Stream:
    """A body that is sent while it comes; of a length that was promised.

    The last piece is held back until the source has said that it is the last: it may have
    an objection, and what is complete cannot be taken back.

    :param check: called before the last piece; may object, too.
    """

    def __init__(self, first: Part, rest: Iterator[bytes | memoryview], size: int,
                 check: Callable[[], None]):
        self._first = first
        self._rest = rest
        self._held: bytes | bytearray | memoryview = b''
        self._left = size
        self._size = size
        self._check = check
        self.started = False
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes | bytearray | memoryview:
        """The next piece, however much was asked for: see ``Part``."""
        try:
            if not self.started:
                self.started = True
                self._held = self._next()
            piece = self._held
            self._left -= len(piece)
            self._held = self._next() if piece else b''
            more = self._left < 0 or (self._held and not self._left)
            if more or (self._left and not self._held):
                raise contract.Invalid(f'{"More" if more else "Less"} data came than the '
                                       f'{self._size} bytes announced.')
            if piece and not self._held:
                self._check()
        except BaseException as failure:
            self.failure = failure
            raise
        return piece

    def _next(self) -> bytes | bytearray | memoryview:
        return self._first.read() or next(self._rest, b'')


def part_sizes(part: int, size: int | None) -> Iterator[int]:
    """How long the parts are to be: as short as their number allows.

    :param part: bytes of the shortest.
    :param size: bytes that are expected.
    """
    if size:
        fitting = -(-min(size, LARGEST_OBJECT) // PARTS)
        part = max(part, -(-fitting // MIB) * MIB)
        for _ in range(-(-size // part)):
            yield part
    while True:
        for _ in range(STEP):
            yield min(part, LARGEST_PART)
        part *= 2


class Senders:
    """The threads that send the parts of all uploads of a store."""

    def __init__(self, threads: int, name: str):
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._idle = threads

    @property
    def busy(self) -> bool:
        """Would one more part only wait, and its memory with it?"""
        return self._idle <= 0

    def submit(self, send: Callable[..., str], *arguments: object) -> concurrent.futures.Future:
        self._count(-1)
        try:
            task = self._pool.submit(send, *arguments)
        except BaseException:
            self._count(1)
            raise
        task.add_done_callback(lambda _: self._count(1))
        return task

    def _count(self, more: int) -> None:
        with self._lock:
            self._idle += more

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Upload:
    """
    :param window: bytes of parts that are held at once, if they are not larger than half of it;
        fewer where other uploads keep the senders busy.
    :param threshold: what is shorter goes in one request.
    """

    def __init__(self, client: Client, senders: Senders, key: str, *,
                 part: int, window: int, threshold: int):
        self._client = client
        self._senders = senders
        self._key = key
        self._part = part
        self._window = window
        self._threshold = threshold
        self._mark = uuid.uuid4().hex

    def run(self, chunks: Iterator[bytes], size: int | None) -> int:
        """Send everything, or leave nothing.

        :returns: the number of bytes.
        :raises Conflict: somebody else was faster.
        :raises Refused: the endpoint did not take it.
        """
        cutter = Cutter(chunks)
        sizes = part_sizes(self._part, size)
        length = cutter.gather(next(sizes))
        if cutter.ended and (not length or length < self._threshold):
            self._put(cutter.take())
            return length
        if (not cutter.ended and size and length < size < self._threshold
                and not self._client.checksums):
            self._stream(Stream(cutter.take(), cutter.pieces(), size, self._refuse_if_taken),
                         size)
            return size
        return self._in_parts(cutter, length, sizes)

    # in one request

    def _put(self, part: Part) -> None:
        try:
            self._create('put_object', Body=part if part.length else b'', Metadata=self._marked())
        except Refused as refused:
            self._settle(refused, part.length)

    def _stream(self, body: Stream, size: int) -> None:
        left = self._client.retries
        while True:
            try:
                self._create('put_object', Body=body, ContentLength=size, unsigned=True,
                             Metadata=self._marked())
                return
            except BaseException as failure:    # of the source, too
                error = failure
            if body.failure is not None:
                raise body.failure  # boto3 has wrapped it
            if not isinstance(error, Refused):
                raise error
            if not (error.unclear and left) or body.started:
                self._settle(error, size)
                return
            left -= 1

    # in parts

    def _in_parts(self, cutter: Cutter, gathered: int, sizes: Iterator[int]) -> int:
        upload = self._client.call('create_multipart_upload', Key=self._key,
                                   Metadata=self._marked())['UploadId']
        try:
            etags, size = self._send(upload, cutter, gathered, sizes)
            self._refuse_if_taken()
            try:
                self._create('complete_multipart_upload', UploadId=upload, MultipartUpload={
                    'Parts': [{'PartNumber': number, 'ETag': etags[number]}
                              for number in sorted(etags)]})
            except Refused as refused:
                self._settle(refused, size)
        except BaseException:
            self._abort(upload)
            raise
        return size

    def _send(self, upload: str, cutter: Cutter, gathered: int,
              sizes: Iterator[int]) -> tuple[dict[int, str], int]:
        """Send the parts while the next one is gathered.

        :returns: what the endpoint called them, by number, and the bytes of all.
        """
        etags: dict[int, str] = {}
        under_way: dict[concurrent.futures.Future, tuple[int, int]] = {}
        total = held = 0
        number, length = 1, gathered
        try:
            while True:
                # the task has the only reference to its part
                task = self._senders.submit(self._send_part, upload, number, cutter.take())
                under_way[task] = number, length
                total += length
                held += length
                coming = 0 if cutter.ended else next(sizes)
                # there is always one on its way while the next is gathered
                while under_way and (cutter.ended or any(map(_done, under_way)) or (
                        (held + coming > self._window or self._senders.busy)
                        and len(under_way) > 1)):
                    done, _ = concurrent.futures.wait(
                        under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                    for each in done:
                        sent, freed = under_way.pop(each)
                        held -= freed
                        etags[sent] = each.result()
                if cutter.ended:
                    return etags, total
                number += 1
                if number > PARTS:
                    raise contract.TooLarge('The store does not take as much.')
                length = cutter.gather(coming)
        except BaseException:
            for task in under_way:
                task.cancel()
            # what arrives after the end of the upload could stay for ever
            concurrent.futures.wait(under_way)
            raise

    def _send_part(self, upload: str, number: int, part: Part) -> str:
        return self._client.call('upload_part', Key=self._key, UploadId=upload,
                                 PartNumber=number, Body=part)['ETag']

    def _abort(self, upload: str) -> None:
        try:
            self._client.call('abort_multipart_upload', Key=self._key, UploadId=upload)
        except Refused as refused:
            if refused.status != 404:
                LOG.warning('parts of %s may be left in the bucket: %s', self._key, refused)

    # names

    def _create(self, operation: str, **named: Any) -> None:
        """Make the object, if there is none."""
        if self._client.conditional:
            try:
                self._client.call(operation, Key=self._key, IfNoneMatch='*', **named)
                return
            except Refused as refused:
                body = named.get('Body')
                if refused.status != 501 or (isinstance(body, Stream) and body.started):
                    raise
                if isinstance(body, Part):
                    body.seek(0)
                self._client.conditional = False
        self._client.call(operation, Key=self._key, **named)

    def _refuse_if_taken(self) -> None:
        """Ask again before the end: Ceph knows no condition for the last request of an upload
        in parts, and Swift looks at the one of a single request only as that begins.
        """
        if self._client.exists(self._key) is not None:
            raise taken()

    def _settle(self, refused: Refused, size: int) -> None:
        """Return if the object is there in spite of the failure.

        An answer can get lost; who then asks again is told that the name is taken, or that
        there is no such upload.
        """
        if refused.unclear or refused.taken or refused.code == 'NoSuchUpload':
            try:
                found = self._client.exists(self._key)
            except Refused as again:
                LOG.warning('nobody knows whether %s is there now: %s', self._key, again)
                raise refused from again
            if (found and found.get('Metadata', {}).get(MARK) == self._mark
                    and found['ContentLength'] == size):
                return
        if refused.taken:
            raise taken() from refused
        raise refused

    def _marked(self) -> dict[str, str]:
        return {MARK: self._mark}


def _done(task: concurrent.futures.Future) -> bool:
    return task.done()


def taken() -> contract.Conflict:
    return store_rules.key_in_use()
