"""What the service tells of its stores."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Mapping, Sequence

from glancelite.contract import Context
from glancelite.services.layers import Layers
from glancelite.services.stores.backend import Backend

#: seconds for which the answer of a store is good
FRESH = 30.0
#: seconds that a caller waits for the stores that were asked
PATIENCE = 5.0


class Discovery:

    def __init__(self, layers: Layers):
        self._layers = layers
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[float, concurrent.futures.Future[str]]] = {}

    @property
    def multi(self) -> bool:
        """Are there stores with names at all?"""
        return self._layers.stores.multi

    def stores(self) -> Sequence[Mapping[str, object]]:
        """The stores as everybody may know them, in the operator's order."""
        return [self._described(backend) for backend in self._layers.stores]

    def detail(self, ctx: Context) -> Sequence[Mapping[str, object]]:
        """The stores with what operators want to know, their health among it.

        :raises Forbidden: not to this caller.
        """
        self._layers.policy.enforce(ctx, 'stores_info_detail')
        backends = list(self._layers.stores)
        answers = [self._ask(backend) for backend in backends]
        concurrent.futures.wait(answers, PATIENCE)
        return [{**self._described(backend), 'type': backend.driver_name,
                 'weight': backend.weight, 'properties': dict(backend.properties()),
                 'status': _status(answer)}
                for backend, answer in zip(backends, answers, strict=True)]

    def _described(self, backend: Backend) -> Mapping[str, object]:
        found: dict[str, object] = {'id': backend.name}
        if backend.description:
            found['description'] = backend.description
        if backend.name == self._layers.stores.default:
            found['default'] = 'true'
        if not backend.takes_data:
            found['read-only'] = 'true'
        return found

    def _ask(self, backend: Backend) -> concurrent.futures.Future[str]:
        """Its health: one question at a time, and no more often than needed."""
        with self._lock:
            at, answer = self._asked.get(backend.name, (0.0, None))
            if answer is not None and (not answer.done() or time.monotonic() - at < FRESH):
                return answer
            answer = concurrent.futures.Future()
            self._asked[backend.name] = time.monotonic(), answer
        threading.Thread(target=_answer, args=(backend, answer), daemon=True,
                         name=f'health of {backend.name}').start()
        return answer


def _answer(backend: Backend, answer: concurrent.futures.Future[str]) -> None:
    try:
        answer.set_result(backend.health())
    except Exception as error:  # whatever a driver raises, it is not well
        answer.set_exception(error)


def _status(answer: concurrent.futures.Future[str]) -> str:
    if not answer.done():
        return 'silent'
    return 'unavailable' if answer.exception() is not None else 'available'
