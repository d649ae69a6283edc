"""The use case that sends the data of an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from glancelite import contract
from glancelite.contract import Context, Image
from glancelite.domain import ranges
from glancelite.services.layers import Layers
from glancelite.services.stream import verified


@dataclasses.dataclass(frozen=True, slots=True)
class Download:
    """The data of an image, or a range of it, ready to be sent.

    ``chunks`` yields ``length`` bytes from ``offset`` on; it may be a
    ``contract.FileExtent``.  Close it with ``contract.store.close_chunks``.
    Call ``done`` once with the number of bytes sent, also after a broken connection.
    """

    image: Image
    offset: int
    length: int
    partial: bool
    chunks: Iterator[bytes]
    done: Callable[[int], None]


class Downloads:
    """
    :param verify: hash whole downloads, and break off damaged ones before the end.
    """

    def __init__(self, layers: Layers, *, verify: bool = False):
        self._layers = layers
        self._verify = verify

    def open(self, ctx: Context, image_id: str, *, range_header: str | None = None,
             content_range: str | None = None, prefer: str | None = None) -> Download | None:
        """Open the data of an image, or a range of it.

        :param range_header: ``Range`` of the request.
        :param content_range: ``Content-Range`` of the request, which old clients send.
        :param prefer: comma-separated names of stores to try before the others.
        :returns: None if the image has no data.
        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not download, or the image is deactivated.
        :raises Invalid: several ranges, the store cannot read a range, or there is no
            such store.
        :raises RangeNotSatisfiable: the range is outside the image.
        :raises Unavailable: no store answers.
        """
        layers = self._layers
        image = layers.database.images.get(image_id, viewer=ctx.viewer)
        layers.policy.enforce(ctx, 'download_image', image)
        stores: Sequence[str] = ()
        if prefer is not None:
            layers.policy.enforce(ctx, 'download_from_store', image)
            stores = layers.stores.parse_preference(prefer)
        if image.status == 'deactivated' and not ctx.is_admin:
            raise contract.Forbidden(f'The requested image {image.id} has been deactivated. '
                                     'Image data download is forbidden.')
        if not image.active_locations or image.size is None:
            return None
        part = ranges.requested_range(range_header, content_range, image.size)
        offset, length = part or (0, image.size)
        chunks = layers.stores.read(image, offset=offset, length=length, ctx=ctx, prefer=stores)
        if chunks is None:
            return None
        if self._verify and part is None:
            chunks = verified(chunks, image)
        return Download(image, offset, length, part is not None, chunks,
                        lambda sent: layers.events.sent(ctx, image, sent=sent, expected=length))
