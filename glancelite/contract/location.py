"""The layer ``location``: which copy first?"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence

from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Location


class LocationStrategy(Plugin):
    """Chooses the order in which the copies of an image are tried and shown."""

    LAYER = 'location'

    @abc.abstractmethod
    def order(self, locations: Sequence[Location],
              weights: Mapping[str, int]) -> Sequence[Location]:
        """The same locations, the one to try first in front.

        :param weights: store name -> weight that the operator gave it; a
            store that is not configured is missing here.
        """
