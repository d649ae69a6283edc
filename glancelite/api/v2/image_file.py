"""``/v2/images/{image_id}/file``: the bytes of an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from glancelite import contract
from glancelite.api import paging
from glancelite.api.errors import Refusal
from glancelite.api.message import CHUNK, Request, Response, whole_number
from glancelite.api.operation import operation
from glancelite.api.resource import Resource

MEDIA_TYPE = 'application/octet-stream'


class ImageFile(Resource):

    def __init__(self, core: Any):
        super().__init__()
        self._data = core.data
        self._images = core.images
        self._multi_store = core.settings.multi_store

    @operation('Take the data of an image.', gives='bytes', answers=(200, 204, 206))
    def get(self, request: Request, image_id: str) -> Response:
        environ = request.environ
        ctx = request.context
        wanted = environ.get('HTTP_RANGE')
        if wanted is not None and 'HTTP_IF_RANGE' in environ:
            tag = _tag(self._images.get(ctx, image_id))
            if tag is None or environ['HTTP_IF_RANGE'].strip() != tag:
                wanted = None
        found = self._data.download(ctx, image_id, range_header=wanted,
                                    content_range=environ.get('HTTP_CONTENT_RANGE'),
                                    prefer=_preferred(environ.get('QUERY_STRING')))
        if found is None:
            return Response.empty()
        image = found.image
        tag = _tag(image)
        if tag is not None and _knows(environ.get('HTTP_IF_NONE_MATCH'), tag):
            contract.store.close_chunks(found.chunks)
            return Response.empty(304, [('ETag', tag)])
        headers = [('Content-Type', MEDIA_TYPE), ('Content-Length', str(found.length)),
                   ('Accept-Ranges', 'bytes')]
        if tag is not None:
            headers.append(('ETag', tag))
        if image.checksum is not None:
            headers.append(('Content-MD5', image.checksum))
        if not found.partial:
            return Response(200, headers, _body(environ, found))
        last = found.offset + found.length - 1
        headers.append(('Content-Range', f'bytes {found.offset}-{last}/{image.size}'))
        return Response(206, headers, _body(environ, found))

    @operation('Give the data of an image.', takes='bytes', answers=(204,))
    def put(self, request: Request, image_id: str) -> Response:
        if request.media_type != MEDIA_TYPE:
            raise Refusal(415, f'The data of an image must be sent as {MEDIA_TYPE}.')
        announced = request.environ.get('HTTP_X_OPENSTACK_IMAGE_SIZE')
        size = (request.length if announced is None
                else whole_number(announced, 'x-openstack-image-size'))
        store = request.environ.get('HTTP_X_IMAGE_META_STORE') if self._multi_store else None
        self._data.upload(request.context, image_id, request.chunks(), size=size, store=store)
        return Response.empty()


def _preferred(query: str | None) -> str | None:
    """The stores that the caller names in ``?prefer=``."""
    if not query:
        return None
    return dict(paging.pairs(query)).get('prefer')


def _tag(image: contract.Image) -> str | None:
    value = image.os_hash_value or image.checksum
    return f'"{value}"' if value else None


def _knows(header: str | None, tag: str) -> bool:
    """Does ``If-None-Match`` name this entity tag?  Source: RFC 9110, section 13.1.2."""
    if header is None:
        return False
    return any(found.strip().removeprefix('W/') in (tag, '*') for found in header.split(','))


def _body(environ: Any, found: Any) -> Iterable[bytes]:
    """The body of a download, in the form that lets the server do least.

    A server that sends a file by its handle may do so from the first byte to
    the last whatever we say, so parts go that way only where the server is
    known to begin at the file's position and to stop at ``Content-Length``.
    """
    wrapper = environ.get('wsgi.file_wrapper')
    if wrapper is not None and isinstance(found.chunks, contract.FileExtent) and (
            not found.partial or environ.get('glancelite.sendfile')):
        return wrapper(SentFile(found.chunks, found.done,
                                moves='glancelite.sendfile' in environ), CHUNK)
    return Sent(found.chunks, found.done)


class Sent:
    """Bytes on their way to a client; ``close`` tells how many it took."""

    def __init__(self, chunks: Iterator[bytes], done: Any):
        self._chunks = chunks
        self._done = done
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self._sent += len(chunk)
        return chunk

    def close(self) -> None:
        """Called by the server at the end, whatever kind of end that is."""
        done, self._done = self._done, None
        if done is not None:
            try:
                contract.store.close_chunks(self._chunks)
            finally:
                done(self._sent)


class SentFile:
    """A part of a file, as something that ``wsgi.file_wrapper`` takes.

    :param moves: the server, where it sends by the handle, moves the file's
        position to where it has come.  Others may not: one that leaves the
        position at the start is taken to have sent all.
    """

    def __init__(self, extent: contract.FileExtent, done: Any, *, moves: bool):
        self._extent = extent
        self._file = extent.file
        self._done = done
        self._left = extent.length
        self._moves = moves
        self._others: Iterator[bytes] | None = None
        self._more = 0
        self.fileno = extent.file.fileno
        self.seek = extent.file.seek
        self.tell = extent.file.tell

    def read(self, size: int = -1) -> bytes:
        """Never beyond the end of the part; a little more than ``size`` from another copy."""
        if self._others is not None:
            return next(self._others, b'')
        try:
            chunk = self._file.read(self._left if size < 0 else min(size, self._left))
            if not chunk and self._left and size:
                raise OSError('the file is shorter than it was')
        except OSError as failure:
            self._others = self.rest(self._extent.length - self._left, failure)
            return next(self._others, b'')
        self._left -= len(chunk)
        return chunk

    def rest(self, sent: int, failure: OSError) -> Iterator[bytes]:
        """What comes after ``sent`` bytes, for a server that found the file broken there.

        :raises OSError: ``failure``, if there is no other copy.
        """
        fallback = self._extent.fallback
        if fallback is None:
            raise failure
        for chunk in fallback(sent, failure):
            self._more += len(chunk)
            yield chunk

    def close(self) -> None:
        """Called by the server at the end, whatever kind of end that is."""
        done, self._done = self._done, None
        if done is None:
            return
        extent = self._extent
        sent = self._file.tell() - extent.offset + self._more
        try:
            extent.close()
        finally:
            done(sent if sent or self._moves else extent.length)
