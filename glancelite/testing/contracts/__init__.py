"""One suite per layer: subclass it and override the fixture that builds your plugin."""

from glancelite.testing.contracts.auth import AuthContract, IdentityContract
from glancelite.testing.contracts.credential import CredentialContract
from glancelite.testing.contracts.database import DatabaseContract
from glancelite.testing.contracts.executor import ExecutorContract, SubmissionContract
from glancelite.testing.contracts.importer import FetchContract, ImporterContract
from glancelite.testing.contracts.inspector import InspectorContract
from glancelite.testing.contracts.key_manager import KeyManagerContract
from glancelite.testing.contracts.location import LocationContract
from glancelite.testing.contracts.middleware import MiddlewareContract
from glancelite.testing.contracts.notifier import NotifierContract
from glancelite.testing.contracts.policy import PolicyContract
from glancelite.testing.contracts.quota import QuotaContract
from glancelite.testing.contracts.step import StepContract
from glancelite.testing.contracts.store import LargeImageContract, StoreContract
from glancelite.testing.contracts.store.failures import (
    BrokenBackendContract,
    MissingRootContract,
    TwoStoresContract,
)
from glancelite.testing.contracts.store.reading import ReadingContract

#: layer -> its suite; the fixture to override has the name of the layer
SUITES = {
    'auth': AuthContract, 'credential': CredentialContract, 'database': DatabaseContract,
    'executor': ExecutorContract, 'importer': ImporterContract, 'inspector': InspectorContract,
    'key_manager': KeyManagerContract, 'location': LocationContract,
    'middleware': MiddlewareContract, 'notifier': NotifierContract, 'policy': PolicyContract,
    'quota': QuotaContract, 'step': StepContract, 'store': StoreContract,
}

__all__ = [
    'SUITES', 'AuthContract', 'BrokenBackendContract', 'CredentialContract', 'DatabaseContract',
    'ExecutorContract', 'FetchContract', 'IdentityContract', 'ImporterContract',
    'InspectorContract', 'KeyManagerContract', 'LargeImageContract', 'LocationContract',
    'MiddlewareContract', 'MissingRootContract', 'NotifierContract', 'PolicyContract',
    'QuotaContract', 'ReadingContract', 'StepContract', 'StoreContract', 'SubmissionContract',
    'TwoStoresContract',
]
