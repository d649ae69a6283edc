"""Use cases of images; their data is in ``upload`` and ``download``."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, ImageQuery, QuotaRequest
from glancelite.domain import encryption, imports, patch, properties, status
from glancelite.schema.image import Creation
from glancelite.services import border, image_count, location_deletion, optimistic, store_acls
from glancelite.services.layers import Layers
from glancelite.services.location_patch import LocationPatch
from glancelite.services.recovery import Recovery, owner_context
from glancelite.services.stage import Stages
from glancelite.services.work import Work

LOG = logging.getLogger(__name__)

#: a quota may count images by these, so it is asked about their changes, after the write
_COUNTED = frozenset({'visibility', 'owner', 'disk_format', 'container_format', 'os_hidden'})
#: statuses in which a request or a task may be writing data
_IN_PROGRESS = frozenset({'saving', 'uploading', 'importing'})
_VISIBILITY_ACTIONS = {'public': 'publicize_image', 'community': 'communitize_image'}


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A page of images; ``next_marker`` is the marker of the next page, None at the end."""

    images: Sequence[Image]
    next_marker: str | None


class Images:
    """
    :param patches_locations: users may change locations with a patch.
    :param hashing_algorithm: for ``os_hash_value``.
    """

    def __init__(self, layers: Layers, recovery: Recovery, stages: Stages, work: Work, *,
                 patches_locations: bool = False, hashing_algorithm: str = 'sha512'):
        self._layers = layers
        recovery.register(('pending_delete', 'deleted'), self._recover_deletion)
        self._stages = stages
        self._work = work
        self._patches_locations = patches_locations
        self._algorithm = hashing_algorithm

    def create(self, ctx: Context, creation: Creation, *, lock: str | None = None) -> Image:
        """Register an image without data.

        :param creation: the request, checked by the schema.
        :param lock: id of the task that imports its data; None if there is none.
        :raises Forbidden: the caller may not create images, or not with these attributes.
        :raises QuotaExceeded: too many images, properties or tags.
        :raises Invalid: the service cannot keep a value.
        :raises Conflict: the id is in use, or was used before.
        """
        fields, custom = creation.fields, creation.properties
        layers = self._layers
        values = {'owner': ctx.project, **fields}
        values['id'] = values.get('id') or str(uuid.uuid4())
        values['tags'] = tuple(sorted(set(values.get('tags', ()))))
        image = Image(**values, properties=dict(custom))
        if image.owner != ctx.project and not ctx.is_admin:
            raise contract.Forbidden('You are not permitted to create images '
                                     f"owned by '{image.owner}'.")
        layers.policy.enforce(ctx, 'add_image', dataclasses.replace(
            image, visibility=fields.get('visibility', 'private')))
        self._enforce_visibility(ctx, image, image.visibility)
        if creation.read_only:
            raise contract.Forbidden(f"Attribute '{creation.read_only[0]}' is read-only.")
        properties.check_values(fields, custom)
        if fields.get('id') and layers.database.images.is_used(image.id):
            raise contract.Conflict(f'the image id {image.id} is in use')
        if lock is not None:
            image = dataclasses.replace(image, properties=imports.locked(image.properties, lock))
        image = image_count.add(layers, ctx, image)
        layers.events.image(ctx, 'image.create', image)
        return image

    def check_caller(self, ctx: Context, action: str, image_id: str | None = None) -> None:
        """Refuse a caller who may do this with no image, before the body is read.

        :param image_id: the image of the request; None if it is not created yet.
        :raises Forbidden: the caller may not do this.
        :raises NotFound: the caller sees no such image.
        """
        policy = self._layers.policy
        if not policy.may_ever(ctx, action):
            if image_id is not None:
                policy.enforce(ctx, action, self._layers.database.images.get(
                    image_id, viewer=ctx.viewer))
            raise contract.Forbidden(f'You are not authorized to complete {action} action.')

    def get(self, ctx: Context, image_id: str) -> Image:
        """Return one image.

        :raises NotFound: the caller sees no such image.
        """
        image = self._layers.database.images.get(image_id, viewer=ctx.viewer)
        self._layers.policy.enforce(ctx, 'get_image', image)
        return image

    def list(self, ctx: Context, query: ImageQuery, marker: str | None = None) -> Listing:
        """Return a page of images.

        :param marker: id of the last image of the previous page.
        :raises Forbidden: the caller may not list images, or may not see the marker.
        :raises Invalid: there is no such marker.
        """
        layers = self._layers
        layers.policy.enforce(ctx, 'get_images')
        if marker is not None:
            query = dataclasses.replace(query, after=self._marker(ctx, marker))
        page = layers.database.images.list(query)
        items = page.items
        return Listing(layers.policy.filter(ctx, 'get_image', items),
                       items[-1].id if page.more and items else None)

    def may_see_locations_of(self, ctx: Context, images: Sequence[Image]) -> frozenset[str]:
        """Return the ids of those images whose locations the caller may see."""
        visible = self._layers.policy.filter(ctx, 'get_image_location', images)
        return frozenset(image.id for image in visible)

    def _marker(self, ctx: Context, image_id: str) -> Image:
        records = self._layers.database.images
        try:
            marker = records.get(image_id, viewer=ctx.viewer)
            # only what images are sorted by is needed; the rest may be large
            return dataclasses.replace(marker, properties={}, tags=(), locations=())
        except contract.NotFound:
            pass
        try:
            records.get(image_id, viewer=None)
        except contract.NotFound:
            raise contract.Invalid(f'There is no image {image_id!r} to use as a marker.') from None
        raise contract.Forbidden('You may not use this image as a marker.')

    def update(self, ctx: Context, image_id: str,
               operations: Sequence[patch.Operation]) -> Image:
        """Apply a JSON patch, completely or not at all.

        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not do this, or not with these attributes.
        :raises Conflict: an operation does not fit the image.
        :raises QuotaExceeded: too many properties, tags or locations.
        :raises Invalid: no store reads a location, or a position does not exist.
        :raises Unavailable: a store does not answer.
        """
        layers = self._layers
        sizes: dict[str, int] = {}
        location_patch: LocationPatch | None = None

        def change(image: Image) -> Mapping[str, object]:
            nonlocal location_patch
            if not operations:
                return {}
            layers.policy.enforce(ctx, 'modify_image', image)
            if not self._patches_locations:
                patched = patch.apply(image, operations, is_admin=ctx.is_admin)
                self._check(ctx, image, patched)
                return patched.changes
            location_patch = LocationPatch(layers, ctx, image, sizes, algorithm=self._algorithm)
            patched = patch.apply(image, operations, is_admin=ctx.is_admin,
                                  on_location=location_patch.apply)
            self._check(ctx, image, patched)
            return {**patched.changes, **location_patch.changes()}

        def check_quota(image: Image) -> None:
            if any(step.name in _COUNTED for step in operations):
                layers.quota.check(ctx, QuotaRequest('modify_image', image.owner, image=image))
            if location_patch is not None and location_patch.added_bytes:
                layers.quota.check(ctx, QuotaRequest(
                    'set_image_location', image.owner, bytes=location_patch.added_bytes,
                    image=image))

        image = self.change(ctx, image_id, change, check_quota)
        if location_patch is not None and location_patch.removed:
            image = location_deletion.complete(layers, ctx, image, location_patch.removed)
        if layers.stores.any_shares and any(step.name == 'visibility' for step in operations):
            store_acls.share(layers, ctx, image)
        return image

    def change(self, ctx: Context, image_id: str,
               change: Callable[[Image], Mapping[str, object]],
               check: Callable[[Image], None] = lambda image: None) -> Image:
        """Write the changes that ``change`` returns, and emit an event if there are any.

        :param change: called again with the present image after a conflict.
        :param check: called with the image as written; if it raises, the write is undone.
        """
        records = self._layers.database.images
        before: Image
        changes: Mapping[str, object]

        def decide(image: Image) -> Mapping[str, object] | None:
            nonlocal before, changes
            before, changes = image, change(image)
            return changes or None

        written = optimistic.change(records, image_id, decide, viewer=ctx.viewer)
        if written is None:
            return before
        try:
            check(written)
        except Exception:       # of a plugin, too
            optimistic.undo(records, before, written, changes)
            raise
        self._layers.events.image(ctx, 'image.update', written)
        return written

    def _check(self, ctx: Context, image: Image, patched: patch.PatchResult) -> None:
        for visibility in patched.visibilities:
            self._enforce_visibility(ctx, image, visibility)
        tags = patched.changes.get('tags')
        grows = bool(patched.new_properties)
        if grows or tags is not None:
            self._layers.quota.check(ctx, QuotaRequest(
                'modify_image', image.owner, tags=None if tags is None else len(tags),
                properties=(properties.count_for_quota(patched.changes['properties'])
                            if grows else None),
                image=dataclasses.replace(image, **patched.changes)))

    def _enforce_visibility(self, ctx: Context, image: Image, visibility: str) -> None:
        action = _VISIBILITY_ACTIONS.get(visibility)
        if action:
            self._layers.policy.enforce(ctx, action, image)

    def delete(self, ctx: Context, image_id: str) -> None:
        """Delete an image and its data.

        The image is marked before the data is deleted, so that the recovery can finish the
        deletion if this process dies.  With delayed deletion the recovery deletes the data.

        :raises NotFound: the caller sees no such image, or it was deleted meanwhile.
        :raises Forbidden: the caller may not delete it, it is protected, or a store refuses.
        :raises InUse: the data is in use.
        :raises Unavailable: a store does not answer.
        """
        before, deleted = self._delete(ctx, image_id)
        # data may have been staged, or an import accepted, since the image was read
        before = dataclasses.replace(before, properties=deleted.properties)
        delayed = self._layers.retention.delayed
        if (lock := imports.lock_of(before.properties)) is not None:
            self._cancel(lock)
        if imports.has_begun(before.properties):    # others have no failed imports
            self._work.forget_secrets(deleted.id)
        if not delayed and (deleted.locations or imports.staged_of(before.properties)
                            or before.status in ('uploading', 'importing')):
            self._delete_data(ctx, deleted, before)
        self._delete_key(ctx, deleted)
        self._layers.events.image(
            ctx, 'image.delete', deleted if deleted.locations and delayed else
            dataclasses.replace(deleted, status='deleted'))

    def _delete(self, ctx: Context, image_id: str) -> tuple[Image, Image]:
        """:returns: the image before its deletion, and after it."""
        records = self._layers.database.images

        def decide(image: Image) -> bool:
            """Return whether there may be data to delete."""
            self._layers.policy.enforce(ctx, 'delete_image', image)
            if image.protected:
                raise contract.Forbidden(f'Image {image.id} is protected and cannot be deleted.')
            return bool(image.locations or image.attempt or image.status in _IN_PROGRESS
                        or imports.lock_of(image.properties))

        deleted = optimistic.retry(      # a conflict: the image was protected meanwhile
            lambda: records.get(image_id, viewer=ctx.viewer), decide,
            lambda image, pending: (image, records.delete(image, pending=pending)))
        assert deleted is not None
        return deleted

    def _delete_data(self, ctx: Context, image: Image, before: Image) -> None:
        """:param before: the image before its deletion."""
        layers = self._layers
        records = layers.database.images
        for number, location in enumerate(image.locations):
            try:
                layers.stores.delete(location, ctx=ctx)
            except contract.Error as error:
                # an image that got its data just before the deletion is not undeleted
                if number == 0 and image.status == 'pending_delete':
                    if isinstance(error, contract.Unavailable):
                        LOG.warning('the data of image %s cannot be deleted: %s', image.id, error)
                    records.undelete(image, status='active' if before.status in _IN_PROGRESS
                                     else None)
                    location_deletion.restore_marks(layers, before)
                    raise
                LOG.warning('a location of the deleted image %s is left to the recovery: %s',
                            image.id, error)
                return
        if image.attempt or imports.lock_of(before.properties) is not None or (
                not self._stages.reaches(before)):
            return      # data may appear yet; the recovery completes the deletion
        try:
            self._stages.discard(before)
        except contract.Error as error:
            LOG.warning('staged data of the deleted image %s is left to the recovery: %s',
                        image.id, error)
            return
        records.complete_delete(image)

    def _cancel(self, task_id: str) -> None:
        """End the import of an image that was deleted."""
        try:
            self._layers.database.tasks.cancel(task_id)
        except (contract.NotFound, contract.Conflict):
            pass        # it has ended
        except contract.Unavailable as error:       # it finds out by itself
            LOG.warning('task %s cannot be cancelled: %s', task_id, error)

    def _recover_deletion(self, image: Image) -> bool:
        """Delete the data of a deleted image, with that of its abandoned uploads."""
        layers, ctx = self._layers, owner_context(image)
        if not (self._stages.reaches(image) or self._stages.is_abandoned(image.deleted_at)):
            return False        # a process of the node with the staged data does it
        for location in image.locations:
            layers.stores.delete(location, ctx=ctx)
        if self._stages.reaches(image):
            self._stages.discard(image)
        complete = image.locations and imports.lock_of(image.properties) is None
        for key in image.keys[:-1] if complete else image.keys:
            layers.stores.discard(key, ctx=ctx)
        layers.database.images.complete_delete(image)
        LOG.info('the deletion of image %s is complete', image.id)
        return True

    def _delete_key(self, ctx: Context, image: Image) -> None:
        """Delete the key of the encrypted volume that a deleted image was made of.

        Only the caller may delete it, so the request does, also with delayed deletion.  If
        the process dies just before this, the key stays.
        """
        key = encryption.key_to_delete(image)
        if key is None:
            return
        key_manager = self._layers.key_manager
        try:
            with border.Calling(key_manager):
                key_manager.delete(ctx, key)
        except Exception as error:  # the image is deleted, whatever the plugin raises
            LOG.warning('the key %.64r of the deleted image %s was not deleted: %s', key,
                        image.id, error)

    def deactivate(self, ctx: Context, image_id: str) -> None:
        """Refuse downloads to all but administrators.

        :raises Forbidden: the caller may not do this, or the status does not allow it.
        """
        self._switch(ctx, image_id, 'deactivate', 'active', 'deactivated')

    def reactivate(self, ctx: Context, image_id: str) -> None:
        """Allow downloads again; raises as ``deactivate`` does."""
        self._switch(ctx, image_id, 'reactivate', 'deactivated', 'active')

    def _switch(self, ctx: Context, image_id: str, action: str, old: str, new: str) -> None:
        def change(image: Image) -> Mapping[str, object]:
            self._layers.policy.enforce(ctx, action, image)
            status.check_operation(action, image)
            return status.transition(image, new) if image.status == old else {}

        self.change(ctx, image_id, change)
