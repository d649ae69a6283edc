"""Images in a Ceph pool, which Nova and Cinder can clone."""

from glancelite.plugins.store.rbd.store import RBDStore

__all__ = ['RBDStore']
