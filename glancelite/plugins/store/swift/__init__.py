"""Image data in OpenStack Swift, in one account or in those of the owners."""

from glancelite.plugins.store.swift.store import SwiftStore

__all__ = ['SwiftStore']
