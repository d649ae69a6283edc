"""Images in a Sheepdog cluster, one virtual disk each."""

from glancelite.plugins.store.sheepdog.store import SheepdogStore

__all__ = ['SheepdogStore']
