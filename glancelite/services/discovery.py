"""Use cases of discovery: the stores, and their health."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Mapping, Sequence

from glancelite.contract import Context
from glancelite.services.layers import Layers
from glancelite.services.stores.configured import ConfiguredStore
from glancelite.support import log_context

#: seconds for which the result of a health check is used
MAX_AGE = 30.0
#: seconds that a request waits for health checks
TIMEOUT = 5.0


class Discovery:

    def __init__(self, layers: Layers):
        self._layers = layers
        self._lock = threading.Lock()
        self._checks: dict[str, tuple[float, concurrent.futures.Future[str]]] = {}

    @property
    def multi(self) -> bool:
        """True if the stores have names (``enabled_backends``)."""
        return self._layers.stores.multi

    def stores(self) -> Sequence[Mapping[str, object]]:
        """Return the stores as every user may see them, in the order of the configuration."""
        return [self._describe(store) for store in self._layers.stores]

    def detail(self, ctx: Context) -> Sequence[Mapping[str, object]]:
        """Return the stores with details for operators, such as their health.

        :raises Forbidden: the caller may not see this.
        """
        self._layers.policy.enforce(ctx, 'stores_info_detail')
        stores = list(self._layers.stores)
        checks = [self._check(store) for store in stores]
        concurrent.futures.wait(checks, TIMEOUT)
        return [{**self._describe(store), 'type': store.driver_name,
                 'weight': store.weight, 'properties': dict(store.properties()),
                 'status': _status(check)}
                for store, check in zip(stores, checks, strict=True)]

    def _describe(self, store: ConfiguredStore) -> Mapping[str, object]:
        description: dict[str, object] = {'id': store.name}
        if store.description:
            description['description'] = store.description
        if store.name == self._layers.stores.default:
            description['default'] = 'true'
        if not store.is_writable:
            description['read-only'] = 'true'
        return description

    def _check(self, store: ConfiguredStore) -> concurrent.futures.Future[str]:
        """Start a health check, unless one is in progress or its result is recent."""
        with self._lock:
            started, check = self._checks.get(store.name, (0.0, None))
            if check is not None and (not check.done() or time.monotonic() - started < MAX_AGE):
                return check
            check = concurrent.futures.Future()
            self._checks[store.name] = time.monotonic(), check
        threading.Thread(target=log_context.carried(_run_check), args=(store, check), daemon=True,
                         name=f'health of {store.name}').start()
        return check


def _run_check(store: ConfiguredStore, check: concurrent.futures.Future[str]) -> None:
    try:
        check.set_result(store.health())
    except Exception as error:  # drivers and their libraries may raise anything
        check.set_exception(error)


def _status(check: concurrent.futures.Future[str]) -> str:
    if not check.done():
        return 'silent'
    return 'unavailable' if check.exception() is not None else 'available'
