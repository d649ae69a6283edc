"""The order in which locations were added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glancelite import contract
from glancelite.contract import Context, Image, Location


class AsListed(contract.LocationStrategy):
    """Keeps the order."""

    def order(self, locations: Sequence[Location], weights: Mapping[str, int], *,
              image: Image | None = None, ctx: Context | None = None) -> Sequence[Location]:
        return locations
