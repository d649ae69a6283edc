"""The use case that sends the data of an image."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from glancelite import contract
from glancelite.contract import Context, Image
from glancelite.domain import ranges
from glancelite.services.layers import Layers
from glancelite.services.stream import Verified, damaged, verified


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


LOG = logging.getLogger(__name__)

#: seconds during which ranges of an image with damaged data are refused, and most such images
DAMAGED_TIME = 3600.0
MOST_DAMAGED = 1000


class _Damaged:
    """The images whose data was damaged when this process read all of it."""

    def __init__(self) -> None:
        self._found: dict[str, float] = {}
        self._lock = threading.Lock()

    def record(self, image: Image, intact: bool) -> None:
        """Remember whether the data of an image is intact."""
        with self._lock:
            self._found.pop(image.id, None)
            if not intact:
                self._found[image.id] = time.monotonic() + DAMAGED_TIME
                if len(self._found) > MOST_DAMAGED:
                    del self._found[next(iter(self._found))]

    def __contains__(self, image: Image) -> bool:
        return self._found.get(image.id, 0.0) > time.monotonic()


class Downloads:
    """
    :param verify: hash whole downloads, and break off damaged ones before the end.
    """

    def __init__(self, layers: Layers, *, verify: bool = False):
        self._layers = layers
        self._verify = verify
        self._damaged = _Damaged()

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
        :raises Unavailable: no store answers, or the data is known to be damaged.
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
        if not image.active_locations:
            return None
        if image.size is None:      # Glance left such images
            size = layers.stores.size_of(image, ctx=ctx)
            if size is None:
                return None
            image = dataclasses.replace(image, size=size)
        assert image.size is not None
        part = ranges.requested_range(range_header, content_range, image.size)
        if part is not None and image in self._damaged:
            raise damaged(image)
        offset, length = part or (0, image.size)
        chunks = layers.stores.read(image, offset=offset, length=length, ctx=ctx, prefer=stores)
        if chunks is None:
            return None
        if self._verify and part is None:
            chunks = self._verified(chunks, image)
        return Download(image, offset, length, part is not None, chunks,
                        lambda sent: layers.events.sent(ctx, image, sent=sent, expected=length))

    def _verified(self, chunks: Iterator[bytes], image: Image) -> Iterator[bytes]:
        """Return the chunks, checked.  The first one is read now, while a status can be sent.

        :raises Unavailable: there is one chunk only, and the data is damaged; or reading fails.
        """
        checked = verified(chunks, image, lambda intact: self._damaged.record(image, intact))
        if isinstance(checked, Verified):
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(checked.close)
                try:
                    checked.start()
                except contract.Error:
                    raise
                except Exception as error:      # whatever a driver or its library raises
                    LOG.exception('image %s cannot be read', image.id)
                    raise contract.Unavailable(
                        f'The data of image {image.id} cannot be read now.') from error
                on_failure.pop_all()
        return checked
