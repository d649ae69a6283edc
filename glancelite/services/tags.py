"""Use cases of tags."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from glancelite import contract
from glancelite.contract import Context, Image, QuotaRequest
from glancelite.services.images import Images
from glancelite.services.layers import Layers

MAX_LENGTH = 255


class Tags:

    def __init__(self, layers: Layers, images: Images):
        self._layers = layers
        self._images = images

    def add(self, ctx: Context, image_id: str, tag: str) -> None:
        """Add a tag; nothing changes if the image has it already.

        :raises NotFound: the caller sees no such image.
        :raises Forbidden: the caller may not do this.
        :raises Invalid: the tag is too long.
        :raises QuotaExceeded: too many tags.
        """
        if len(tag) > MAX_LENGTH or '\0' in tag:
            raise contract.Invalid(f'A tag has at most {MAX_LENGTH} characters, and no NUL.')

        def change(image: Image) -> Mapping[str, object]:
            self._layers.policy.enforce(ctx, 'modify_image', image)
            if tag in image.tags:
                return {}
            tags = tuple(sorted((*image.tags, tag)))
            self._layers.quota.check(ctx, QuotaRequest(
                'modify_image', image.owner, tags=len(tags),
                image=dataclasses.replace(image, tags=tags)))
            return {'tags': tags}

        self._images.change(ctx, image_id, change)

    def remove(self, ctx: Context, image_id: str, tag: str) -> None:
        """Remove a tag.

        :raises NotFound: the caller sees no such image, or it has no such tag.
        :raises Forbidden: the caller may not do this.
        """
        def change(image: Image) -> Mapping[str, object]:
            self._layers.policy.enforce(ctx, 'modify_image', image)
            if tag not in image.tags:
                raise contract.NotFound(f'Image {image.id} has no tag {tag!r}.')
            return {'tags': tuple(other for other in image.tags if other != tag)}

        self._images.change(ctx, image_id, change)
