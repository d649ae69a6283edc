"""Who and what a log line is about: oslo.log adds it to the lines of the thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from oslo_context import context

from glancelite.contract import Context

P = ParamSpec('P')
R = TypeVar('R')


def begin(request_id: str | None = None) -> None:
    """Begin a request, or work of the service itself, in this thread.

    :param request_id: None for a new one.
    """
    context.RequestContext(request_id=request_id)   # keeps itself in the thread


def set_caller(ctx: Context) -> None:
    """Add the caller to what has begun."""
    current = context.get_current()
    if current is not None:
        current.user_id, current.user_name = ctx.user, ctx.user_name
        current.project_id, current.project_name = ctx.project, ctx.project_name
        current.user_domain_id, current.project_domain_id = ctx.user_domain, ctx.project_domain
        current.domain_id, current.system_scope = ctx.domain, ctx.system_scope


def carried(function: Callable[P, R]) -> Callable[P, R]:
    """Return ``function`` for another thread, whose lines are about the same as here."""
    current = context.get_current()

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if current is None:
            begin()
        else:
            current.update_store()
        return function(*args, **kwargs)

    return call
