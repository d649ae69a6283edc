"""The configured stores, and reads that fail over between the locations of an image."""

from glancelite.services.stores.configured import ConfiguredStore
from glancelite.services.stores.stores import Stores, acceptable

__all__ = ['ConfiguredStore', 'Stores', 'acceptable']
