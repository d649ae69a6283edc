"""Use cases about where the bytes of an image are."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import Context, Image, Location, QuotaRequest
from glancelite.domain import digests, status
from glancelite.services import location_deletion
from glancelite.services.hashing import Cancelled, Hashing
from glancelite.services.images import Images
from glancelite.services.layers import Layers
from glancelite.services.leases import REQUEUED, on_behalf_of
from glancelite.services.optimistic import persist, take_back

LOG = logging.getLogger(__name__)

#: who may point images to data that is not on the web
_SERVICES = frozenset({'service'})
_NO_HASHES = dict.fromkeys(digests.HASHES)


class Locations:
    """
    :param hashing_algorithm: for ``os_hash_value`` where the caller names none.
    :param secure_hash: read what users point to, to know its hash.
    """

    def __init__(self, layers: Layers, images: Images, *, hashing: Hashing,
                 hashing_algorithm: str = 'sha512', secure_hash: bool = True):
        self._layers = layers
        self._images = images
        self._hashing = hashing
        self._algorithm = hashing_algorithm
        self._secure = secure_hash
        if secure_hash:
            layers.leases.learn = self._resume

    def list(self, ctx: Context, image_id: str) -> Sequence[Location]:
        """Where the copies of an image are, the one to try first in front.

        :raises NotFound: no such image for this caller.
        :raises Forbidden: not to this caller.
        """
        image = self._layers.database.images.get(image_id, viewer=ctx.viewer)
        self._layers.policy.enforce(ctx, 'fetch_image_location', image)
        return self._layers.stores.shown(image)

    def add(self, ctx: Context, image_id: str, url: str,
            expected: Mapping[str, str] = contract.EMPTY) -> None:
        """Give a queued image the data at ``url``, which is in a store already.

        It ends where the caller looks for it, in the status of the image: data that is not
        there, or not what is expected, leaves it queued.

        :param expected: ``os_hash_algo`` and ``os_hash_value``, or nothing.
        :raises NotFound: no such image for this caller.
        :raises Forbidden: not to this caller, or not this kind of URL.
        :raises Conflict: the image is not queued.
        :raises Invalid: this URL on the web is not allowed, or these are no hashes.
        :raises QuotaExceeded: too many locations.
        """
        layers = self._layers
        if expected:
            expected = {**expected, 'os_hash_value': digests.check(
                expected['os_hash_algo'], expected['os_hash_value'])}
        image = layers.database.images.get(image_id, viewer=ctx.viewer)
        layers.policy.enforce(ctx, 'add_image_location', image)
        status.require('add_location', image)
        public = layers.stores.is_public(url)
        if not layers.stores.reads_public(url) and _SERVICES.isdisjoint(
                ctx.roles | ctx.service_roles):
            raise contract.Forbidden('Only a service may add a location with this kind of URL.')
        layers.quota.check(ctx, QuotaRequest('add_image_location', image.owner,
                                    locations=len(image.locations) + 1))
        try:
            location = layers.stores.adopt(url, ctx=ctx)
        except contract.Invalid as error:
            if public:
                raise
            LOG.warning('image %s cannot be where it is said to be: %s', image.id, error)
            return
        try:
            size = layers.stores.size(location, ctx=ctx)
            if not size:
                raise contract.Invalid('There is no data at this location.')
            self._give(ctx, image, location, size, expected)
        except contract.Error as error:
            LOG.warning('image %s cannot have the data it was pointed to: %s', image.id, error)

    def _give(self, ctx: Context, image: Image, location: Location, size: int,
              expected: Mapping[str, str]) -> None:
        """Make the data the image's, at once or when it has been read.

        :raises Conflict: somebody was faster.
        :raises Invalid: a format is not set.
        """
        records, events = self._layers.database.images, self._layers.events
        facts: dict[str, Any] = {'size': size, 'locations': (*image.locations, location)}
        if self._secure and expected:
            image = records.update(image, {
                **status.move(image, 'importing'), 'size': size,
                'lease_until': self._layers.leases.until()}, status={'queued'})
            events.image(ctx, 'image.update', image)
            self._submit(image, lambda: self._verify(ctx, image, facts, expected))
            return
        # the lease lets another process go on where this one dies
        changes = {**status.move(image, 'active'), **facts, **expected,
                   'lease_until': self._layers.leases.until() if self._secure else None}
        before, image = image, records.update(image, changes, status={'queued'})
        try:
            self._pay(ctx, image)
        except contract.Error:
            take_back(records, before, image, changes)
            raise
        events.image(ctx, 'image.update', image)
        if self._secure:
            self._submit(image, lambda: self._learn(ctx, image))

    def _pay(self, ctx: Context, image: Image) -> None:
        """
        :raises QuotaExceeded: its project may not have as many bytes.
        """
        self._layers.quota.check(
            ctx, QuotaRequest('add_image_location', image.owner, bytes=image.size))

    def _resume(self, image: Image) -> None:
        """Read an active image whose hash nobody knows, since whoever was at it has died."""
        LOG.warning('image %s has no hash yet; its data is read', image.id)
        self._submit(image, lambda: self._learn(on_behalf_of(image), image))

    def _submit(self, image: Image, work: Callable[[], None]) -> None:
        """Have ``work`` done in the background; until it is, the lease of ``image`` lives."""
        held = contextlib.ExitStack()
        held.enter_context(self._layers.leases.hold(image))

        def run() -> None:
            with held:
                work()

        try:
            self._hashing.submit(run)
        except BaseException:
            held.close()
            raise

    def _verify(self, ctx: Context, image: Image, facts: Mapping[str, Any],
                expected: Mapping[str, str]) -> None:
        """Read the data of an importing image; make it active if it is what was expected."""
        def mine(present: Image) -> bool:
            return present.status == 'importing' and present.lease_until is not None

        probe = dataclasses.replace(image, **facts)
        try:
            found = self._hashing.hashes(probe, expected['os_hash_algo'], ctx,
                                         lambda: self._still(image, mine))
            if found['os_hash_value'] != expected['os_hash_value']:
                raise contract.Invalid('the data has another hash than was said')
            changes = {**facts, **found, 'status': 'active', 'lease_until': None}
        except (contract.Error, Cancelled) as error:
            LOG.warning('image %s does not get the data it was pointed to: %s', image.id,
                        error or 'cancelled')
            changes = {**REQUEUED, **_NO_HASHES}
        written = self._write(image, mine, lambda present: changes)
        if written is not None and written.status == 'active':
            try:
                self._pay(ctx, written)
            except contract.Error as error:
                LOG.warning('there is no room for the data of image %s: %s', image.id, error)
                written = self._write(
                    image, lambda present: present.locations == facts['locations'],
                    lambda present: {**REQUEUED, **_NO_HASHES, 'locations': image.locations})
        if written is not None:
            self._layers.events.image(ctx, 'image.update', written)

    def _learn(self, ctx: Context, image: Image) -> None:
        """Read the data of an active image whose hash nobody knows."""
        def mine(present: Image) -> bool:
            return present.locations[:1] == image.locations[:1] and not present.os_hash_value

        changes: Mapping[str, object]
        try:
            changes = self._hashing.hashes(image, self._algorithm, ctx,
                                           lambda: self._still(image, mine))
        except Cancelled:
            return      # as long as there is no hash, the sweep finds the lease and begins anew
        except contract.Error as error:
            LOG.warning('image %s stays without a hash: %s', image.id, error)
            changes = {}
        written = self._write(image, mine, lambda present: {
            **changes, **location_deletion.without_lease(present.locations)})
        if changes and written is not None:
            self._layers.events.image(ctx, 'image.update', written)

    def _still(self, image: Image, mine: Callable[[Image], bool]) -> bool:
        try:
            return mine(self._layers.database.images.get(image.id, viewer=None))
        except contract.NotFound:
            return False

    def _write(self, image: Image, mine: Callable[[Image], bool],
               change: Callable[[Image], Mapping[str, object]]) -> Image | None:
        """Change what is ours still, whatever others have changed of it.

        :returns: None if it is not ours any more.
        """
        try:
            return persist(self._layers.database.images, image.id,
                           lambda present: change(present) if mine(present) else None)
        except contract.Conflict:
            LOG.error('image %s changes too often to be given its data', image.id)
            return None

    def remove_copy(self, ctx: Context, store: str, image_id: str) -> None:
        """Remove the copy of an image from one store; another one stays.

        :raises NotFound: there are no stores to name; no such image for this caller; it is
            not in this store.
        :raises Forbidden: not to this caller; it is the last copy.
        :raises Conflict: there is no such store, or the image is not active.
        :raises InUse: somebody builds on the copy.
        :raises Unavailable: the store does not answer.
        """
        layers = self._layers
        if not layers.stores.multi:
            raise contract.NotFound('The resource could not be found.')
        if store not in layers.stores.names:
            raise contract.Conflict(f'The selected store {store} is not available on this node.')
        own: list[Location] = []

        def change(image: Image) -> Mapping[str, object]:
            layers.policy.enforce(ctx, 'get_image_location', image)
            layers.policy.enforce(ctx, 'delete_image_location', image)
            status.require('delete_copy', image)
            there = [one for one in image.active_locations
                     if layers.stores.placed(one).store == store]
            if len(image.active_locations) == 1:
                raise contract.Forbidden(
                    'Cannot delete image data from the only store containing it. Consider '
                    'deleting the image instead.')
            if not there:
                raise contract.NotFound(f'Image {image_id} is not stored in store {store}.')
            own[:] = there[:1]
            return location_deletion.leaving(layers, image.locations, own)

        location_deletion.finish(layers, ctx, self._images.change(ctx, image_id, change), own)

    def close(self) -> None:
        """Give up what is under way in the background."""
        self._hashing.close()
