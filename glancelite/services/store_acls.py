"""Read access to image data for other projects, in stores that support it."""

from __future__ import annotations

from glancelite.contract import Context, Image
from glancelite.services.layers import Layers


def share(layers: Layers, ctx: Context, image: Image) -> None:
    """Update read access after a change of data, visibility or members.

    This costs nothing if no store has the capability ``share``.
    """
    if layers.stores.any_shares and image.active_locations:
        members = (layers.database.members.list(image.id) if image.visibility == 'shared'
                   else ())
        layers.stores.share(image, projects=[each.member for each in members], ctx=ctx)
