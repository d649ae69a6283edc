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

    ``body`` is ``refused`` (one is an error), ``ignored``, ``json`` or
    ``bytes``; ``answers`` are the statuses of success.
    """

    summary: str
    body: str
    answers: tuple[int, ...]


def operation(summary: str, *, body: str = 'refused',
              answers: tuple[int, ...] = (200,)) -> Callable[[F], F]:
    """Expose a method of a ``Resource`` and say what it is."""
    def declare(method: F) -> F:
        pecan.expose()(method)
        method.operation = Operation(summary, body, answers)  # type: ignore[attr-defined]
        return method

    return declare
