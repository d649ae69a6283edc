"""How RBD images go: what builds on them, who has them open, and the trash."""

from __future__ import annotations

import contextlib
import logging
import time

from glancelite import contract
from glancelite.contract import store_rules

LOG = logging.getLogger(__name__)

#: the snapshot of an image that is whole, from which others make clones
SNAPSHOT = 'snap'
#: metadata of the images that are in the trash because of us
MARK = 'glancelite.deleted'
#: seconds between two looks into the trash of a pool
SWEEP_EVERY = 900
#: the most that one look removes, so that nobody has to wait long for it
SWEEP_AT_ONCE = 20


class Removal:
    """Removes images with their snapshot.

    :param trash: move an image on which others build (clone v2) to the trash of RBD, where it
        stays until the last of them is gone; otherwise refuse.
    """

    def __init__(self, cluster, *, trash):
        self._cluster = cluster
        self._rbd = cluster.rbd
        self._trash = trash
        self._prepared = False
        self._swept_at = {}
        self._owed = {}

    def prepare(self, ioctx):
        """See that images can be removed from a pool that is full.

        Each goes through the trash on its way; the object that lists it is made for the first
        one, and that is something new, for which there is no room then.
        """
        if not self._prepared:
            rados = self._cluster.rados
            with self._cluster.meanings(), rados.WriteOpCtx() as operation:
                operation.new(rados.LIBRADOS_CREATE_IDEMPOTENT)
                ioctx.operate_write_op(operation, 'rbd_trash')
            self._prepared = True

    def remove(self, ioctx, name, snapshot):
        """Remove an image.

        :param snapshot: the name of its snapshot; None if it is known without.
        :raises NotFound: there is no such image, or it does not have this snapshot.
        :raises InUse: there are clones, or somebody has it open.
        """
        with self._cluster.meanings(refused=contract.Forbidden):
            with self._rbd.Image(ioctx, name) as image:
                # Asked before anything is done: without its snapshot nobody could read it.
                if len(list(image.watchers_list())) > 1:    # one is ours
                    raise contract.InUse('Somebody has the image open.')
                snapshots = self._snapshots(image)
                if snapshot in snapshots:
                    if not self._trash:
                        self._refuse_if_used(image, snapshot, snapshots)
                    self._remove_snapshot(image, snapshot)
                elif snapshot is not None and (snapshots or snapshot != SNAPSHOT):
                    raise store_rules.no_data()
                # else a removal stopped half-way, which is finished now
            self._remove_image(ioctx, name, snapshot)

    def discard(self, ioctx, name):
        """Remove whatever has this name, even if it cannot be opened.

        :raises InUse: there are clones, or somebody has it open.
        """
        try:
            self.remove(ioctx, name, SNAPSHOT)
        except contract.NotFound:
            # made half-way, perhaps: a name without a header
            with self._cluster.meanings(), contextlib.suppress(self._rbd.ImageNotFound):
                self._rbd.RBD().remove(ioctx, name)

    def owe(self, name, number):
        """Remember an image that could not be removed.

        :param number: its id: somebody else may have taken the name when it is removed.
        """
        self._owed[name] = number

    def pay(self, ioctx):
        """Remove what could not be removed before."""
        for name, number in list(self._owed.items()):
            try:
                with self._cluster.meanings(), \
                        self._rbd.Image(ioctx, image_id=number, read_only=True) as image:
                    same = image.get_name() == name
                if same:
                    self.discard(ioctx, name)
            except contract.NotFound:
                pass
            except contract.Error as error:
                LOG.warning('%s can still not be removed: %s', name, error)
                return
            self._owed.pop(name, None)

    def sweep(self, ioctx, pool):
        """Remove what we have put into the trash and nobody builds on any more.

        Looks from time to time only; what fails is for the next time.
        """
        now = time.monotonic()
        if now < self._swept_at.get(pool, now):
            return
        self._swept_at[pool] = now + SWEEP_EVERY
        rbd, removed = self._rbd.RBD(), 0
        try:
            for entry in rbd.trash_list(ioctx):
                if removed == SWEEP_AT_ONCE:
                    break
                # others are at it, or it was put there to stay for a while
                with contextlib.suppress(self._rbd.ImageNotFound, self._rbd.ImageBusy,
                                         self._rbd.PermissionError):
                    if self._is_left(ioctx, entry['id']):
                        rbd.trash_remove(ioctx, entry['id'])
                        removed += 1
        except self._rbd.Error as error:
            LOG.warning('the trash of the pool %s could not be emptied: %s', pool, error)

    def _snapshots(self, image):
        """Names of those snapshots that people made."""
        return [snap['name'] for snap in image.list_snaps()
                if snap.get('namespace', 0) == self._rbd.RBD_SNAP_NAMESPACE_TYPE_USER]

    def _refuse_if_used(self, image, snapshot, snapshots):
        image.set_snap(snapshot)
        used = any(image.list_children2())
        image.set_snap(None)
        if used or len(snapshots) > 1:
            raise contract.InUse('There are clones or other snapshots of the image.')

    def _remove_snapshot(self, image, snapshot):
        try:
            image.unprotect_snap(snapshot)
        except self._rbd.InvalidArgument:
            pass    # it was not protected
        except self._rbd.ImageBusy:
            raise contract.InUse('There are clones of the image.') from None
        image.remove_snap(snapshot)

    def _remove_image(self, ioctx, name, snapshot):
        try:
            try:
                self._rbd.RBD().remove(ioctx, name)
            except self._rbd.ImageHasSnapshots:
                # the one that clones (v2) use has no name any more, or somebody made others
                with self._rbd.Image(ioctx, name) as image:
                    image.metadata_set(MARK, '1')
                self._rbd.RBD().trash_move(ioctx, name, 0)
        except self._rbd.ImageBusy:
            # opened by somebody meanwhile: it is to stay, so it has to be readable
            if snapshot is not None:
                with self._rbd.Image(ioctx, name) as image:
                    publish(image, snapshot)
            raise contract.InUse('Somebody has the image open.') from None

    def _is_left(self, ioctx, number):
        """Is this image in the trash because of us, and does nobody build on it any more?"""
        with self._rbd.Image(ioctx, image_id=number, read_only=True) as image:
            try:
                image.metadata_get(MARK)
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
            # whoever removed the last clone removes the snapshot too, if he may write here
            with self._rbd.Image(ioctx, image_id=number) as image:
                for snapshot in snapshots:
                    image.remove_snap_by_id(snapshot['id'])
        return True


def publish(image, snapshot=SNAPSHOT):
    """Make what an image holds its snapshot, from which others may make clones."""
    image.create_snap(snapshot)
    image.protect_snap(snapshot)
