"""The use case that receives the data of an image, and the recovery of interrupted uploads."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Iterator, Mapping

from glancelite import contract
from glancelite.contract import Context, Image, Location, QuotaRequest
from glancelite.domain import properties, status
from glancelite.services import import_lock, optimistic, store_acls
from glancelite.services.layers import Layers
from glancelite.services.recovery import REQUEUED, Recovery, owner_context
from glancelite.services.stream import Digests, Exact, InspectedStream, Limit, inspect, watched

LOG = logging.getLogger(__name__)

#: how often an upload checks the quota while other uploads hold reservations, and the seconds
#: that it waits at most before the second check; each later pause is up to twice as long
QUOTA_TRIES = 6
QUOTA_PAUSE = 0.01


class Uploads:
    """
    :param hashing_algorithm: a name that ``hashlib`` knows, for ``os_hash_value``.
    :param checksum: also compute the md5 of uploads.
    """

    def __init__(self, layers: Layers, recovery: Recovery, *, hashing_algorithm: str = 'sha512',
                 checksum: bool = True):
        self._layers = layers
        self._algorithm = hashing_algorithm
        self._checksum = checksum
        recovery.register(('saving',), self._recover)

    def receive(self, ctx: Context, image_id: str, source: Iterator[bytes], *,
                size: int | None = None, store: str | None = None) -> Image:
        """Receive the data of a queued image and make the image active.

        :param source: non-empty ``bytes``; read once.
        :param size: number of bytes that the client announced; None if it announced none.
        :param store: name of a configured store; None for the default one.
        :returns: the active image.
        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not upload.
        :raises Invalid: there is no such store, a format is not set, or the number of bytes
            is not the one announced.
        :raises Conflict: the image is not queued, or an import has locked it.
        :raises Gone: the image was deleted meanwhile, or the store does not accept data.
        :raises TooLarge: the data exceeds a limit or the capacity of the store.
        :raises WrongContent: the content does not match the image, or is unsafe.
        :raises Unavailable: the store does not answer.
        """
        digests = Digests(self._algorithm, checksum=self._checksum)
        upload = _Upload(self._layers, ctx, size, digests)
        image = upload.run(image_id, source, store)
        store_acls.share(self._layers, ctx, image)
        return image

    def _recover(self, image: Image) -> bool:
        """Discard the data of an abandoned upload and queue the image again.

        If a store does not answer, the image is queued all the same, with a lease: then its
        keys do not grow with each try, and another upload need not wait.
        """
        layers = self._layers
        images = layers.database.images
        try:
            # After the first write the upload cannot succeed any more. If this process dies
            # before the second one, the image is found again when the new lease expires.
            image = images.update(image, {'attempt': image.attempt + 1,
                                          'lease_until': layers.leases.until()},
                                  status={'saving'})
            # it may take longer than the lease, and another process would start again
            with layers.leases.hold(image):
                has_leftovers = not self._discard(image)
            images.update(image, {
                **REQUEUED, **({'lease_until': layers.leases.until()} if has_leftovers else {}),
            }, status={'saving'})
        except (contract.Conflict, contract.NotFound):
            return False    # another process was faster, or the upload is alive
        LOG.warning('the upload of image %s was abandoned; the image is queued again', image.id)
        return not has_leftovers

    def _discard(self, image: Image) -> bool:
        """Discard the data of an abandoned upload; return whether nothing is left."""
        try:
            for key in image.keys[:-1]:
                self._layers.stores.discard(key, ctx=owner_context(image))
        except contract.Error as error:
            LOG.warning('the data of an abandoned upload of image %s is discarded later: %s',
                        image.id, error)
            return False
        return True


class _Upload:
    """One attempt to upload the data of an image: from ``queued`` to ``active``, or back.

    ``image`` is the image as this upload wrote it last.
    """

    def __init__(self, layers: Layers, ctx: Context, size: int | None, digests: Digests):
        self._layers = layers
        self._ctx = ctx
        self._size = size
        self._digests = digests
        self.image: Image
        self._store: str
        self._location: Location | None = None      # of the data that was written
        self._outcome_unknown = False
        #: whether there may be data under the key, and whether it may appear there later
        self._may_have_data = False
        self._key_is_used = False
        #: whether data of former uploads is left, which the recovery discards
        self._has_leftovers = False

    def run(self, image_id: str, source: Iterator[bytes], store: str | None) -> Image:
        """Raises as ``Uploads.receive`` does."""
        layers, events, ctx = self._layers, self._layers.events, self._ctx
        self._begin(image_id, store)
        # consumers know these fields from imports into several stores
        stored = {'os_glance_importing_to_stores': [], 'os_glance_failed_import': [],
                  **({'backend': self._store} if layers.stores.multi else {})}
        try:
            events.image(ctx, 'image.update', self.image)
            try:
                limit = self._reserve()
                events.image(ctx, 'image.prepare', self.image, **stored)
                with layers.leases.hold(self.image):
                    self._activate(self._write_data(source, limit))
            except Exception as error:
                if isinstance(error, contract.Unavailable):
                    LOG.warning('the upload of image %s into the store %s failed: %s',
                                self.image.id, self._store, error)
                events.upload_failed(ctx, self.image, _reason(error))
                raise
        except BaseException:
            self._undo()
            raise
        events.image(ctx, 'image.upload', self.image, **stored)
        events.image(ctx, 'image.activate', self.image)
        events.image(ctx, 'image.update', self.image)
        return self.image

    def _begin(self, image_id: str, store: str | None) -> None:
        """Set ``saving`` on the queued image, and choose the store."""
        layers = self._layers

        def changes(image: Image) -> Mapping[str, object]:
            layers.policy.enforce(self._ctx, 'upload_image', image)
            self._store = layers.stores.choose(store)
            status.check_operation('upload', image)
            unlocked = import_lock.check(layers, image)
            self._has_leftovers = image.lease_until is not None
            return {**status.transition(image, 'saving'), 'size': self._size,
                    **({} if unlocked == image.properties else {'properties': unlocked}),
                    **properties.without_location_failure(unlocked),
                    'lease_until': layers.leases.until()}

        claimed = optimistic.change(layers.database.images, image_id, changes,
                                    viewer=self._ctx.viewer, status={'queued'})
        assert claimed is not None
        self.image = claimed

    def _reserve(self) -> int | None:
        """Return how many bytes the quota permits.

        The announced size of each pending upload counts, so concurrent uploads may refuse
        each other.  An upload refused only because of other pending uploads withdraws its
        reservation, waits and retries: as many succeed as the quota permits.

        :raises QuotaExceeded: the quota does not permit the upload.
        """
        for number in range(1, QUOTA_TRIES + 1):
            try:
                return self._check_quota(self._size)
            except contract.QuotaExceeded:
                owner = self.image.owner
                if (number == QUOTA_TRIES or self._size is None or owner is None
                        or self._layers.host.usage(owner).uploading < 2):
                    raise
            self._write({'size': None})
            time.sleep(random.uniform(0, QUOTA_PAUSE * 2 ** number))  # noqa: S311
            self._write({'size': self._size})
        raise AssertionError('the last try has returned or raised')

    def _check_quota(self, size: int | None) -> int | None:
        return self._layers.quota.check(
            self._ctx, QuotaRequest('upload_image', self.image.owner, bytes=size,
                                    image=self.image))

    def _write_data(self, source: Iterator[bytes], limit: int | None) -> Mapping[str, object]:
        """Write the data into the store.

        :returns: what is known of the data now: fields of ``Image``.
        """
        with InspectedStream(watched(source, self._check), self._inspections(limit)) as stream:
            self._may_have_data = self._key_is_used = True
            try:
                self._location, written = self._layers.stores.write(
                    self._store, self.image.key, stream, size=self._size, ctx=self._ctx)
                self._key_is_used = False
            except contract.ReadOnly:
                # before the first chunk, the store cannot have stored anything
                self._may_have_data = self._key_is_used = stream.begun
                raise
            except BaseException:
                # if the client's data was bad, the store has not begun to complete it
                self._key_is_used = not stream.failed
                raise
            facts = stream.facts
        if written != facts['size']:
            self._key_is_used = True
            raise contract.Unavailable(f'the store kept {written} of {facts["size"]} bytes')
        if self._size is None:
            # the size is known only now; recorded first, so that concurrent uploads see it
            self._write({'size': written})
            self._check_quota(written)
        return facts

    def _check(self) -> None:
        """:raises Gone: this upload cannot succeed any more."""
        present = self._present()
        if present is None or not self._owns(present):
            raise self._gone()

    def _inspections(self, limit: int | None) -> list[contract.Inspection]:
        inspections: list[contract.Inspection] = []
        if limit is not None:
            inspections.append(Limit(limit, contract.QuotaExceeded))
        if self._size is not None:
            inspections.append(Exact(self._size))
        inspections.append(self._digests)
        with contextlib.ExitStack() as opened:
            for inspector in self._layers.inspectors:
                inspection = inspect(inspector, self.image, self._ctx)
                if inspection is not None:
                    opened.callback(inspection.close)
                    inspections.append(inspection)
            opened.pop_all()
        return inspections

    def _activate(self, facts: Mapping[str, object]) -> None:
        """Make the image active.

        The answer to this write may be lost when the database fails.  Then a second write
        finds out; if that is not answered either, the data stays: it may belong to an
        active image, and if it does not, the recovery discards it.
        """
        changes = {'virtual_size': None, **facts, 'status': 'active',
                   'locations': (self._location,),
                   'lease_until': self._layers.leases.until() if self._has_leftovers else None}
        try:
            active = self._write(changes)
        except Exception as error:
            self._outcome_unknown = True
            # a later upload must use another key, as this data is discarded below, or else
            # by the recovery
            self._has_leftovers = True
            if self._requeue(attempt=self.image.attempt + 1) is None:
                present = self._present()
                if present is not None and present.locations == changes['locations']:
                    LOG.warning('image %s is active, though the database reported: %s',
                                self.image.id, error)
                    self.image = present
                    return
            self._outcome_unknown = False
            raise
        if active is None:
            raise self._gone()

    def _undo(self) -> None:
        """Discard the data and queue the image again, after a failure.

        The data of a write without an answer may appear after it was discarded, so the next
        upload uses another key, and the deletion of the image discards all its keys.
        """
        if self._outcome_unknown:
            return
        used = self._key_is_used
        if self._may_have_data:
            try:
                with self._layers.leases.hold(self.image):
                    self._layers.stores.discard(self.image.key, store=self._store, ctx=self._ctx)
            except contract.Error as error:
                LOG.warning('the data of a failed upload of image %s is left to the recovery: '
                            '%s', self.image.id, error)
                used = self._has_leftovers = True
        self._requeue(**({'attempt': self.image.attempt + 1} if used else {}))

    def _requeue(self, **more: object) -> Image | None:
        """Queue the image again, unless another process has changed its status.

        :returns: the image as written; None if it was not.
        """
        queued = self._change({
            **REQUEUED, **more,
            **({'lease_until': self._layers.leases.until()} if self._has_leftovers else {})})
        if queued is not None:
            self._layers.events.image(self._ctx, 'image.update', queued)
        return queued

    def _write(self, changes: Mapping[str, object]) -> Image | None:
        """Change the image while this upload owns it; ``image`` is then the result."""
        written = self._change(changes)
        if written is not None:
            self.image = written
        return written

    def _change(self, changes: Mapping[str, object]) -> Image | None:
        image = self.image

        def change(present: Image) -> Mapping[str, object] | None:
            return changes if self._owns(present) else None

        written = optimistic.update(self._layers.database.images, image.id, change,
                                    known=image, status={'saving'}, tries=None)
        if written is None:
            LOG.info('image %s was changed by another process during its upload', image.id)
        return written

    def _owns(self, present: Image) -> bool:
        return present.status == 'saving' and present.attempt == self.image.attempt

    def _gone(self) -> contract.Gone:
        return contract.Gone(f'Image {self.image.id} was deleted during its upload.')

    def _present(self) -> Image | None:
        try:
            return self._layers.database.images.get(self.image.id, viewer=None)
        except contract.NotFound:
            return None


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, contract.Error) else type(error).__name__
