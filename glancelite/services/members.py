"""Use cases of members: the projects that an image is shared with."""

from __future__ import annotations

from collections.abc import Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Member, QuotaRequest
from glancelite.domain import properties
from glancelite.services import store_acls
from glancelite.services.layers import Layers

MAX_LENGTH = 255


class Members:

    def __init__(self, layers: Layers):
        self._layers = layers

    def add(self, ctx: Context, image_id: str, member: object) -> Member:
        """Share an image with a project, which has to accept it.

        :raises Invalid: ``member`` is not a string of 1-255 characters.
        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not do this, or the image is not ``shared``.
        :raises Conflict: it is a member already.
        :raises QuotaExceeded: too many members.
        """
        if not isinstance(member, str) or not 1 <= len(member) <= MAX_LENGTH:
            raise contract.Invalid(f'member must be a project id of 1-{MAX_LENGTH} characters.')
        layers = self._layers
        properties.check_text('member', member)
        image = self._shared(ctx, image_id)
        self._enforce(ctx, 'add_member', image, member)
        records = layers.database.members
        added = records.add(image.id, member)
        try:
            layers.quota.check(ctx, QuotaRequest(
                'add_member', image.owner, members=len(records.list(image.id)), image=image))
        except Exception:       # of a plugin, too
            records.remove(image.id, member)
            raise
        layers.events.member(ctx, 'image.member.create', added)
        store_acls.share(layers, ctx, image)
        return added

    def list(self, ctx: Context, image_id: str) -> Sequence[Member]:
        """Return the members of an image: all for its owner, itself for a member, and of
        these the ones for which the policy allows ``get_member``.

        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not do this, or the image is not ``shared``.
        """
        image = self._shared(ctx, image_id)
        self._enforce(ctx, 'get_members', image)
        allows = self._layers.policy.allows
        return [each for each in self._visible(ctx, image)
                if allows(ctx, 'get_member', image, member=each.member)]

    def get(self, ctx: Context, image_id: str, member: str) -> Member:
        """Return one member.

        :raises NotFound: the caller sees no such member, for any reason.
        """
        try:
            image = self._shared(ctx, image_id)
            self._enforce(ctx, 'get_member', image, member)
        except contract.Forbidden:
            raise contract.NotFound(f'{member} is no member of image {image_id}.') from None
        return self._find(ctx, image, member)

    def set_status(self, ctx: Context, image_id: str, member: str, status: object) -> Member:
        """Set the status: accepted, rejected or pending.

        :raises NotFound: the caller sees no such image or member.
        :raises Forbidden: the caller may not do this, or the image is not ``shared``.
        :raises Invalid: there is no such status.
        """
        image = self._shared(ctx, image_id)
        self._find(ctx, image, member)
        self._enforce(ctx, 'modify_member', image, member)
        if status not in contract.MEMBER_STATUSES:
            raise contract.Invalid('status must be one of '
                                   f'{", ".join(contract.MEMBER_STATUSES)}.')
        changed = self._layers.database.members.update(image.id, member, status=str(status))
        self._layers.events.member(ctx, 'image.member.update', changed)
        return changed

    def remove(self, ctx: Context, image_id: str, member: str) -> None:
        """Stop sharing an image with a project.

        :raises NotFound: the caller sees no such image or member.
        :raises Forbidden: the caller may not do this, or the image is not ``shared``.
        """
        image = self._shared(ctx, image_id)
        self._find(ctx, image, member)
        self._enforce(ctx, 'delete_member', image, member)
        removed = self._layers.database.members.remove(image.id, member)
        self._layers.events.member(ctx, 'image.member.delete', removed)
        store_acls.share(self._layers, ctx, image)

    def _shared(self, ctx: Context, image_id: str) -> Image:
        """Return the image, if the caller sees it and it can have members."""
        image = self._layers.database.images.get(image_id, viewer=ctx.viewer)
        if image.visibility != 'shared':
            raise contract.Forbidden(f'Only shared images have members; image {image.id} '
                                     f'is {image.visibility}.')
        return image

    def _enforce(self, ctx: Context, action: str, image: Image, member: str | None = None) -> None:
        """Enforce ``action``, and ``get_image``, without which members are not visible."""
        self._layers.policy.enforce(ctx, action, image, member=member)
        self._layers.policy.enforce(ctx, 'get_image', image)

    def _visible(self, ctx: Context, image: Image) -> Sequence[Member]:
        """Return the members that the caller may see: all for the owner, itself for a member."""
        members = self._layers.database.members.list(image.id)
        if ctx.is_admin or (ctx.project is not None and image.owner == ctx.project):
            return members
        return [member for member in members if member.member == ctx.project]

    def _find(self, ctx: Context, image: Image, member: str) -> Member:
        for visible in self._visible(ctx, image):
            if visible.member == member:
                return visible
        raise contract.NotFound(f'{member} is no member of image {image.id}.')
