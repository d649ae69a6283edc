"""Steps around every controller: identification, checks of the request, error responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from pecan import hooks

from glancelite import contract
from glancelite.api import errors
from glancelite.api.message import Response
from glancelite.assembly import Core
from glancelite.contract import middleware


class IdentifyCaller(hooks.PecanHook):
    """Identifies the caller before the path is looked up, so that 401 precedes 404."""

    def __init__(self, core: Core):
        self._identify = core.identify

    def on_route(self, state: Any) -> None:
        environ = state.request.environ
        state.request.context = environ.get(middleware.CONTEXT_KEY) or self._identify(environ)


class IdentifyFirst:
    """Identifies the caller before the middleware of ``[pipeline] extra`` runs."""

    def __init__(self, app: middleware.WSGIApp, core: Core):
        self._app = app
        self._identify = core.identify

    def __call__(self, environ: MutableMapping[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            environ[middleware.CONTEXT_KEY] = self._identify(environ)
        except Exception as error:
            return errors.to_response(environ, error)(environ, start_response)
        return self._app(environ, start_response)


class CheckRequest(hooks.PecanHook):
    """Refuses what no controller accepts, before a body is read."""

    def before(self, state: Any) -> None:
        request = state.request
        if request.method != 'GET' and request.context.read_only:
            raise contract.Forbidden('Read-only access')
        operation = state.controller.operation
        if operation.rejects_body and request.has_body:
            raise contract.Invalid('A body is not expected with this request.')
        if operation.accepts and 'HTTP_CONTENT_RANGE' in request.environ:
            # a part must not be taken for the whole: RFC 9110, section 14.5
            raise contract.Invalid('Content-Range is not supported in this request: send the '
                                   'whole body, without this header.')


class ErrorResponses(hooks.PecanHook):
    """Turns exceptions into responses."""

    def on_error(self, state: Any, e: BaseException) -> Response:
        return errors.to_response(state.request.environ, e)
