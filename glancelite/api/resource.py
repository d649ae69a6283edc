"""How a path finds its controller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pecan import rest

from glancelite.api.errors import Refusal

#: in the order in which ``Allow`` names them
VERBS = ('GET', 'POST', 'PUT', 'PATCH', 'DELETE')
USUAL = frozenset({*VERBS, 'HEAD', 'OPTIONS'})


class Resource(rest.RestController):
    """One kind of URL: its exposed methods are the verbs.

    ``below`` are the resources further down by their segment of the path;
    ``each`` is the one for any other segment, which becomes an argument.

    A ``RestController`` of Pecan finds its way by itself, and too many ways:
    a parameter ``_method`` in the query or in a form changes the verb, every
    attribute of a controller is a segment, and so are ``new`` and ``edit``.
    So ``_route`` is ours.
    """

    #: answer other methods with 405 (with 404 if False)
    REJECTS = True

    def __init__(self, below: Mapping[str, Resource] | None = None,
                 each: Resource | None = None):
        self.below = below or {}
        self.each = each
        self.verbs: Mapping[str, Callable[..., Any]] = {
            verb: getattr(self, verb.lower()) for verb in VERBS if hasattr(self, verb.lower())}

    def _route(self, args: list[str], request: Any) -> tuple[Callable[..., Any], list[str]]:
        """The method for a path, and the segments that are its arguments.

        :raises Refusal: 404, 405 or 501.
        """
        here: Resource | None = self
        taken = []
        for segment in args:
            step = here.below.get(segment)
            if step is None:
                step = here.each if segment else None
                if step is None:
                    raise _no_such_path(request.method)
                taken.append(segment)
            here = step
        method = here.verbs.get(request.method)
        if method is None:
            raise here._no_such_method(request.method)
        return method, taken

    def _no_such_method(self, method: str) -> Refusal:
        if not self.verbs or not self.REJECTS:
            return _no_such_path(method)
        return Refusal(405, f'The method {method} is not allowed for this resource.',
                       (('Allow', ', '.join(self.verbs)),))

    def paths(self, prefix: str = '') -> Iterator[tuple[str, str, Callable[..., Any]]]:
        """Every verb, path and method from here down; ``{}`` stands for an argument."""
        for verb, method in self.verbs.items():
            yield verb, prefix, method
        for segment, step in self.below.items():
            yield from step.paths(f'{prefix}/{segment}')
        if self.each is not None:
            yield from self.each.paths(f'{prefix}/{{}}')


def _no_such_path(method: str) -> Refusal:
    if method in USUAL:
        return Refusal(404, 'The resource could not be found.')
    return Refusal(501, f'The method {method} is not implemented.')
