"""Access to Ceph pools as Nova, Cinder and administrators have it."""

import contextlib

from glancelite.plugins.store.rbd.bindings import load_bindings


@contextlib.contextmanager
def opened(ceph, pool, user='admin', **settings):
    """Yield the module ``rbd`` and an open pool.

    :param settings: options of Ceph.
    """
    rados, rbd = load_bindings()
    with rados.Rados(conffile=ceph.conf, rados_id=user, conf=settings) as cluster, \
            cluster.open_ioctx(pool) as ioctx:
        ioctx.set_osdmap_full_try()
        yield rbd, ioctx


def names(ceph, pool='images'):
    """Return the names of all images in a pool and its trash."""
    with opened(ceph, pool) as (rbd, ioctx):
        return rbd.RBD().list(ioctx) + [entry['name'] for entry in rbd.RBD().trash_list(ioctx)]


def remove_all(ceph, pool='images'):
    """Remove all images, so that they do not fail the next test; return their names.

    Images that are in use, or have clones, remain.
    """
    remaining = names(ceph, pool)
    with opened(ceph, pool) as (rbd, ioctx):
        for name in rbd.RBD().list(ioctx) if remaining else ():
            with contextlib.suppress(rbd.Error):
                with rbd.Image(ioctx, name) as image:
                    for snapshot in list(image.list_snaps()):
                        if image.is_protected_snap(snapshot['name']):
                            image.unprotect_snap(snapshot['name'])
                        image.remove_snap(snapshot['name'])
                rbd.RBD().remove(ioctx, name)
    return remaining


@contextlib.contextmanager
def clone(ceph, url, name, version, user='volumes'):
    """Clone an image, as Cinder does; remove the clone at the end of the block.

    :param version: 1 or 2, the format of the clone.
    """
    _, _, _, pool, image, snapshot = url.split('/')
    settings = {'rbd_default_clone_format': str(version)}
    with opened(ceph, pool, user, **settings) as (rbd, images), \
            opened(ceph, 'volumes', user, **settings) as (_, volumes):
        rbd.RBD().clone(images, image, snapshot, volumes, name,
                        features=rbd.RBD_FEATURE_LAYERING)
        try:
            yield
        finally:
            rbd.RBD().remove(volumes, name)
