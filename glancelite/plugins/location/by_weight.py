"""The copy in the store that the operator prefers comes first."""

from glancelite import contract


class ByWeight(contract.LocationStrategy):
    """The heaviest store first; among equals, as recorded.

    A copy in a store that is not configured, or not recorded, weighs 0.
    """

    def order(self, locations, weights):
        if len(locations) < 2:
            return locations
        return sorted(locations, key=lambda location: weights.get(location.store, 0),
                      reverse=True)
