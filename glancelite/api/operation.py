"""The description of an operation, declared at the method of its controller."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import pecan

F = TypeVar('F', bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """A method and a path of the API.

    ``accepts`` and ``returns`` describe the bodies: the name of a schema document,
    ``object`` for JSON without one, ``patch`` or ``bytes``; '' for no body.
    ``statuses`` are those of success.  ``ignores_body``: an unexpected body is no error.
    """

    summary: str
    accepts: str
    returns: str
    statuses: tuple[int, ...]
    ignores_body: bool

    @property
    def rejects_body(self) -> bool:
        return not (self.accepts or self.ignores_body)


def operation(summary: str, *, accepts: str = '', returns: str = '',
              statuses: tuple[int, ...] = (200,),
              ignores_body: bool = False) -> Callable[[F], F]:
    """Expose a method of a ``Resource`` with its description; see ``Operation``."""
    def declare(method: F) -> F:
        pecan.expose()(method)
        method.operation = Operation(  # type: ignore[attr-defined]
            summary, accepts, returns, statuses, ignores_body)
        return method

    return declare
