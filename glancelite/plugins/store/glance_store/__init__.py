"""Drivers written for the library glance_store, as a store of this service."""

from glancelite.plugins.store.glance_store.store import GlanceStore

__all__ = ['GlanceStore']
