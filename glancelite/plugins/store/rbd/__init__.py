"""Images in a Ceph pool. Nova and Cinder can clone them."""

from glancelite.plugins.store.rbd.store import RBDStore

__all__ = ['RBDStore']
