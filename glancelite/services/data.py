"""Use cases that move image bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, QuotaRequest
from glancelite.domain import ranges, status
from glancelite.services import store_acls
from glancelite.services.layers import Layers
from glancelite.services.leases import REQUEUED
from glancelite.services.optimistic import TRIES
from glancelite.services.stream import Digests, Exact, Limit, tapped, verified

LOG = logging.getLogger(__name__)

#: how often an upload looks for room among others, and the seconds that it waits at most
#: before it does so for the second time; twice as long each time
TURNS = 6
TURN = 0.01


@dataclasses.dataclass(frozen=True, slots=True)
class Download:
    """Bytes on their way out.

    ``chunks`` yields ``length`` bytes from ``offset`` on; it may be a
    ``contract.FileExtent``, and it is to be closed if it can be.
    ``done`` takes the number of bytes that were sent, once, also if the
    receiver went away.
    """

    image: Image
    offset: int
    length: int
    partial: bool
    chunks: Iterator[bytes]
    done: Callable[[int], None]


class ImageData:
    """
    :param hashing_algorithm: a name that ``hashlib`` knows, for ``os_hash_value``.
    :param checksum: compute the md5 of uploads, too.
    :param verify: hash what is downloaded as a whole, and break off if it is damaged.
    """

    def __init__(self, layers: Layers, *, hashing_algorithm: str = 'sha512',
                 checksum: bool = True, verify: bool = False):
        self._layers = layers
        self._algorithm = hashing_algorithm
        self._checksum = checksum
        self._verify = verify

    def upload(self, ctx: Context, image_id: str, source: Iterator[bytes], *,
               size: int | None = None, store: str | None = None) -> Image:
        """Take the bytes of a queued image and make it active.

        :param source: non-empty ``bytes``; read once.
        :param size: bytes announced by the client; None if it did not say.
        :param store: name of a configured store; None for the default one.
        :returns: the active image.
        :raises NotFound: no such image for this caller.
        :raises Forbidden: not to this caller.
        :raises Invalid: no such store, formats not set, or not as many bytes as announced.
        :raises Conflict: the image is not queued.
        :raises Gone: somebody deleted the image meanwhile, or the store takes no data.
        :raises TooLarge: more bytes than the limits or the store leave.
        :raises WrongContent: the bytes are not what the image claims, or unsafe.
        :raises Unavailable: the store does not answer.
        """
        layers = self._layers
        image, store = self._claim(ctx, image_id, size, store)
        # what an import into several stores would have more to say about
        stored = {'os_glance_importing_to_stores': [], 'os_glance_failed_import': [],
                  **({'backend': store} if layers.stores.multi else {})}
        with contextlib.ExitStack() as undo:
            undo.callback(self._requeue, ctx, image)
            layers.events.image(ctx, 'image.update', image)
            try:
                image, limit = self._afford(ctx, image, size)
                layers.events.image(ctx, 'image.prepare', image, **stored)
                with layers.leases.hold(image):
                    image = self._store(ctx, image, source, size, limit, store, undo)
            except Exception as error:
                layers.events.failed(ctx, 'image.upload', _reason(error))
                raise
            undo.pop_all()
        layers.events.image(ctx, 'image.upload', image, **stored)
        layers.events.image(ctx, 'image.activate', image)
        layers.events.image(ctx, 'image.update', image)
        store_acls.share(layers, ctx, image)
        return image

    def _claim(self, ctx: Context, image_id: str, size: int | None,
               store: str | None) -> tuple[Image, str]:
        """Make a queued image ours, though others may change what it says of itself.

        :returns: the ``saving`` image, and the name of the store.
        """
        layers = self._layers
        images = layers.database.images
        for left in reversed(range(TRIES)):
            image = images.get(image_id, viewer=ctx.viewer)
            layers.policy.enforce(ctx, 'upload_image', image)
            chosen = layers.stores.choose(store)
            status.require('upload', image)
            changes = {**status.move(image, 'saving'), 'size': size,
                       'lease_until': layers.leases.until()}
            try:
                return images.update(image, changes, status={'queued'}), chosen
            except contract.Conflict:
                if not left:
                    raise
        raise AssertionError('the last try has returned or raised')

    def _afford(self, ctx: Context, image: Image, size: int | None) -> tuple[Image, int | None]:
        """Ask how many bytes the image may have.

        Uploads that race count with what they have promised, so that each may be refused
        because of the others.  Therefore who finds no room among others takes his promise
        back, and makes it again a moment later: as many pass as there is room for.

        :raises QuotaExceeded: too many, for all that is known.
        """
        layers = self._layers
        for number in range(1, TURNS + 1):
            try:
                return image, layers.quota.check(ctx, QuotaRequest('upload_image', image.owner,
                                                          bytes=size))
            except contract.QuotaExceeded:
                if (number == TURNS or size is None or image.owner is None
                        or layers.host.usage(image.owner).uploading < 2):
                    raise
            image = self._write(image, {'size': None}) or image
            time.sleep(random.uniform(0, TURN * 2 ** number))  # noqa: S311
            image = self._write(image, {'size': size}) or image
        raise AssertionError('the last turn has returned or raised')

    def _store(self, ctx: Context, image: Image, source: Iterator[bytes], size: int | None,
               limit: int | None, store: str, undo: contextlib.ExitStack) -> Image:
        layers = self._layers
        with tapped(source, self._taps(ctx, image, size, limit)) as stream:
            location, written = layers.stores.write(store, image.key, stream, size=size, ctx=ctx)
            undo.callback(self._take_back, ctx, image, location)
            facts = stream.facts
        if written != facts['size']:
            raise contract.Unavailable(f'the store kept {written} of {facts["size"]} bytes')
        if size is None:
            # what nobody announced counts from here on, so uploads that race see each other
            image = self._write(image, {'size': written}) or image
            layers.quota.check(ctx, QuotaRequest('upload_image', image.owner, bytes=written))
        active = self._activate(ctx, image, {
            'virtual_size': None, **facts, 'status': 'active', 'locations': (location,),
            'lease_until': None}, undo)
        if active is None:
            raise contract.Gone(f'Image {image.id} was deleted while its data arrived.')
        return active

    def _activate(self, ctx: Context, image: Image, changes: Mapping[str, object],
                  undo: contextlib.ExitStack) -> Image | None:
        """The write that makes the bytes the image's.

        Its answer may get lost when the database goes away.  Then a second
        write tells what became of it; if that is not answered either, the bytes
        stay where they are: they may be an active image's, and if they are
        not, the sweep removes them.
        """
        try:
            return self._write(image, changes)
        except Exception as error:
            later = undo.pop_all()
            # under another key from now on, so that no successor's bytes are removed
            if self._requeue(ctx, image, attempt=image.attempt + 1) is None:
                present = self._again(image)
                if present is not None and present.locations == changes['locations']:
                    LOG.warning('image %s is active, though the database did not say so: %s',
                                image.id, error)
                    return present
            undo.push(later)
            raise

    def _take_back(self, ctx: Context, image: Image, location: contract.Location) -> None:
        """Remove what was stored, or at least make way for the next upload."""
        try:
            self._layers.stores.delete(location, ctx=ctx)
        except contract.Error as error:
            LOG.warning('the bytes of a failed upload of image %s are still there: %s',
                        image.id, error)
            # under another name; who deletes the image has all its names swept
            self._requeue(ctx, image, attempt=image.attempt + 1)

    def _requeue(self, ctx: Context, image: Image, **more: object) -> Image | None:
        """Step back, and tell of it if that was not somebody else's doing.

        :returns: the image as written; None if it is not ours any more.
        """
        queued = self._write(image, {**REQUEUED, **more})
        if queued is not None:
            self._layers.events.image(ctx, 'image.update', queued)
        return queued

    def _taps(self, ctx: Context, image: Image, size: int | None,
              limit: int | None) -> list[contract.Inspection]:
        taps: list[contract.Inspection] = []
        if limit is not None:
            taps.append(Limit(limit, contract.QuotaExceeded))
        if size is not None:
            taps.append(Exact(size))
        taps.append(Digests(self._algorithm, checksum=self._checksum))
        with contextlib.ExitStack() as undo:
            for inspector in self._layers.inspectors:
                tap = inspector.open(image, ctx=ctx)
                if tap is not None:
                    undo.callback(tap.close)
                    taps.append(tap)
            undo.pop_all()
        return taps

    def _write(self, image: Image, changes: Mapping[str, object]) -> Image | None:
        """Change our own ``saving`` image, though others may change it as well.

        :returns: the image as written; None if it is not ours any more.
        """
        images = self._layers.database.images
        mine: Image | None = image
        while mine is not None and mine.status == 'saving' and mine.attempt == image.attempt:
            try:
                return images.update(mine, changes, status={'saving'})
            except contract.Conflict:
                mine = self._again(image)
            except contract.NotFound:
                break
        LOG.info('image %s went away during its upload', image.id)
        return None

    def _again(self, image: Image) -> Image | None:
        try:
            return self._layers.database.images.get(image.id, viewer=None)
        except contract.NotFound:
            return None

    def download(self, ctx: Context, image_id: str, *, range_header: str | None = None,
                 content_range: str | None = None,
                 prefer: str | None = None) -> Download | None:
        """The bytes of an image, or a part of them.

        :param range_header: ``Range`` of the request.
        :param content_range: ``Content-Range`` of the request, which old clients send.
        :param prefer: names of stores with commas between, to be tried before the others.
        :returns: None if the image has no data.
        :raises NotFound: no such image for this caller.
        :raises Forbidden: not to this caller, or the image is deactivated.
        :raises Invalid: several ranges, the store cannot read a part, or there is no
            such store.
        :raises RangeNotSatisfiable: the part lies outside the image.
        :raises Unavailable: no store answers.
        """
        layers = self._layers
        image = layers.database.images.get(image_id, viewer=ctx.viewer)
        layers.policy.enforce(ctx, 'download_image', image)
        stores: Sequence[str] = ()
        if prefer is not None:
            layers.policy.enforce(ctx, 'download_from_store', image)
            stores = layers.stores.preferred(prefer)
        if image.status == 'deactivated' and not ctx.is_admin:
            raise contract.Forbidden(f'The requested image {image.id} has been deactivated. '
                                     'Image data download is forbidden.')
        if not image.active_locations or image.size is None:
            return None
        part = ranges.wanted(range_header, content_range, image.size)
        offset, length = part or (0, image.size)
        chunks = layers.stores.read(image, offset=offset, length=length, ctx=ctx, prefer=stores)
        if chunks is None:
            return None
        if self._verify and part is None:
            chunks = verified(chunks, image)
        return Download(image, offset, length, part is not None, chunks,
                        lambda sent: layers.events.sent(ctx, image, sent=sent, wanted=length))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, contract.Error) else type(error).__name__
