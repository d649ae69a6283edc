"""The contract suite of the layer ``database``."""

from glancelite.testing.contracts.database.suite import DatabaseContract

__all__ = ['DatabaseContract']
