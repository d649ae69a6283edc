"""Images in a Sheepdog cluster, one virtual disk (VDI) per image."""

from glancelite.plugins.store.sheepdog.store import SheepdogStore

__all__ = ['SheepdogStore']
