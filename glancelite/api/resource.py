"""Finds the controller of a path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pecan import rest

from glancelite.api.errors import HTTPError

#: in the order of the ``Allow`` header
METHODS = ('GET', 'POST', 'PUT', 'PATCH', 'DELETE')
KNOWN_METHODS = frozenset({*METHODS, 'HEAD', 'OPTIONS'})


class Resource(rest.RestController):
    """A kind of URL.  Its methods ``get``, ``post``, ... are those of HTTP.

    Pecan's own routing allows too much: a parameter ``_method`` in the query or a form
    changes the method, every attribute of a controller is a segment of the path, and so
    are ``new`` and ``edit``.  Therefore this class replaces ``_route``.

    :param children: segment of the path -> resource.
    :param variable: the resource for any other segment, which becomes an argument.
    """

    #: whether other methods result in 405, otherwise in 404
    REJECTS_METHODS = True

    def __init__(self, children: Mapping[str, Resource] | None = None,
                 variable: Resource | None = None):
        self.children = children or {}
        self.variable = variable
        self.methods: Mapping[str, Callable[..., Any]] = {
            name: getattr(self, name.lower()) for name in METHODS if hasattr(self, name.lower())}

    def _route(self, args: list[str], request: Any) -> tuple[Callable[..., Any], list[str]]:
        """Return the method for a path, and the segments that are its arguments.

        :raises HTTPError: 404, 405 or 501.
        """
        resource = self
        arguments = []
        for segment in args:
            child = resource.children.get(segment)
            if child is None:
                child = resource.variable if segment else None
                if child is None:
                    raise _no_such_path(request.method)
                arguments.append(segment)
            resource = child
        method = resource.methods.get(request.method)
        if method is None:
            raise resource._no_such_method(request.method)
        return method, arguments

    def _no_such_method(self, method: str) -> HTTPError:
        if not self.methods or not self.REJECTS_METHODS:
            return _no_such_path(method)
        return HTTPError(405, f'The method {method} is not allowed for this resource.',
                         (('Allow', ', '.join(self.methods)),))

    def operations(self, prefix: str = '') -> Iterator[tuple[str, str, Callable[..., Any]]]:
        """Yield HTTP method, path and Python method of all operations from here down.

        ``{}`` stands for a segment that is an argument.
        """
        for name, method in self.methods.items():
            yield name, prefix, method
        for segment, child in self.children.items():
            yield from child.operations(f'{prefix}/{segment}')
        if self.variable is not None:
            yield from self.variable.operations(f'{prefix}/{{}}')


def _no_such_path(method: str) -> HTTPError:
    if method in KNOWN_METHODS:
        return HTTPError(404, 'The resource could not be found.')
    return HTTPError(501, f'The method {method} is not implemented.')
