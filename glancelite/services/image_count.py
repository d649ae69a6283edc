"""Records new images without exceeding a quota of their number: write, check, undo."""

from __future__ import annotations

import dataclasses
import random
import time

from glancelite import contract
from glancelite.contract import Context, Image, QuotaRequest
from glancelite.domain import properties
from glancelite.services.layers import Layers

#: how often an image is recorded while others come and go, and the seconds of the longest first
#: pause; each later pause is up to twice as long
TRIES = 8
PAUSE = 0.01
#: from this number of tags and properties on, recording them only to withdraw them costs too much
MANY = 300


def add(layers: Layers, ctx: Context, image: Image) -> Image:
    """Record an image, and withdraw it if the quota is exceeded.

    Concurrent requests count each other, so they may all be refused.  A request that sees
    that others have withdrawn tries again: as many succeed as the quota permits.

    :raises QuotaExceeded: too many images, properties or tags.
    :raises Conflict: the id is in use, or was used before.
    """
    asked = QuotaRequest('add_image', image.owner, tags=len(image.tags),
                         properties=properties.count_for_quota(image.properties), image=image)
    if len(image.tags) + len(image.properties) > MANY:
        layers.quota.check(ctx, asked)
    unchanged = 0
    for number in range(1, TRIES + 1):
        added = layers.database.images.add(image)
        try:
            layers.quota.check(ctx, dataclasses.replace(asked, images=1, image=added))
            return added
        except contract.QuotaExceeded:
            before = _count(layers, image)
            layers.database.images.withdraw(added)
            if before < 2 or number == TRIES:
                raise
            time.sleep(random.uniform(0, PAUSE * 2 ** number))  # noqa: S311
            unchanged = unchanged + 1 if _count(layers, image) >= before - 1 else 0
            if unchanged == 2:      # once may be a coincidence: one went as another one came
                raise
        except BaseException:
            layers.database.images.withdraw(added)
            raise
    raise AssertionError('the last try has returned or raised')


def _count(layers: Layers, image: Image) -> int:
    """Return how many images the owner has; 0 if there is none."""
    return layers.host.usage(image.owner).images if image.owner is not None else 0
