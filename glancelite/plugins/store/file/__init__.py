"""Images as plain files, in the layout that Glance uses."""

from glancelite.plugins.store.file.store import FileStore

__all__ = ['FileStore']
