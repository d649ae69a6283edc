"""Use cases of single tags."""

from __future__ import annotations

from collections.abc import Mapping

from glancelite import contract
from glancelite.contract import Context, Image, QuotaRequest
from glancelite.services.images import Images
from glancelite.services.layers import Layers

LONGEST = 255


class Tags:

    def __init__(self, layers: Layers, images: Images):
        self._layers = layers
        self._images = images

    def add(self, ctx: Context, image_id: str, tag: str) -> None:
        """Tag an image; a tag that is there already stays.

        :raises NotFound: no such image for this caller.
        :raises Forbidden: not to this caller.
        :raises Invalid: the tag is too long.
        :raises QuotaExceeded: too many tags.
        """
        if len(tag) > LONGEST or '\0' in tag:
            raise contract.Invalid(f'A tag has at most {LONGEST} characters, and no NUL.')

        def change(image: Image) -> Mapping[str, object]:
            self._layers.policy.enforce(ctx, 'modify_image', image)
            if tag in image.tags:
                return {}
            self._layers.quota.check(ctx, QuotaRequest('modify_image', image.owner,
                                              tags=len(image.tags) + 1))
            return {'tags': tuple(sorted((*image.tags, tag)))}

        self._images.change(ctx, image_id, change)

    def remove(self, ctx: Context, image_id: str, tag: str) -> None:
        """Take a tag away.

        :raises NotFound: no such image for this caller, or no such tag.
        :raises Forbidden: not to this caller.
        """
        def change(image: Image) -> Mapping[str, object]:
            self._layers.policy.enforce(ctx, 'modify_image', image)
            if tag not in image.tags:
                raise contract.NotFound(f'Image {image.id} has no tag {tag!r}.')
            return {'tags': tuple(found for found in image.tags if found != tag)}

        self._images.change(ctx, image_id, change)
