"""Any driver written for the glance_store library, as a store of this service."""

from glancelite.plugins.store.glance_store.store import GlanceStore

__all__ = ['GlanceStore']
