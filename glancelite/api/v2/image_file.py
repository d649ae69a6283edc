"""``/v2/images/{image_id}/file``: the data of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from glancelite import contract
from glancelite.api import paging
from glancelite.api.errors import HTTPError
from glancelite.api.message import CHUNK, Request, Response, parse_number
from glancelite.api.operation import operation
from glancelite.api.resource import Resource
from glancelite.assembly import Core
from glancelite.services.download import Download
from glancelite.support import buffers

MEDIA_TYPE = 'application/octet-stream'


class ImageFile(Resource):

    def __init__(self, core: Core):
        super().__init__()
        self._uploads = core.use_cases.uploads
        self._downloads = core.use_cases.downloads
        self._images = core.use_cases.images
        self._multi_store = core.settings.multi_store
        self._buffers = buffers.Pool()

    @operation('Download the data of an image.', returns='bytes', statuses=(200, 204, 206))
    def get(self, request: Request, image_id: str) -> Response:
        environ = request.environ
        ctx = request.context
        range_header = environ.get('HTTP_RANGE')
        if range_header is not None and 'HTTP_IF_RANGE' in environ:
            tag = _entity_tag(self._images.get(ctx, image_id))
            if tag is None or environ['HTTP_IF_RANGE'].strip() != tag:
                range_header = None
        download = self._downloads.open(
            ctx, image_id, range_header=range_header,
            content_range=environ.get('HTTP_CONTENT_RANGE'),
            prefer=_preferred_stores(environ.get('QUERY_STRING')))
        if download is None:
            return Response.empty()
        image = download.image
        tag = _entity_tag(image)
        if tag is not None and _matches(environ.get('HTTP_IF_NONE_MATCH'), tag):
            contract.store.close_chunks(download.chunks)
            return Response.empty(304, [('ETag', tag)])
        headers = [('Content-Type', MEDIA_TYPE), ('Content-Length', str(download.length)),
                   ('Accept-Ranges', 'bytes')]
        if tag is not None:
            headers.append(('ETag', tag))
        if image.checksum is not None:
            headers.append(('Content-MD5', image.checksum))
        if not download.partial:
            return Response(200, headers, _body(environ, download))
        last = download.offset + download.length - 1
        headers.append(('Content-Range', f'bytes {download.offset}-{last}/{image.size}'))
        return Response(206, headers, _body(environ, download))

    @operation('Upload the data of an image.', accepts='bytes', statuses=(204,))
    def put(self, request: Request, image_id: str) -> Response:
        check_media_type(request)
        size = announced_size(request)
        store = request.environ.get('HTTP_X_IMAGE_META_STORE') if self._multi_store else None
        data = request.data(self._buffers)
        self._uploads.receive(request.context, image_id, data, size=size, store=store)
        return Response.empty()


def check_media_type(request: Request) -> None:
    """
    :raises HTTPError: the body is not the data of an image.
    """
    if request.media_type != MEDIA_TYPE:
        raise HTTPError(415, f'The Content-Type of image data must be {MEDIA_TYPE}.')


def announced_size(request: Request) -> int | None:
    """Return the number of bytes that the client announces; None if it announces none.

    :raises Invalid: the header is no number.
    """
    announced = request.environ.get('HTTP_X_OPENSTACK_IMAGE_SIZE')
    return (request.length if announced is None
            else parse_number(announced, 'x-openstack-image-size'))


def _preferred_stores(query: str | None) -> str | None:
    """Return the value of the parameter ``prefer``."""
    if not query:
        return None
    return dict(paging.parse_query(query)).get('prefer')


def _entity_tag(image: contract.Image) -> str | None:
    value = image.os_hash_value or image.checksum
    return f'"{value}"' if value else None


def _matches(header: str | None, tag: str) -> bool:
    """Return whether ``If-None-Match`` matches a tag.  Source: RFC 9110, section 13.1.2."""
    if header is None:
        return False
    return any(item.strip().removeprefix('W/') in (tag, '*') for item in header.split(','))


def _body(environ: MutableMapping[str, Any], download: Download) -> Iterable[bytes]:
    """Return the body of a download, if possible as a file that the server sends itself.

    A server may send such a file from its first byte to its last, so a part of a file is
    sent that way only by a server that is known to begin at the position of the file and
    to stop at ``Content-Length``.
    """
    wrapper = environ.get('wsgi.file_wrapper')
    if wrapper is not None and isinstance(download.chunks, contract.FileExtent) and (
            not download.partial or environ.get('glancelite.sendfile')):
        body: Iterable[bytes] = wrapper(
            SentFile(download.chunks, download.done,
                     moves_position='glancelite.sendfile' in environ), CHUNK)
        return body
    return SentChunks(download.chunks, download.done)


class SentChunks:
    """The chunks of a download.

    :param done: called on ``close`` with the number of bytes that the server consumed.
    """

    def __init__(self, chunks: Iterator[bytes], done: Callable[[int], None]):
        self._chunks = chunks
        self._done: Callable[[int], None] | None = done
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self._sent += len(chunk)
        return chunk

    def close(self) -> None:
        """Called by the server at the end, successful or not."""
        done, self._done = self._done, None
        if done is not None:
            try:
                contract.store.close_chunks(self._chunks)
            finally:
                done(self._sent)


class SentFile:
    """A part of a file, for ``wsgi.file_wrapper``.

    :param done: called on ``close`` with the number of bytes that were sent.
    :param moves_position: a server that sends the file itself advances the position of
        the file.  Other servers may not: if the position is still at the start, all
        bytes are assumed to be sent.
    """

    def __init__(self, extent: contract.FileExtent, done: Callable[[int], None], *,
                 moves_position: bool):
        self._extent = extent
        self._file = extent.file
        self._done: Callable[[int], None] | None = done
        self._remaining = extent.length
        self._moves_position = moves_position
        self._fallback: Iterator[bytes] | None = None
        self._sent_by_fallback = 0
        self.fileno = extent.file.fileno
        self.seek = extent.file.seek
        self.tell = extent.file.tell

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes of the part; another copy may return a little more."""
        if self._fallback is not None:
            return next(self._fallback, b'')
        try:
            chunk = self._file.read(self._remaining if size < 0 else min(size, self._remaining))
            if not chunk and self._remaining and size:
                raise OSError('the file is shorter than it was')
        except OSError as failure:
            self._fallback = self.rest(self._extent.length - self._remaining, failure)
            return next(self._fallback, b'')
        self._remaining -= len(chunk)
        return chunk

    def rest(self, sent: int, failure: OSError) -> Iterator[bytes]:
        """Return the data after ``sent`` bytes from another copy.

        :param failure: the error of the first copy.
        :raises OSError: ``failure``, if there is no other copy.
        """
        fallback = self._extent.fallback
        if fallback is None:
            raise failure
        for chunk in fallback(sent, failure):
            self._sent_by_fallback += len(chunk)
            yield chunk

    def close(self) -> None:
        """Called by the server at the end, successful or not."""
        done, self._done = self._done, None
        if done is None:
            return
        extent = self._extent
        sent = self._file.tell() - extent.offset + self._sent_by_fallback
        try:
            extent.close()
        finally:
            done(sent if sent or self._moves_position else extent.length)
