"""Pools of Ceph, as Nova, Cinder and administrators use them."""

import contextlib

from glancelite.plugins.store.rbd.client import bindings


@contextlib.contextmanager
def opened(ceph, pool, user='admin', **settings):
    """The module ``rbd`` and an open pool.

    :param settings: options of Ceph.
    """
    rados, rbd = bindings()
    with rados.Rados(conffile=ceph.conf, rados_id=user, conf=settings) as cluster, \
            cluster.open_ioctx(pool) as ioctx:
        ioctx.set_osdmap_full_try()
        yield rbd, ioctx


def names(ceph, pool='images'):
    """Names of all images in a pool, with those in its trash."""
    with opened(ceph, pool) as (rbd, ioctx):
        return rbd.RBD().list(ioctx) + [entry['name'] for entry in rbd.RBD().trash_list(ioctx)]


def emptied(ceph, pool='images'):
    """As `names`; what was left there is removed, because the next test is not to blame.

    Unless it is in use, or others build on it: then they all will be told.
    """
    left = names(ceph, pool)
    with opened(ceph, pool) as (rbd, ioctx):
        for name in rbd.RBD().list(ioctx) if left else ():
            with contextlib.suppress(rbd.Error):
                with rbd.Image(ioctx, name) as image:
                    for snapshot in list(image.list_snaps()):
                        if image.is_protected_snap(snapshot['name']):
                            image.unprotect_snap(snapshot['name'])
                        image.remove_snap(snapshot['name'])
                rbd.RBD().remove(ioctx, name)
    return left


@contextlib.contextmanager
def clone(ceph, url, name, version, user='volumes'):
    """A clone of an image, as a volume of Cinder; it goes when the block ends.

    :param version: 1 or 2, the format of the clone.
    """
    _, _, _, pool, image, snapshot = url.split('/')
    which = {'rbd_default_clone_format': str(version)}
    with opened(ceph, pool, user, **which) as (rbd, images), \
            opened(ceph, 'volumes', user, **which) as (_, volumes):
        rbd.RBD().clone(images, image, snapshot, volumes, name,
                        features=rbd.RBD_FEATURE_LAYERING)
        try:
            yield
        finally:
            rbd.RBD().remove(volumes, name)
