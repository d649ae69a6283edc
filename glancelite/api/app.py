"""The API on one screen: controllers, hooks, versions, middleware."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pecan.core import PecanBase

from glancelite import contract
from glancelite.api import hooks, v2
from glancelite.api.message import Request, Response
from glancelite.api.resource import Resource
from glancelite.api.root import Versions


def make_app(core: Any) -> contract.middleware.WSGIApp:
    """The whole service as a WSGI application.

    :param core: what ``assembly.build`` returns.
    """
    app: contract.middleware.WSGIApp = Api(Resource({'v2': v2.root(core)}), hooks=[
        hooks.Caller(core), hooks.Welcome(), hooks.Errors()])
    if core.extra:
        app = hooks.Identified(_wrapped(app, core.extra), core)
    return _wrapped(Versions(app, core.settings), core.middleware)


def _wrapped(app: contract.middleware.WSGIApp,
             around: Sequence[contract.Middleware]) -> contract.middleware.WSGIApp:
    """:param around: the outermost first."""
    for middleware in reversed(around):
        app = middleware.wrap(app)
    return app


class Api(PecanBase):
    """Pecan without its guesses.

    Four steps of Pecan 1.8 are taken differently.  Three of them look up a
    controller's argument specification anew for every request, which takes
    several times as long as everything else here; the fourth reads a whole
    download into memory.  ``tests/api/test_pecan.py`` shows each on Pecan
    itself, and so tells when one is needed no longer.
    """

    def __init__(self, root: Resource, hooks: list[Any]):
        super().__init__(root, hooks=hooks, guess_content_type_from_ext=False,
                         request_cls=Request, response_cls=Response)

    def route(self, req: Request, node: Resource, path: str) -> tuple[Any, list[str]]:
        """Pecan would walk through attributes; a ``Resource`` knows its way."""
        return node._route(path.split('/')[1:], req)

    def get_args(self, state: Any, all_params: Any, remainder: list[str], argspec: Any,
                 im_self: Any) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """The request and the variable segments of the path; never query or form."""
        return [state.request, *remainder], [], {}

    def invoke_controller(self, controller: Any, args: list[Any], kwargs: dict[str, Any],
                          state: Any) -> None:
        """Our controllers return a response: there is nothing to render."""
        state.response = controller(*args)

    def _handle_empty_response_body(self, state: Any) -> None:
        """Pecan looks into the body to see if 200 should be 204; ours know which it is."""
