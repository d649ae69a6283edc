"""The segments of one upload: written in order, and deleted after a failure."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.client
import io
import logging
import tempfile
import time
from collections.abc import Iterator

from glancelite import contract
from glancelite.plugins.store.swift.chunks import ChunkReader
from glancelite.plugins.store.swift.client import Response, UploadStream
from glancelite.plugins.store.swift.container import Container, get_etag
from glancelite.plugins.store.swift.errors import call_translated, check_created, translate_refusal

LOG = logging.getLogger(__name__)

#: how often a buffered segment is sent
MAX_ATTEMPTS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    name: str
    etag: str
    size: int


class SegmentWriter:
    """Writes segments in order.

    Swift needs a moment to write a segment to its disks.  So its response is read after the
    next segment has been sent: two requests are open at most, and no data is held for them.

    :param name: of the object.
    :param size: bytes per segment.
    :param buffer_dir: directory in which segments are buffered; None to send them directly.
    :ivar segments: those that Swift has stored.
    """

    def __init__(self, container: Container, name: str, size: int, buffer_dir: str | None):
        self._container = container
        self._name = name
        self._size = size
        self._buffer_dir = buffer_dir
        self._number = 0
        self._names: list[str] = []
        self._pending: tuple[str, UploadStream, int] | None = None
        self.segments: list[Segment] = []

    def write(self, reader: ChunkReader) -> None:
        """Write the next segment, with data from the reader."""
        self._number += 1
        name = f'{self._name}-{self._number:05}'
        if self._buffer_dir is None:
            self._write_directly(name, reader)
        else:
            self._write_buffered(name, reader)

    def finish(self) -> None:
        """Read the response to the last segment."""
        if self._pending is None:
            return
        (name, stream, size), self._pending = self._pending, None
        try:
            response = check_created(call_translated(stream.finish))
        finally:
            stream.abort()
        self.segments.append(Segment(name, get_etag(response.headers), size))

    def delete(self) -> None:
        """Delete all segments; log errors."""
        try:
            self.finish()   # otherwise the last segment could appear later
        except contract.Error as error:
            LOG.info('a segment of %s has failed, too: %s', self._name, error)
        for name in reversed(self._names):
            self._container.try_delete(name)

    def _write_directly(self, name: str, reader: ChunkReader) -> None:
        stream = self._container.open(name)
        with contextlib.ExitStack() as on_error:
            on_error.callback(stream.abort)
            self._names.append(name)
            size = 0
            for piece in reader.read(self._size):
                call_translated(stream.write, piece)
                size += len(piece)
            self.finish()
            on_error.pop_all()
        self._pending = name, stream, size

    def _write_buffered(self, name: str, reader: ChunkReader) -> None:
        """Write a segment to a file, and send it until Swift has stored it."""
        with contextlib.ExitStack() as stack:
            with _buffer_errors():
                file = stack.enter_context(tempfile.TemporaryFile(
                    dir=self._buffer_dir, buffering=0))
            checksum, size = hashlib.md5(usedforsecurity=False), 0
            for piece in reader.read(self._size):
                with _buffer_errors():
                    _write_all(file, piece)
                checksum.update(piece)
                size += len(piece)
            etag = checksum.hexdigest()
            self._send_until_stored(name, file, size, etag)
        self.segments.append(Segment(name, etag, size))

    def _send_until_stored(self, name: str, file: io.FileIO, size: int, etag: str) -> None:
        for attempt in range(MAX_ATTEMPTS):
            last = attempt == MAX_ATTEMPTS - 1
            try:
                response = self._send(name, file, size, etag)
            except contract.Unavailable:
                if last:
                    raise
            else:
                if response.status == http.client.CREATED:
                    return
                if (attempt and response.status == http.client.PRECONDITION_FAILED
                        and self._container.head(name).get('ETag') == etag):
                    return      # a former attempt has stored it
                if last or (response.status < 500
                            and response.status != http.client.REQUEST_TIMEOUT):
                    raise translate_refusal(response)
            LOG.warning('segment %s is sent again', name)
            time.sleep(0.5 * 2 ** attempt)

    def _send(self, name: str, file: io.FileIO, size: int, etag: str) -> Response:
        stream = self._container.try_open(name, size, {'ETag': etag})
        if isinstance(stream, Response):
            return stream
        if name not in self._names:
            self._names.append(name)
        try:
            call_translated(stream.write_file, file)
            return call_translated(stream.finish)
        finally:
            stream.abort()


def _write_all(file: io.FileIO, piece: bytes | memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest):]


@contextlib.contextmanager
def _buffer_errors() -> Iterator[None]:
    """Translate errors of the buffer directory."""
    try:
        yield
    except OSError as error:
        LOG.error('swift_upload_buffer_dir cannot be used: %s', error.strerror)
        raise contract.Unavailable('The store cannot buffer the data.') from error
