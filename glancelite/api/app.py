"""Builds the WSGI application: controllers, hooks, versions, middleware."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any

from pecan.core import PecanBase

from glancelite import contract
from glancelite.api import errors, hooks, v2
from glancelite.api.json_body import JSONParser
from glancelite.api.message import Request, Response
from glancelite.api.resource import Resource
from glancelite.api.versions import Versions
from glancelite.assembly import Core
from glancelite.services import border


def make_app(core: Core) -> contract.middleware.WSGIApp:
    """Return the WSGI application of a service."""
    app: contract.middleware.WSGIApp = Api(
        Resource({'v2': v2.root(core)}), JSONParser(core.settings.max_json_size), hooks=[
            hooks.IdentifyCaller(core), hooks.CheckRequest(), hooks.ErrorResponses()])
    if core.extra:
        app = hooks.IdentifyFirst(_wrap(app, core.extra), core)
    return Border(_wrap(Versions(app, core.settings), core.middleware))


class Border:
    """Answers 500 where a plugin, such as a database or a middleware, would end the process."""

    def __init__(self, app: contract.middleware.WSGIApp):
        self._app = app

    def __call__(self, environ: MutableMapping[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return self._app(environ, start_response)
        except Exception:
            raise
        except BaseException as error:
            if border.passes(error):
                raise
            return errors.to_response(environ, error)(environ, start_response)


def _wrap(app: contract.middleware.WSGIApp,
          middlewares: Sequence[contract.Middleware]) -> contract.middleware.WSGIApp:
    """:param middlewares: the outermost first."""
    for middleware in reversed(middlewares):
        app = middleware.wrap(app)
    return app


class Api(PecanBase):
    """A Pecan application with four steps of Pecan 1.8 replaced.

    Three of them inspect the signature of the controller in every request, which takes
    several times as long as the rest of the request; the fourth reads a whole download
    into memory.  ``tests/api/test_pecan.py`` shows each on Pecan itself, and fails when
    a replacement is no longer needed.
    """

    def __init__(self, root: Resource, parser: JSONParser, hooks: list[Any]):
        super().__init__(root, hooks=hooks, guess_content_type_from_ext=False,
                         request_cls=functools.partial(Request, parser=parser),
                         response_cls=Response)

    def route(self, req: Request, node: Resource, path: str) -> tuple[Any, list[str]]:
        """Let the resource route; Pecan would search attributes."""
        return node._route(path.split('/')[1:], req)

    def get_args(self, state: Any, all_params: Any, remainder: list[str], argspec: Any,
                 im_self: Any) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """Pass the request and the variable segments of the path, never query or form."""
        return [state.request, *remainder], [], {}

    def invoke_controller(self, controller: Any, args: list[Any], kwargs: dict[str, Any],
                          state: Any) -> None:
        """Call the controller; it returns a response, so there is nothing to render."""
        state.response = controller(*args)

    def _handle_empty_response_body(self, state: Any) -> None:
        """Leave the status: Pecan reads the body to see whether 200 should be 204."""
