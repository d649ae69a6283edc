"""The layer ``policy``: decides what a caller may do."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from glancelite.contract.context import Context
from glancelite.contract.errors import Forbidden
from glancelite.contract.metadef import Namespace
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Image

#: what an action is about
Target: TypeAlias = Image | Namespace
TargetT = TypeVar('TargetT', Image, Namespace)


class PolicyEngine(Plugin):
    """One member of the policy chain.  All members must allow an action.

    ``action`` is the name of a rule in OpenStack's default policies, such as
    ``get_image``; ``oslopolicy-sample-generator --namespace glancelite`` lists those in
    use, and more may come.  ``target`` is the image that the action is about: as proposed
    for ``add_image``, otherwise as it is before the change; None if the action is not
    about an image.  ``member`` is the project of a membership.  If ``metadef`` is part of
    the action, ``target`` is a namespace of metadata definitions, also for actions on its
    items; None if it does not exist yet, or if the action is not about one namespace.

    A decision depends on these arguments alone, not on earlier ones.  ``properties`` of an
    image are written by owners: one that is called ``owner`` must not count as the owner.
    An unknown action is decided like any other.
    """

    LAYER = 'policy'

    @abc.abstractmethod
    def enforce(self, ctx: Context, action: str, target: Target | None = None, *,
                member: str | None = None) -> None:
        """Return if the caller may do this, or if this engine has no rule for it.

        :raises Forbidden: the caller may not; the text says so, and is not empty.
        :raises Unavailable: the decision cannot be made; counts as a refusal.
        """

    def filter(self, ctx: Context, action: str,
               targets: Sequence[TargetT]) -> Sequence[TargetT]:
        """Return those of ``targets`` for which ``action`` is allowed, in order.

        The result must agree with ``allows``, and must cost far less than one call per
        target.  It has a length: it is not a generator.
        """
        return [target for target in targets if self.allows(ctx, action, target)]

    def allows(self, ctx: Context, action: str, target: Target | None = None, *,
               member: str | None = None) -> bool:
        """Return True if ``enforce`` would return, and False if it would raise ``Forbidden``."""
        try:
            self.enforce(ctx, action, target, member=member)
        except Forbidden:
            return False
        return True

    def may_ever(self, ctx: Context, action: str) -> bool:
        """Return False if the caller may do this with no target at all.

        The core asks before it reads the body of a request, so that the body of a caller
        who may not do this anyway costs nothing.  True if it depends on the target.
        """
        return True

    def is_admin(self, ctx: Context) -> bool | None:
        """Return whether the caller is an administrator of images; None if undecided.

        Called once for each request, before ``ctx.is_admin`` is set.  The first answer
        of the chain that is not None counts.  If there is none, callers with the role
        ``admin`` are administrators.
        """
        return None
