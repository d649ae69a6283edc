"""What a controller's method declares about itself, beside the code."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import pecan

F = TypeVar('F', bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """A method and a path of the API.

    ``takes`` and ``gives`` are the bodies: the name of a schema document,
    ``object`` for JSON that has none, ``patch`` or ``bytes``; '' for none.
    ``answers`` are the statuses of success.
    ``ignores_body``: one that comes all the same is no error.
    """

    summary: str
    takes: str
    gives: str
    answers: tuple[int, ...]
    ignores_body: bool

    @property
    def refuses_body(self) -> bool:
        return not (self.takes or self.ignores_body)


def operation(summary: str, *, takes: str = '', gives: str = '', answers: tuple[int, ...] = (200,),
              ignores_body: bool = False) -> Callable[[F], F]:
    """Expose a method of a ``Resource`` and say what it is; see ``Operation``."""
    def declare(method: F) -> F:
        pecan.expose()(method)
        method.operation = Operation(  # type: ignore[attr-defined]
            summary, takes, gives, answers, ignores_body)
        return method

    return declare
