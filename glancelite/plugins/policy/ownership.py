"""Only the owner can change an image, whatever the rules allow."""

from __future__ import annotations

from collections.abc import Sequence

from glancelite import contract
from glancelite.contract import Context
from glancelite.contract.policy import Target, TargetT

#: actions that change an image, its data or its members: allowed for owner and administrator.
#: ``copy_image`` is not among them: an operator may let others copy an image.
CHANGES = frozenset({
    'modify_image', 'delete_image', 'upload_image', 'deactivate', 'reactivate',
    'publicize_image', 'communitize_image', 'set_image_location', 'delete_image_location',
    'add_member', 'delete_member',
})
#: prefixes of actions that only read
READS = ('get_', 'list_', 'download_')
MORE_READS = frozenset({'fetch_image_location', 'cache_list', 'stores_info_detail'})
#: roles of other services, as in the rule ``service_api``
SERVICES = frozenset({'service', 'admin'})


class Ownership(contract.PolicyEngine):
    """A second check, which policy files can narrow but not widen.

    It does not restrict reading: the database selects the images that a caller sees.
    Only administrators can change an image without owner.  Namespaces of metadata
    definitions are left to the rules: those of the whole cloud may be the task of a role.
    """

    def enforce(self, ctx: Context, action: str, target: Target | None = None, *,
                member: str | None = None) -> None:
        if ctx.read_only and not (action.startswith(READS) or action in MORE_READS):
            raise contract.Forbidden('Read-only access')
        if not ctx.is_admin and not _may(ctx, action, target, member):
            raise contract.Forbidden(f'You are not authorized to complete {action} action.')

    def filter(self, ctx: Context, action: str,
               targets: Sequence[TargetT]) -> Sequence[TargetT]:
        if ctx.is_admin or action.startswith(READS):
            return targets
        return super().filter(ctx, action, targets)


def _may(ctx: Context, action: str, target: Target | None, member: str | None) -> bool:
    if action in CHANGES or action == 'add_image':
        return _owns(ctx, target)
    if action == 'modify_member':     # the receiving project accepts or rejects
        return ctx.project is not None and member == ctx.project
    if action == 'add_image_location':
        return _owns(ctx, target) or not SERVICES.isdisjoint(ctx.roles)
    return True


def _owns(ctx: Context, target: Target | None) -> bool:
    return target is not None and ctx.project is not None and target.owner == ctx.project
