"""Telling the stores that care which projects may read an image."""

from __future__ import annotations

from glancelite.contract import Context, Image
from glancelite.services.layers import Layers


def share(layers: Layers, ctx: Context, image: Image) -> None:
    """Do so after a change of data, visibility or members; costs nothing if no store cares."""
    if layers.stores.shares and image.active_locations:
        members = (layers.database.members.list(image.id) if image.visibility == 'shared'
                   else ())
        layers.stores.share(image, projects=[each.member for each in members], ctx=ctx)
