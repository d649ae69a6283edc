"""Images as files, in the layout of Glance."""

from glancelite.plugins.store.file.store import FileStore

__all__ = ['FileStore']
