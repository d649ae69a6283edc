"""What happens around every controller: who calls, what is welcome, what went wrong."""

from __future__ import annotations

from typing import Any

from pecan import hooks

from glancelite import contract
from glancelite.api import errors


class Caller(hooks.PecanHook):
    """Finds out who is calling before anything else is said, even 404."""

    def __init__(self, core: Any):
        self._identify = core.identify

    def on_route(self, state: Any) -> None:
        state.request.context = self._identify(state.request.environ)


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
