"""The contract suite of the layer ``store``."""

from glancelite.testing.contracts.store.suite import LargeImageContract, StoreContract
from glancelite.testing.contracts.store.toolbox import cut, pattern, same

__all__ = ['LargeImageContract', 'StoreContract', 'cut', 'pattern', 'same']
