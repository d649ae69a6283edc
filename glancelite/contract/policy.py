"""The layer ``policy``: may this caller do this to that?"""

from __future__ import annotations

import abc
from collections.abc import Sequence

from glancelite.contract.context import Context
from glancelite.contract.errors import Forbidden
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Image


class PolicyEngine(Plugin):
    """One voice in a chain in which all must agree.

    ``verb`` is a rule name of OpenStack's default policies, such as
    ``get_image`` (``oslopolicy-sample-generator --namespace glancelite`` lists
    those that are asked; more may come); ``image`` is the image it is about: as proposed for
    ``add_image``, as it is before the change otherwise, None where the verb
    is about no image.  ``member`` is the project that a membership belongs to.
    """

    LAYER = 'policy'

    @abc.abstractmethod
    def enforce(self, ctx: Context, verb: str, image: Image | None = None, *,
                member: str | None = None) -> None:
        """Return if the caller may; an engine without an opinion returns.

        :raises Forbidden: the caller may not.
        :raises Unavailable: the decision cannot be had; counts as a refusal.
        """

    def filter(self, ctx: Context, verb: str, images: Sequence[Image]) -> Sequence[Image]:
        """Those of ``images`` to which the caller may do ``verb``, in order.

        Must agree with ``enforce``, in far less than one call for each.  The result
        has a length: not a generator.
        """
        return [image for image in images if self.allows(ctx, verb, image)]

    def allows(self, ctx: Context, verb: str, image: Image | None = None, *,
               member: str | None = None) -> bool:
        """``enforce`` as a question."""
        try:
            self.enforce(ctx, verb, image, member=member)
        except Forbidden:
            return False
        return True

    def admin(self, ctx: Context) -> bool | None:
        """Is the caller an administrator of images?  None for no opinion.

        Asked once for each request, before ``ctx.is_admin`` is known.
        The first opinion of the chain decides; without any, the role
        ``admin`` does.
        """
        return None
