"""The order of the weights of stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Location


class ByWeight(contract.LocationStrategy):
    """Puts the store with the highest weight first; equal weights keep their order.

    The weight is 0 if the store is not configured or not known.
    """

    def order(self, locations: Sequence[Location], weights: Mapping[str, int], *,
              image: Image | None = None, ctx: Context | None = None) -> Sequence[Location]:
        if len(locations) < 2:
            return locations
        return sorted(locations, key=lambda location: weights.get(location.store or '', 0),
                      reverse=True)
