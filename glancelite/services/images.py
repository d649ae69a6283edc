"""Use cases of images as such; their bytes are in ``data``."""

from __future__ import annotations

import dataclasses
import logging
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, ImageQuery, QuotaRequest
from glancelite.domain import encryption, patch, properties, status
from glancelite.schema.image import Creation
from glancelite.services import location_deletion, store_acls
from glancelite.services.layers import Layers
from glancelite.services.location_patch import Places
from glancelite.services.optimistic import TRIES, take_back

LOG = logging.getLogger(__name__)

#: seconds between the second try and the third, at most; each later wait is up to twice that
PAUSE = 0.004

_VISIBILITY_ACTIONS = {'public': 'publicize_image', 'community': 'communitize_image'}


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A page of images; ``next_marker`` is where the next one begins, None at the end."""

    images: Sequence[Image]
    next_marker: str | None


class Images:

    """
    :param patches_locations: may users change where the bytes are?
    :param hashing_algorithm: for ``os_hash_value``.
    """

    def __init__(self, layers: Layers, *, patches_locations: bool = False,
                 hashing_algorithm: str = 'sha512'):
        self._layers = layers
        self._patches_locations = patches_locations
        self._algorithm = hashing_algorithm

    def create(self, ctx: Context, creation: Creation) -> Image:
        """Register an image without data.

        :param creation: what the caller gave, checked by the schema.
        :raises Forbidden: not to this caller, or not these attributes.
        :raises QuotaExceeded: too many properties or tags.
        :raises Invalid: a value the service cannot keep.
        :raises Conflict: the id is taken, or was once.
        """
        fields, custom = creation.fields, creation.properties
        layers = self._layers
        given = {'owner': ctx.project, **fields}
        given['id'] = given.get('id') or str(uuid.uuid4())
        given['tags'] = tuple(sorted(set(given.get('tags', ()))))
        image = Image(**given, properties=dict(custom))
        layers.policy.enforce(ctx, 'add_image', dataclasses.replace(
            image, visibility=fields.get('visibility', 'private')))
        if image.owner != ctx.project and not ctx.is_admin:
            raise contract.Forbidden('You are not permitted to create images '
                                     f"owned by '{image.owner}'.")
        self._enforce_visibility(ctx, image, image.visibility)
        layers.quota.check(ctx, QuotaRequest(
            'add_image', image.owner, images=1, tags=len(image.tags),
            properties=properties.counted(image.properties)))
        if creation.read_only:
            raise contract.Forbidden(f"Attribute '{creation.read_only[0]}' is read-only.")
        properties.check_values(fields, custom)
        image = layers.database.images.add(image)
        layers.events.image(ctx, 'image.create', image)
        return image

    def get(self, ctx: Context, image_id: str) -> Image:
        """One image.

        :raises NotFound: none, or none for this caller.
        """
        image = self._layers.database.images.get(image_id, viewer=ctx.viewer)
        self._layers.policy.enforce(ctx, 'get_image', image)
        return image

    def list(self, ctx: Context, query: ImageQuery, marker: str | None = None) -> Listing:
        """A page of images.

        :param marker: id of the image that the previous page ended with.
        :raises Forbidden: no lists for this caller; or the marker is not for its eyes.
        :raises Invalid: no such marker.
        """
        layers = self._layers
        layers.policy.enforce(ctx, 'get_images')
        if marker is not None:
            query = dataclasses.replace(query, after=self._marker(ctx, marker))
        page = layers.database.images.list(query)
        return Listing(layers.policy.filter(ctx, 'get_image', page.items),
                       page.items[-1].id if page.more and page.items else None)

    def may_see_locations_of(self, ctx: Context, images: Sequence[Image]) -> frozenset[str]:
        """Ids of those images whose locations the caller may see."""
        seen = self._layers.policy.filter(ctx, 'get_image_location', images)
        return frozenset(image.id for image in seen)

    def _marker(self, ctx: Context, image_id: str) -> Image:
        records = self._layers.database.images
        try:
            return records.get(image_id, viewer=ctx.viewer)
        except contract.NotFound:
            pass
        try:
            records.get(image_id, viewer=None)
        except contract.NotFound:
            raise contract.Invalid(f'There is no image {image_id!r} to begin after.') from None
        raise contract.Forbidden('You may not begin after this image.')

    def update(self, ctx: Context, image_id: str,
               operations: Sequence[patch.Operation]) -> Image:
        """Apply a JSON patch, all of it or nothing.

        :raises NotFound: none, or none for this caller.
        :raises Forbidden: not to this caller, or not these attributes.
        :raises Conflict: an operation does not fit the image.
        :raises QuotaExceeded: too many properties, tags or locations.
        :raises Invalid: no store reads a location, or there is no such one.
        :raises Unavailable: a store does not answer.
        """
        layers = self._layers
        sizes: dict[str, int] = {}
        places: list[Places] = []

        def change(image: Image) -> Mapping[str, object]:
            if not operations:
                return {}
            layers.policy.enforce(ctx, 'modify_image', image)
            if not self._patches_locations:
                patched = patch.apply(image, operations, is_admin=ctx.is_admin)
                self._check(ctx, image, patched)
                return patched.changes
            places[:] = [Places(layers, ctx, image, sizes, algorithm=self._algorithm)]
            patched = patch.apply(image, operations, is_admin=ctx.is_admin,
                                  place=places[0].apply)
            self._check(ctx, image, patched)
            return {**patched.changes, **places[0].changes()}

        def pay(image: Image) -> None:
            if places and places[0].added:
                layers.quota.check(ctx, QuotaRequest('set_image_location', image.owner,
                                            bytes=places[0].added))

        image = self.change(ctx, image_id, change, pay)
        if places and places[0].removed:
            image = location_deletion.finish(layers, ctx, image, places[0].removed)
        if layers.stores.shares and any(step.name == 'visibility' for step in operations):
            store_acls.share(layers, ctx, image)
        return image

    def change(self, ctx: Context, image_id: str,
               change: Callable[[Image], Mapping[str, object]],
               check: Callable[[Image], None] = lambda image: None) -> Image:
        """Write what ``change`` makes of the image; anew if somebody else was faster.

        Tells of an update if there was one; an empty change is none.

        :param check: looks at what was written; if it raises an error, that is taken back.
        """
        records = self._layers.database.images
        for number in range(1, TRIES + 1):
            image = records.get(image_id, viewer=ctx.viewer)
            changes = change(image)
            if not changes:
                return image
            try:
                written = records.update(image, changes)
            except contract.Conflict:
                if number == TRIES:
                    raise
                if number > 1:  # those who keep meeting part by waiting differently long
                    time.sleep(random.uniform(0, PAUSE * 2 ** (number - 2)))  # noqa: S311
                continue
            try:
                check(written)
            except contract.Error:
                take_back(records, image, written, changes)
                raise
            self._layers.events.image(ctx, 'image.update', written)
            return written
        raise AssertionError('the last try has returned or raised')

    def _check(self, ctx: Context, image: Image, patched: patch.Patched) -> None:
        for visibility in patched.visibilities:
            self._enforce_visibility(ctx, image, visibility)
        tags = patched.changes.get('tags')
        grows = bool(patched.new_properties)
        if grows or tags is not None:
            self._layers.quota.check(ctx, QuotaRequest(
                'modify_image', image.owner, tags=None if tags is None else len(tags),
                properties=properties.counted(patched.changes['properties']) if grows else None))

    def _enforce_visibility(self, ctx: Context, image: Image, visibility: str) -> None:
        action = _VISIBILITY_ACTIONS.get(visibility)
        if action:
            self._layers.policy.enforce(ctx, action, image)

    def delete(self, ctx: Context, image_id: str) -> None:
        """Delete an image and its bytes.

        The image is marked first and its bytes go after it, so that
        whatever dies in between, the sweep can finish it. Where deletions are delayed, the
        bytes are the sweep's from the beginning.

        :raises NotFound: none, none for this caller, or deleted meanwhile.
        :raises Forbidden: not to this caller; the image is protected; a store refuses.
        :raises InUse: somebody builds on the bytes.
        :raises Unavailable: a store does not answer.
        """
        image, removed = self._remove(ctx, image_id)
        if removed.locations and not self._layers.leases.delayed:
            self._delete_bytes(ctx, removed, image)
        self._delete_key(ctx, removed)
        waits = removed.locations and self._layers.leases.delayed
        self._layers.events.image(ctx, 'image.delete', removed if waits else
                                  dataclasses.replace(removed, status='deleted'))

    def _remove(self, ctx: Context, image_id: str) -> tuple[Image, Image]:
        """:returns: the image before its removal, and after it."""
        records = self._layers.database.images
        for left in reversed(range(TRIES)):
            image = records.get(image_id, viewer=ctx.viewer)
            self._layers.policy.enforce(ctx, 'delete_image', image)
            if image.protected:
                raise contract.Forbidden(f'Image {image.id} is protected and cannot be deleted.')
            try:
                return image, records.delete(image, pending=bool(
                    image.locations or image.attempt or image.status == 'saving'))
            except contract.Conflict:   # somebody has just protected it
                if not left:
                    raise
        raise AssertionError('the last try has returned or raised')

    def _delete_bytes(self, ctx: Context, image: Image, before: Image) -> None:
        """:param before: the image before its removal."""
        layers = self._layers
        records = layers.database.images
        for number, location in enumerate(image.locations):
            try:
                layers.stores.delete(location, ctx=ctx)
            except contract.Error as error:
                # one that got its bytes just before the removal does not come back
                if number == 0 and image.status == 'pending_delete':
                    records.undelete(image, status='deactivated' if before.status == 'deactivated'
                                    else 'active')
                    location_deletion.mark(layers, before)
                    raise
                LOG.warning('a copy of the deleted image %s is still there: %s', image.id, error)
                return  # the image is gone already; the sweep removes the rest
        if not image.attempt:
            records.complete_delete(image)

    def _delete_key(self, ctx: Context, image: Image) -> None:
        """Remove the key of the encrypted volume that a deleted image was made of.

        Only the caller may, so this is the time to do it, also where deletions are delayed. A
        crash just before it leaves the key for ever.
        """
        key = encryption.key_to_remove(image)
        if key is None:
            return
        try:
            self._layers.key_manager.delete(ctx, key)
        except Exception as error:  # the image is deleted, whatever the plugin raises
            LOG.warning('the key %.64r of the deleted image %s is still there: %s', key,
                        image.id, error)

    def deactivate(self, ctx: Context, image_id: str) -> None:
        """Withhold the bytes from everybody but administrators.

        :raises Forbidden: not to this caller, or not in this status.
        """
        self._switch(ctx, image_id, 'deactivate', 'active', 'deactivated')

    def reactivate(self, ctx: Context, image_id: str) -> None:
        """Give the bytes out again; raises as ``deactivate`` does."""
        self._switch(ctx, image_id, 'reactivate', 'deactivated', 'active')

    def _switch(self, ctx: Context, image_id: str, action: str, old: str, new: str) -> None:
        def change(image: Image) -> Mapping[str, object]:
            self._layers.policy.enforce(ctx, action, image)
            status.require(action, image)
            return status.move(image, new) if image.status == old else {}

        self.change(ctx, image_id, change)
