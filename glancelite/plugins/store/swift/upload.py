"""One upload to Swift, as one object or in segments."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import urllib.parse
from collections.abc import Callable, Iterable, Iterator

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift.chunks import ChunkReader, merge_small
from glancelite.plugins.store.swift.container import Container, get_etag
from glancelite.plugins.store.swift.errors import call_translated, check_created
from glancelite.plugins.store.swift.options import UploadOptions
from glancelite.plugins.store.swift.segments import Segment, SegmentWriter

#: bytes that are read before the first request; smaller data is sent with its length
READ_AHEAD = 1 << 20


class Upload:
    """Writes one object.

    :param before_long_upload: called before an upload that may take long.
    """

    def __init__(self, container: Container, name: str, options: UploadOptions,
                 before_long_upload: Callable[[], None]):
        self._container = container
        self._name = name
        self._options = options
        self._before_long_upload = before_long_upload

    def run(self, chunks: Iterator[bytes], size: int | None) -> int:
        """Send everything, or leave nothing; return the number of bytes."""
        merged = merge_small(chunks)
        first, length = [], 0
        for chunk in merged:
            first.append(chunk)
            length += len(chunk)
            if length > READ_AHEAD:
                break
        else:
            self._put(first, length)
            return length
        reader = ChunkReader(first, merged)
        if size is not None and length <= size < self._options.threshold:
            return self._put_stream(reader)
        self._before_long_upload()
        return self._write_segments(reader)

    # one object

    def _put(self, chunks: Iterable[bytes], size: int) -> None:
        if size:
            self._send(chunks, size)
        else:
            check_created(self._container.put_empty(self._name))

    def _put_stream(self, reader: ChunkReader) -> int:
        # without a length: the announced one may be wrong
        self._send(reader.read())
        return reader.size

    def _send(self, chunks: Iterable[bytes | memoryview], size: int | None = None) -> None:
        stream = self._container.open(self._name, size)
        with contextlib.ExitStack() as stack:
            stack.callback(stream.abort)
            for chunk in chunks:
                call_translated(stream.write, chunk)
            try:
                check_created(call_translated(stream.finish))
            except contract.Unavailable:
                self._container.try_delete(self._name)  # it may have been written nevertheless
                raise

    # segments

    def _write_segments(self, reader: ChunkReader) -> int:
        with contextlib.suppress(contract.NotFound):
            self._container.head(self._name)
            raise store_rules.key_in_use()
        writer = SegmentWriter(self._container, self._name, self._options.segment_size,
                               self._options.buffer_dir)
        with contextlib.ExitStack() as on_error:
            on_error.callback(writer.delete)
            while not reader.ended():
                writer.write(reader)
            writer.finish()
            self._join(writer.segments)
            on_error.pop_all()
        return reader.size

    def _join(self, segments: list[Segment]) -> None:
        """Write the manifest that makes one object of the segments."""
        etag = hashlib.md5(''.join(segment.etag for segment in segments).encode(),
                           usedforsecurity=False).hexdigest()
        prefix = urllib.parse.quote(f'{self._container.name}/{self._name}-')
        try:
            if not (self._options.static and self._put_static_manifest(segments, etag)):
                check_created(self._container.put(
                    self._name, headers={'X-Object-Manifest': prefix}))
        except contract.Unavailable:
            with contextlib.suppress(contract.Error):   # it may have been written nevertheless
                head = self._container.head(self._name)
                if get_etag(head) == etag or head.get('X-Object-Manifest') == prefix:
                    self._container.try_delete(self._name)
            raise

    def _put_static_manifest(self, segments: list[Segment], etag: str) -> bool:
        """Write the list of segments.

        :param etag: of the object.
        :returns: False if Swift does not support such lists, or none of this length.
        """
        folder = f'/{self._container.name}'
        body = json.dumps([{'path': f'{folder}/{segment.name}', 'etag': segment.etag,
                            'size_bytes': segment.size} for segment in segments])
        response = self._container.put(
            self._name, body.encode(), '?multipart-manifest=put',
            timeout=300 + len(segments))    # Swift checks every segment
        if response.status == http.client.REQUEST_ENTITY_TOO_LARGE:
            return False
        if (response.status == http.client.PRECONDITION_FAILED
                and get_etag(self._container.head(self._name)) == etag):
            return True     # the response was lost, and the client has repeated the request
        check_created(response)
        if (get_etag(response.headers) == etag or 'X-Static-Large-Object' in
                self._container.head(self._name)):
            return True
        self._container.try_delete(self._name)  # Swift has stored the list itself as the data
        return False
