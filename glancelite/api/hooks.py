"""What happens around every controller: who calls, is a body welcome, what went wrong."""

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


class Body(hooks.PecanHook):
    """Refuses a body where none belongs, without reading it."""

    def before(self, state: Any) -> None:
        if state.controller.operation.refuses_body and state.request.has_body:
            raise contract.Invalid(f'A {state.request.method} of this resource takes no body.')


class Errors(hooks.PecanHook):
    """The one place where an exception becomes a response."""

    def on_error(self, state: Any, e: BaseException) -> errors.Response:
        return errors.answer(state.request.environ, e)
