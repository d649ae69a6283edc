"""The blocks of the domain controller, as the use cases see them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from glancelite import contract

if TYPE_CHECKING:
    from glancelite.services.events import Events
    from glancelite.services.leases import Leases
    from glancelite.services.retention import Retention
    from glancelite.services.staging import StagingArea
    from glancelite.services.stores import Stores


@dataclasses.dataclass(frozen=True, slots=True)
class Layers:
    """The blocks; built once, shared by all requests.

    A chain has the interface of one plugin, so a use case does not know how many there are.
    """

    policy: contract.PolicyEngine
    quota: contract.QuotaEnforcer
    events: Events
    stores: Stores
    database: contract.Database
    inspectors: Sequence[contract.Inspector]
    key_manager: contract.KeyManager
    importers: Mapping[str, contract.Importer]
    steps: Sequence[contract.Step]
    executor: contract.Executor
    staging: StagingArea
    leases: Leases
    retention: Retention
    host: contract.Host
