"""The layer ``location``: the order in which the locations of an image are used."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Image, Location


class LocationStrategy(Plugin):
    """Sorts the locations of an image for reading and for display."""

    LAYER = 'location'

    @abc.abstractmethod
    def order(self, locations: Sequence[Location], weights: Mapping[str, int], *,
              image: Image | None = None, ctx: Context | None = None) -> Sequence[Location]:
        """Return the same locations, the one to read first in front.

        :param weights: name of a store -> its option ``weight``.  Stores that are not
            configured are missing.
        :param image: the image that has the locations.
        :param ctx: the caller; None for work without a caller.
        """
