"""What happens around every controller: who calls, what is welcome, what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from pecan import hooks

from glancelite import contract
from glancelite.api import errors
from glancelite.contract import middleware


class Caller(hooks.PecanHook):
    """Finds out who is calling before anything else is said, even 404."""

    def __init__(self, core: Any):
        self._identify = core.identify

    def on_route(self, state: Any) -> None:
        environ = state.request.environ
        state.request.context = environ.get(middleware.CONTEXT_KEY) or self._identify(environ)


class Identified:
    """Finds out who is calling before the middleware of ``[pipeline] extra`` is asked."""

    def __init__(self, app: middleware.WSGIApp, core: Any):
        self._app = app
        self._identify = core.identify

    def __call__(self, environ: MutableMapping[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            environ[middleware.CONTEXT_KEY] = self._identify(environ)
        except Exception as error:
            return errors.answer(environ, error)(environ, start_response)
        return self._app(environ, start_response)


class Welcome(hooks.PecanHook):
    """Refuses what is for nobody like this caller, and a body where none belongs, unread."""

    def before(self, state: Any) -> None:
        request = state.request
        if request.method != 'GET' and request.context.read_only:
            raise contract.Forbidden('Read-only access')
        if state.controller.operation.refuses_body and request.has_body:
            raise contract.Invalid(f'A {request.method} of this resource takes no body.')


class Errors(hooks.PecanHook):
    """The one place where an exception becomes a response."""

    def on_error(self, state: Any, e: BaseException) -> errors.Response:
        return errors.answer(state.request.environ, e)
