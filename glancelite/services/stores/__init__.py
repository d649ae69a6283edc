"""The configured stores, and reading an image that has several copies."""

from glancelite.services.stores.backend import Backend
from glancelite.services.stores.stores import Stores, suited

__all__ = ['Backend', 'Stores', 'suited']
