"""Use cases of locations: where the data of an image is."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import Context, Image, Location, QuotaRequest
from glancelite.contract.digests import parse_hash
from glancelite.domain import digests, properties, status
from glancelite.services import import_lock, location_deletion, optimistic
from glancelite.services.hashing import Cancelled, Hashing
from glancelite.services.images import Images
from glancelite.services.layers import Layers
from glancelite.services.recovery import (
    REQUEUED,
    Recovery,
    discard_leftovers,
    owner_context,
)

LOG = logging.getLogger(__name__)

#: callers with this role may add locations of data that is not public
_SERVICE_ROLE = 'service'
_NO_HASHES = dict.fromkeys(digests.HASH_FIELDS)
#: statuses in which an expired lease means that work on locations was interrupted
_RECOVERED = status.LIVE - {'saving', 'uploading'}


_UNKNOWN_QUOTA = 'The quota cannot be checked now; add the location later.'
_INTERRUPTED = 'The check of the data was interrupted; add the location again.'


def _queued_again(image: Image, reason: str) -> Mapping[str, object]:
    """Return the changes of an image that does not get the data at its location."""
    return {**REQUEUED, **_NO_HASHES,
            'properties': properties.with_location_failure(image.properties, reason)}


class Locations:
    """
    :param hashing_algorithm: for ``os_hash_value`` if the caller names none.
    :param secure_hash: read added data to compute its hash.
    """

    def __init__(self, layers: Layers, recovery: Recovery, images: Images, *, hashing: Hashing,
                 hashing_algorithm: str = 'sha512', secure_hash: bool = True):
        self._layers = layers
        self._images = images
        self._hashing = hashing
        self._algorithm = hashing_algorithm
        self._secure = secure_hash
        recovery.register(_RECOVERED, self._recover)

    def list(self, ctx: Context, image_id: str) -> Sequence[Location]:
        """Return the locations of an image, the one to read first in front.

        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not see locations.
        """
        image = self._layers.database.images.get(image_id, viewer=ctx.viewer)
        self._layers.policy.enforce(ctx, 'fetch_image_location', image)
        return self._layers.stores.displayed(image, ctx)

    def add(self, ctx: Context, image_id: str, url: str,
            expected: Mapping[str, str] = contract.EMPTY) -> None:
        """Give a queued image the data at ``url``, which is in a store already.

        The caller sees the result in the status of the image: it stays queued if there is no
        data, or not the expected data.  The property ``os_glance_location_failure`` then has
        the reason.

        :param expected: ``os_hash_algo`` and ``os_hash_value``, or nothing.
        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not add locations, or not this kind of URL.
        :raises Conflict: the image is not queued, or an import has locked it.
        :raises Invalid: this public URL is not allowed, or the hash is malformed.
        :raises QuotaExceeded: too many locations.
        """
        layers = self._layers
        if expected:
            expected = {**expected, 'os_hash_value': parse_hash(
                expected['os_hash_algo'], expected['os_hash_value'])}
        image = layers.database.images.get(image_id, viewer=ctx.viewer)
        layers.policy.enforce(ctx, 'add_image_location', image)
        status.check_operation('add_location', image)
        import_lock.check(layers, image)
        if (_SERVICE_ROLE not in ctx.roles | ctx.service_roles
                and not layers.stores.reads_public(url)):
            raise contract.Forbidden('Only a service may add a location whose data is not public, '
                                     'or that no store here can read.')
        layers.quota.check(ctx, QuotaRequest('add_image_location', image.owner,
                                             locations=len(image.locations) + 1, image=image))
        try:
            location = layers.stores.adopt(url, ctx=ctx)
        except contract.Invalid as error:
            if layers.stores.is_public(url):
                raise
            self._refuse(ctx, image, error)
            return
        try:
            size = layers.stores.size(location, ctx=ctx)
            # some web servers say only with the data how long it is
            if not size and not layers.stores.is_public(url):
                raise contract.Invalid('There is no data at this location.')
            self._set_data(ctx, image, location, size, expected)
        except contract.Error as error:
            self._refuse(ctx, image, error)

    def _refuse(self, ctx: Context, image: Image, error: contract.Error) -> None:
        """Record why an image stays queued."""
        LOG.warning('image %s cannot have the data at its location: %s', image.id, error)
        self._report(ctx, self._write(
            image, lambda present: present.status == 'queued',
            lambda present: {'properties': properties.with_location_failure(
                present.properties, str(error))}))

    def _set_data(self, ctx: Context, image: Image, location: Location, size: int,
                  expected: Mapping[str, str]) -> None:
        """Make the image active, now or after its hash was verified.

        :raises Conflict: the image was changed meanwhile.
        :raises Invalid: a format is not set.
        """
        records, events = self._layers.database.images, self._layers.events
        facts: dict[str, Any] = {'size': size, 'locations': (*image.locations, location)}
        cleared = properties.without_location_failure(image.properties)
        if self._secure and expected:
            image = records.update(image, {
                **status.transition(image, 'importing'), **cleared, 'size': size,
                'lease_until': self._layers.leases.until()}, status={'queued'})
            events.image(ctx, 'image.update', image)
            self._submit(image, lambda: self._verify(ctx, image, facts, expected))
            return
        is_read = self._secure or not size      # an unknown size is, whatever is configured
        # the lease lets another process continue if this one dies
        changes = {**status.transition(image, 'active'), **facts, **expected, **cleared,
                   'lease_until': self._layers.leases.until() if is_read else None}
        before, image = image, records.update(image, changes, status={'queued'})
        try:
            self._check_quota(ctx, image)
        except Exception:       # of a plugin, too
            optimistic.undo(records, before, image, changes)
            raise
        events.image(ctx, 'image.update', image)
        if is_read:
            self._submit(image, lambda: self._add_facts(ctx, image))

    def _check_quota(self, ctx: Context, image: Image) -> None:
        self._layers.quota.check(
            ctx, QuotaRequest('add_image_location', image.owner, bytes=image.size, image=image))

    def _granted(self, ctx: Context, image: Image) -> Image | None:
        """Return the image, or the image queued again if the quota does not allow its data."""
        try:
            self._check_quota(ctx, image)
            return image
        except Exception as error:      # of a plugin, too
            reason = str(error) if isinstance(error, contract.Error) else _UNKNOWN_QUOTA
            LOG.warning('the quota does not allow the data of image %s: %s', image.id, error)
            return self._without_data(image, reason)

    def _without_data(self, image: Image, reason: str) -> Image | None:
        """Queue an active image again, without its locations, unless they have changed."""
        pending = tuple(location for location in image.locations if location.status != 'active')
        return self._write(
            image, lambda present: (present.status == 'active'
                                    and present.locations == image.locations),
            lambda present: {**_queued_again(present, reason), 'locations': pending,
                             'lease_until': self._lease_after(pending, False)})

    def _submit(self, image: Image, work: Callable[[], None]) -> None:
        """Run ``work`` in the background, and hold the lease of ``image`` until it ends."""
        held = contextlib.ExitStack()
        held.enter_context(self._layers.leases.hold(image))

        def run() -> None:
            with held:
                work()

        with contextlib.ExitStack() as on_failure:
            on_failure.callback(held.close)
            self._hashing.submit(run)
            on_failure.pop_all()

    def _verify(self, ctx: Context, image: Image, facts: Mapping[str, Any],
                expected: Mapping[str, str]) -> None:
        """Read the data of an importing image; make it active if the hash is as expected."""
        def is_owned(present: Image) -> bool:
            return present.status == 'importing' and present.lease_until is not None

        with_data = dataclasses.replace(image, **facts)
        try:
            hashes = self._hashing.compute(with_data, expected['os_hash_algo'], ctx,
                                           lambda: self._is_still(image, is_owned))
            if hashes['os_hash_value'] != expected['os_hash_value']:
                raise contract.Invalid('the hash of the data differs from the expected one')
            changes = {**facts, **hashes, 'status': 'active', 'lease_until': None}
            written = self._write(image, is_owned, lambda present: changes)
        except (contract.Error, Cancelled) as error:
            reason = str(error) or _INTERRUPTED
            LOG.warning('image %s does not get the data at its location: %s', image.id, reason)
            written = self._write(image, is_owned, lambda present: _queued_again(present, reason))
        if written is not None and written.status == 'active':
            written = self._granted(ctx, written)
        self._report(ctx, written)

    def _add_facts(self, ctx: Context, image: Image) -> None:
        """Read the data of an active image for its hash and its size, as far as unknown."""
        def is_owned(present: Image) -> bool:
            return (present.locations[:1] == image.locations[:1]
                    and (present.size, present.os_hash_value) == (image.size, image.os_hash_value))

        unknown_size = self._has_unknown_size(image, image.locations)
        facts: Mapping[str, object]
        try:
            facts = self._hashing.compute(image, self._algorithm, ctx,
                                          lambda: self._is_still(image, is_owned))
        except Cancelled:
            return      # the lease expires, and the recovery starts again
        except contract.Error as error:
            LOG.warning('image %s gets no hash: %s', image.id, error)
            if unknown_size:
                self._report(ctx, self._without_data(image, str(error)))
                return
            facts = {}
        facts = {name: value for name, value in facts.items()
                 if name == 'size' or (self._secure and not getattr(image, name))}
        written = self._write(image, is_owned, lambda present: {
            **facts, **location_deletion.end_lease(present.locations)})
        if unknown_size and written is not None:
            written = self._granted(ctx, written)
        if facts:
            self._report(ctx, written)

    def _needs_hash(self, image: Image) -> bool:
        return self._secure and not (image.checksum or image.os_hash_value)

    def _has_unknown_size(self, image: Image, locations: Sequence[Location]) -> bool:
        return not image.size and any(
            self._layers.stores.is_public(location.url) for location in locations)

    def _report(self, ctx: Context, written: Image | None) -> None:
        if written is not None:
            self._layers.events.image(ctx, 'image.update', written)

    def _is_still(self, image: Image, condition: Callable[[Image], bool]) -> bool:
        try:
            return condition(self._layers.database.images.get(image.id, viewer=None))
        except contract.NotFound:
            return False

    def _write(self, image: Image, condition: Callable[[Image], bool],
               change: Callable[[Image], Mapping[str, object]]) -> Image | None:
        """Change the image while ``condition`` holds.

        :returns: None if it does not hold any more, or the image changes too often.
        """
        try:
            return optimistic.update(
                self._layers.database.images, image.id,
                lambda present: change(present) if condition(present) else None)
        except contract.Conflict:
            LOG.error('image %s is changed too often to be updated', image.id)
            return None

    def _recover(self, image: Image) -> bool:
        """Finish interrupted work: deletions of locations, verifications, missing hashes.

        A lease also remains until the data of failed uploads is discarded.
        """
        layers = self._layers
        images = layers.database.images
        try:
            if location_deletion.is_pending(image.locations) or image.attempt:
                # no other process may work on it meanwhile: to a store, data that is just
                # being deleted may seem to be in use
                image = images.update(image, {'lease_until': layers.leases.until()})
            with layers.leases.hold(image):
                discard_leftovers(layers, image)
                locations = location_deletion.recover(layers, image)
                is_read = bool(image.status != 'importing' and locations and (
                    self._needs_hash(image) or self._has_unknown_size(image, locations)))
                image = images.update(image, {
                    **(_queued_again(image, _INTERRUPTED) if image.status == 'importing'
                       else {}),
                    'locations': locations,
                    'lease_until': self._lease_after(locations, is_read)})
        except (contract.Conflict, contract.NotFound):
            return False    # another process was faster
        if is_read:
            LOG.warning('image %s has no hash or size yet; its data is read', image.id)
            self._submit(image, lambda: self._add_facts(owner_context(image), image))
        else:
            LOG.warning('interrupted work on image %s is finished', image.id)
        return True

    def _lease_after(self, locations: Sequence[Location], is_read: bool) -> Any:
        if is_read:
            return self._layers.leases.until()
        return self._layers.retention.due() if location_deletion.is_pending(locations) else None

    def remove_copy(self, ctx: Context, store: str, image_id: str) -> None:
        """Delete the data of an image from one store; another location stays.

        :raises NotFound: stores have no names here, the caller sees no such image, or the
            image has no location in this store.
        :raises Forbidden: the caller may not do this, or it is the last location.
        :raises Conflict: there is no such store, or the image is not active.
        :raises InUse: the data is in use.
        :raises Unavailable: the store does not answer.
        """
        layers = self._layers
        if not layers.stores.multi:
            raise contract.NotFound('The resource could not be found.')
        if store not in layers.stores.names:
            raise contract.Conflict(f'The selected store {store} is not available on this node.')
        chosen: list[Location] = []

        def change(image: Image) -> Mapping[str, object]:
            layers.policy.enforce(ctx, 'get_image_location', image)
            layers.policy.enforce(ctx, 'delete_image_location', image)
            status.check_operation('delete_copy', image)
            in_store = [location for location in image.active_locations
                        if layers.stores.for_display(location).store == store]
            if len(image.active_locations) == 1:
                raise contract.Forbidden(
                    'Cannot delete image data from the only store containing it. Consider '
                    'deleting the image instead.')
            if not in_store:
                raise contract.NotFound(f'Image {image_id} is not stored in store {store}.')
            chosen[:] = in_store[:1]
            return location_deletion.mark(layers, image.locations, chosen)

        location_deletion.complete(
            layers, ctx, self._images.change(ctx, image_id, change), chosen)

    def close(self) -> None:
        """Abandon the work in the background."""
        self._hashing.close()
