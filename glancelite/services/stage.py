"""The use case that receives data into the staging area, for an import that follows."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping

from glancelite import contract
from glancelite.contract import Context, Image, QuotaRequest
from glancelite.domain import imports, properties, status
from glancelite.services import import_lock, location_deletion, optimistic
from glancelite.services.layers import Layers
from glancelite.services.recovery import REQUEUED, Recovery, discard_leftovers
from glancelite.services.staged_hashes import keeps_data
from glancelite.services.staging import Staged
from glancelite.services.stream import Digests, Exact, InspectedStream, Limit, watched

LOG = logging.getLogger(__name__)


class Stages:
    """
    :param staged_time: seconds after which staged data that was not imported is discarded.
    :param abandon_after: seconds after which the staged data of a node that is away is given up.
    :param new_digests: hashes data that is stored as it is.
    """

    def __init__(self, layers: Layers, recovery: Recovery, *, staged_time: float = 86400,
                 abandon_after: float = 3600, new_digests: Callable[[], Digests] = Digests):
        self._layers = layers
        self._abandon_after = datetime.timedelta(seconds=abandon_after)
        self._area = layers.staging
        self._staged_time = datetime.timedelta(seconds=staged_time)
        self._new_digests = new_digests
        recovery.register(('uploading',), self._recover)

    def receive(self, ctx: Context, image_id: str, source: Iterator[bytes], *,
                size: int | None = None) -> Image:
        """Receive data into the staging area.

        :param source: non-empty ``bytes``; read once.
        :param size: number of bytes that the client announced; None if it announced none.
        :returns: the image, which is ``uploading`` now.
        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not change the image.
        :raises Conflict: the image is not queued, or another request stages data.
        :raises Gone: the image was deleted meanwhile.
        :raises TooLarge: the data exceeds a limit, or the capacity of the staging area.
        :raises Invalid: the number of bytes is not the one announced.
        :raises Unavailable: the staging area does not answer.
        """
        digests = self._new_digests() if keeps_data(self._layers) else None
        return _Stage(self._layers, ctx, size, self._staged_time, digests).run(image_id, source)

    def reaches(self, image: Image) -> bool:
        """Return whether this node has the staged data of an image, if there is any."""
        staged = imports.staged_of(image.properties) or {}
        return staged.get('node') in (None, self._layers.host.node)

    def discard(self, image: Image) -> None:
        """Delete the staged data of an image, if there is any.

        :raises Unavailable: the staging area does not answer.
        """
        staged = imports.staged_of(image.properties)
        if staged is not None:
            self._area.discard(Staged.from_json(staged))
        elif not image.locations:
            found = None
            with contextlib.suppress(contract.Unavailable):     # imports may not be used here
                found = self._area.of_glance(image.id)
            if found is not None:
                self._area.discard(found)

    def _recover(self, image: Image) -> bool:
        """Queue an image whose stager died, or whose data was not imported in time."""
        layers, records = self._layers, self._layers.database.images
        staged = imports.staged_of(image.properties) or {}
        if not self.reaches(image):
            # a process of that node does it, unless the node is away for long
            return self.is_abandoned(image.lease_until) and self._abandon(image)
        try:
            if import_lock.holder_of(layers, image) is not None:
                records.update(image, {'lease_until': layers.host.now() + self._staged_time})
                return False    # its import was accepted
            if location_deletion.is_pending(image.locations) or staged.get('leftovers'):
                return self._finish_deletions(image)
            # from now on the stager cannot succeed any more
            image = records.update(image, {
                'properties': imports.with_staged(image.properties,
                                                  {**staged, 'abandoned': True}),
                'lease_until': layers.leases.until()}, status={'uploading'})
            with layers.leases.hold(image):
                self._area.discard(Staged.from_json(staged))
                discard_leftovers(layers, image)
            records.update(image, {**REQUEUED, 'properties': imports.without_staged(
                imports.unlocked(image.properties))}, status={'uploading'})
        except (contract.Conflict, contract.NotFound):
            return False    # another process was faster
        LOG.warning('image %s is queued again: its data was not %s', image.id,
                    'staged completely' if staged.get('pending') else 'imported')
        return True

    def is_abandoned(self, due: datetime.datetime | None) -> bool:
        """Return whether a node has not done for long what was due then."""
        return due is not None and self._layers.host.now() - due > self._abandon_after

    def _abandon(self, image: Image) -> bool:
        """Queue an image whose data was staged on a node that is away."""
        try:
            self._layers.database.images.update(image, {
                **REQUEUED, 'properties': imports.without_staged(image.properties)},
                status={'uploading'})
        except (contract.Conflict, contract.NotFound):
            return False
        LOG.warning('image %s is queued again: the node with its staged data is away', image.id)
        return True

    def _finish_deletions(self, image: Image) -> bool:
        """Delete what a failed import has left in stores; the staged data stays."""
        layers = self._layers
        staged = dict(imports.staged_of(image.properties) or {})
        staged.pop('leftovers', None)
        image = layers.database.images.update(image, {'lease_until': layers.leases.until()})
        with layers.leases.hold(image):
            discard_leftovers(layers, image)
            locations = location_deletion.recover(layers, image)
            layers.database.images.update(image, {
                'locations': locations,
                **({'properties': imports.with_staged(image.properties, staged)}
                   if staged else {}),
                'lease_until': layers.host.now() + self._staged_time})
        return True


class _Stage:
    """One attempt to stage the data of an image: from ``queued`` to ``uploading``, or back."""

    def __init__(self, layers: Layers, ctx: Context, size: int | None,
                 staged_time: datetime.timedelta, digests: Digests | None):
        self._layers = layers
        self._area = layers.staging
        self._ctx = ctx
        self._size = size
        self._staged_time = staged_time
        self._digests = digests
        self._outcome_unknown = False
        self.image: Image
        self._key: str

    def run(self, image_id: str, source: Iterator[bytes]) -> Image:
        """Raises as ``Stages.receive`` does."""
        layers = self._layers
        self._begin(image_id)
        layers.events.image(self._ctx, 'image.update', self.image)
        try:
            limit = layers.quota.check(self._ctx, QuotaRequest(
                'stage_image', self.image.owner, bytes=self._size, image=self.image))
            with layers.leases.hold(self.image):
                staged = self._write(source, limit)
            written = self._record(staged)
            if written is None:
                raise self._gone()
        except BaseException:
            self._undo()
            raise
        layers.events.image(self._ctx, 'image.update', written)
        return written

    def _begin(self, image_id: str) -> None:
        layers = self._layers

        def changes(image: Image) -> Mapping[str, object]:
            layers.policy.enforce(self._ctx, 'modify_image', image)
            status.check_operation('stage', image)
            unlocked = import_lock.check(layers, image)
            self._key = f'{image.id}.{secrets.token_hex(8)}'
            cleared = properties.without_location_failure(unlocked)
            return {'status': 'uploading', 'size': self._size,
                    'properties': imports.with_staged(
                        cleared.get('properties', unlocked),
                        Staged(node=self._area.node, pending=self._key).to_json()),
                    'lease_until': layers.leases.until()}

        claimed = optimistic.change(layers.database.images, image_id, changes,
                                    viewer=self._ctx.viewer, status={'queued'})
        assert claimed is not None
        self.image = claimed

    def _write(self, source: Iterator[bytes], limit: int | None) -> Staged:
        inspections: list[contract.Inspection] = []
        if limit is not None:
            inspections.append(Limit(limit, contract.QuotaExceeded))
        inspections.append(Exact(self._size) if self._size is not None else _Count())
        if self._digests is not None:
            inspections.append(self._digests)
        with InspectedStream(watched(source, self._check), inspections) as stream:
            url, written = self._area.write(self._key, stream, size=self._size, ctx=self._ctx)
            if written != stream.facts['size']:
                raise contract.Unavailable('The staging area did not keep all of the data.')
            hashes = stream.facts if self._digests is not None else None
            return Staged(((url, written),), self._area.node, hashes=hashes)

    def _record(self, staged: Staged) -> Image | None:
        """Record the staged data; return the image, None if it is not owned any more.

        The answer to this write may be lost when the database fails.  Then a second write
        finds out; if that is not answered either, the data stays: the image may have it,
        and if not, the recovery discards it.
        """
        try:
            return self._change(lambda image: {
                'size': staged.size,
                'properties': imports.with_staged(image.properties, staged.to_json()),
                'lease_until': self._layers.host.now() + self._staged_time})
        except contract.Unavailable:
            self._outcome_unknown = True
            if self._change(lambda image: {'lease_until': self._layers.leases.until()}) is None:
                present = self._layers.database.images.get(self.image.id, viewer=None)
                found = Staged.from_json(imports.staged_of(present.properties))
                if found.parts == staged.parts:
                    self.image = dataclasses.replace(present, membership=self.image.membership)
                    return self.image
            self._outcome_unknown = False
            raise

    def _check(self) -> None:
        """:raises Gone: this stage cannot succeed any more."""
        try:
            image = self._layers.database.images.get(self.image.id, viewer=None)
        except contract.NotFound:
            raise self._gone() from None
        if not self._owns(image):
            raise self._gone()

    def _gone(self) -> contract.Gone:
        return contract.Gone(f'Image {self.image.id} was deleted while its data was staged.')

    def _owns(self, image: Image) -> bool:
        staged = imports.staged_of(image.properties) or {}
        return (image.status == 'uploading' and staged.get('pending') == self._key
                and not staged.get('abandoned'))

    def _change(self, change: Callable[[Image], Mapping[str, object]]) -> Image | None:
        written = optimistic.update(
            self._layers.database.images, self.image.id,
            lambda present: change(present) if self._owns(present) else None,
            status={'uploading'}, tries=None)
        if written is not None:
            self.image = dataclasses.replace(written, membership=self.image.membership)
        return written

    def _undo(self) -> None:
        """Discard the data and queue the image again, after a failure."""
        if self._outcome_unknown:
            return
        try:
            self._area.discard(Staged(pending=self._key))
        except contract.Error as error:     # its lease expires
            LOG.warning('staged data of image %s is left to the recovery: %s', self.image.id,
                        error)
            return
        queued = self._change(lambda image: {
            **REQUEUED, 'properties': imports.without_staged(image.properties),
            **({'lease_until': self._layers.leases.until()} if image.attempt else {})})
        if queued is not None:
            self._layers.events.image(self._ctx, 'image.update', queued)


class _Count(contract.Inspection):
    """Counts the bytes."""

    ACCEPTS_MEMORYVIEW = True

    def __init__(self) -> None:
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)

    def finish(self) -> Mapping[str, object]:
        return {'size': self._size}
