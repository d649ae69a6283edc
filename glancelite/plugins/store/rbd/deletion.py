"""Deletes RBD images: clones, watchers and the trash."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.rbd.client import Client

LOG = logging.getLogger(__name__)

#: the snapshot of a complete image, from which other services make clones
SNAPSHOT = 'snap'
#: metadata of images that this driver moved to the trash
DELETED_MARK = 'glancelite.deleted'
#: seconds between two sweeps of the trash of a pool
SWEEP_INTERVAL = 900
#: maximum number of images that a sweep removes, so that it takes little time
SWEEP_LIMIT = 20


class Deleter:
    """Deletes images with their snapshot.

    :param trash: move an image with clones (v2) to the trash of RBD, where it stays until the
        last clone is deleted; otherwise refuse.
    """

    def __init__(self, client: Client, *, trash: bool):
        self._client = client
        self._rbd = client.rbd
        self._trash = trash
        self._prepared = False
        self._next_sweep: dict[str, float] = {}
        self._pending: dict[str, str] = {}

    def prepare(self, ioctx: Any) -> None:
        """Make sure that images can be deleted when the pool is full.

        Each deletion passes through the trash. Its directory object is created with the first
        one, which a full pool would not allow.
        """
        if not self._prepared:
            rados = self._client.rados
            with self._client.translated_errors(), rados.WriteOpCtx() as operation:
                operation.new(rados.LIBRADOS_CREATE_IDEMPOTENT)
                ioctx.operate_write_op(operation, 'rbd_trash')
            self._prepared = True

    def delete(self, ioctx: Any, name: str, snapshot: str | None) -> None:
        """Delete an image.

        :param snapshot: the name of its snapshot; None if its URL has none.
        :raises NotFound: there is no such image, or it does not have this snapshot.
        :raises InUse: there are clones, or another client has it open.
        """
        with self._client.translated_errors(forbidden=contract.Forbidden):
            with self._client.open_image(ioctx, name) as image:
                # Check this first: without its snapshot the image would not be readable.
                if len(list(image.watchers_list())) > 1:    # one is this client
                    raise contract.InUse('Another client has the image open.')
                snapshots = self._snapshots(image)
                if snapshot in snapshots:
                    if not self._trash:
                        self._check_unused(image, snapshot, snapshots)
                    self._delete_snapshot(image, snapshot)
                elif snapshot is not None and (snapshots or snapshot != SNAPSHOT):
                    raise store_rules.no_data()
                # else: finish an interrupted deletion
            self._delete_image(ioctx, name, snapshot)

    def discard(self, ioctx: Any, name: str) -> None:
        """Delete everything with this name, even if it cannot be opened as an image.

        :raises InUse: there are clones, or another client has it open.
        """
        try:
            self.delete(ioctx, name, SNAPSHOT)
        except contract.NotFound:
            # possibly a partly created image: a name without a header
            with self._client.translated_errors(), contextlib.suppress(self._rbd.ImageNotFound):
                if self._client.has_remains(ioctx, name):
                    self._rbd.RBD().remove(ioctx, name)

    def add_pending(self, name: str, image_id: str) -> None:
        """Remember an image whose deletion has failed.

        :param image_id: identifies the image; its name may be used again by then.
        """
        self._pending[name] = image_id

    def delete_pending(self, ioctx: Any) -> None:
        """Try to delete the remembered images."""
        for name, image_id in list(self._pending.items()):
            try:
                with self._client.translated_errors(), \
                        self._client.open_image(ioctx, image_id=image_id, read_only=True) as image:
                    same = image.get_name() == name
                if same:
                    self.discard(ioctx, name)
            except contract.NotFound:
                pass
            except contract.Error as error:
                LOG.warning('%s still cannot be deleted: %s', name, error)
                return
            self._pending.pop(name, None)

    def sweep(self, ioctx: Any, pool: str) -> None:
        """Remove images without clones that this driver moved to the trash.

        Works only once per ``SWEEP_INTERVAL``; failures are left to the next time.
        """
        now = time.monotonic()
        if now < self._next_sweep.get(pool, now):
            return
        self._next_sweep[pool] = now + SWEEP_INTERVAL
        rbd, removed = self._rbd.RBD(), 0
        try:
            for entry in rbd.trash_list(ioctx):
                if removed == SWEEP_LIMIT:
                    break
                # another client is removing it, or it was deferred by an administrator
                with contextlib.suppress(self._rbd.ImageNotFound, self._rbd.ImageBusy,
                                         self._rbd.PermissionError):
                    if self._is_removable(ioctx, entry['id']):
                        rbd.trash_remove(ioctx, entry['id'])
                        removed += 1
        except self._rbd.Error as error:
            LOG.warning('the trash of the pool %s cannot be emptied: %s', pool, error)

    def _snapshots(self, image: Any) -> list[str]:
        """Return the names of the snapshots in the user namespace."""
        return [snap['name'] for snap in image.list_snaps()
                if snap.get('namespace', 0) == self._rbd.RBD_SNAP_NAMESPACE_TYPE_USER]

    def _check_unused(self, image: Any, snapshot: str | None, snapshots: Sequence[str]) -> None:
        image.set_snap(snapshot)
        used = any(image.list_children2())
        image.set_snap(None)
        if used or len(snapshots) > 1:
            raise contract.InUse('There are clones or other snapshots of the image.')

    def _delete_snapshot(self, image: Any, snapshot: str | None) -> None:
        try:
            image.unprotect_snap(snapshot)
        except self._rbd.InvalidArgument:
            pass    # it was not protected
        except self._rbd.ImageBusy:
            raise contract.InUse('There are clones of the image.') from None
        image.remove_snap(snapshot)

    def _delete_image(self, ioctx: Any, name: str, snapshot: str | None) -> None:
        try:
            try:
                self._rbd.RBD().remove(ioctx, name)
            except self._rbd.ImageHasSnapshots:
                # its snapshot has clones (v2) and is kept without a name, or there are others
                with self._client.open_image(ioctx, name) as image:
                    image.metadata_set(DELETED_MARK, '1')
                self._rbd.RBD().trash_move(ioctx, name, 0)
        except self._rbd.ImageBusy:
            # another client has just opened it: it stays, so it must be readable again
            if snapshot is not None:
                with self._client.open_image(ioctx, name) as image:
                    create_snapshot(image, snapshot)
            raise contract.InUse('Another client has the image open.') from None

    def _is_removable(self, ioctx: Any, image_id: str) -> bool:
        """Return whether this driver moved an image to the trash and it has no clones."""
        with self._client.open_image(ioctx, image_id=image_id, read_only=True) as image:
            try:
                image.metadata_get(DELETED_MARK)
            except KeyError:
                return False
            snapshots = list(image.list_snaps())
            for snapshot in snapshots:
                if snapshot.get('namespace') != self._rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH:
                    return False
                image.set_snap_by_id(snapshot['id'])
                if any(image.list_children2()):
                    return False
        if snapshots:
            # a client that deletes the last clone may lack the permission to delete these
            with self._client.open_image(ioctx, image_id=image_id) as image:
                for snapshot in snapshots:
                    image.remove_snap_by_id(snapshot['id'])
        return True


def create_snapshot(image: Any, snapshot: str = SNAPSHOT) -> None:
    """Create and protect a snapshot, which makes the image complete."""
    image.create_snap(snapshot)
    image.protect_snap(snapshot)
