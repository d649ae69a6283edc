"""What belongs to a project is changed by that project, whatever the rules say."""

from glancelite import contract

#: actions that change an image, its data or its members: for owner and administrator.
#: ``copy_image`` is left to the rules: an operator may let others copy an image.
CHANGES = frozenset({
    'modify_image', 'delete_image', 'upload_image', 'deactivate', 'reactivate',
    'publicize_image', 'communitize_image', 'set_image_location', 'delete_image_location',
    'add_member', 'delete_member',
})
#: first word of the actions that only look
READS = ('get_', 'list_', 'download_')
MORE_READS = frozenset({'fetch_image_location', 'cache_list', 'stores_info_detail'})
#: roles of the user that other services work with, see rule ``service_api``
SERVICES = frozenset({'service', 'admin'})


class Ownership(contract.PolicyEngine):
    """A second line of defence: a policy file can narrow it but not open it.

    Reading is not its matter: which rows a caller sees, the database knows.
    An image without owner is changed by administrators only.
    """

    def enforce(self, ctx, action, image=None, *, member=None):
        if ctx.read_only and not (action.startswith(READS) or action in MORE_READS):
            raise contract.Forbidden('Read-only access')
        if not ctx.is_admin and not _may(ctx, action, image, member):
            raise contract.Forbidden(f'You are not authorized to complete {action} action.')

    def filter(self, ctx, action, images):
        if ctx.is_admin or action.startswith(READS):
            return images
        return super().filter(ctx, action, images)


def _may(ctx, action, image, member):
    if action in CHANGES or action == 'add_image':
        return _owns(ctx, image)
    if action == 'modify_member':     # to accept is the matter of the one who receives
        return ctx.project is not None and member == ctx.project
    if action == 'add_image_location':
        return _owns(ctx, image) or not SERVICES.isdisjoint(ctx.roles)
    return True


def _owns(ctx, image):
    return image is not None and ctx.project is not None and image.owner == ctx.project
