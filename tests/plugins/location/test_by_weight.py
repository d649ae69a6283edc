"""The strategy ``by_weight`` keeps the contract and sorts by weight."""

import pytest

from glancelite.contract import Location
from glancelite.plugins.location.by_weight import ByWeight
from glancelite.testing.contracts.location import LocationContract

WEIGHTS = {'fast': 200, 'cold': 100, 'last': -1}


def names(location, *stores):
    given = [Location(f'{number}', {'store': store} if store else {})
             for number, store in enumerate(stores)]
    return [(each.store, each.url) for each in location.order(given, WEIGHTS)]


class TestByWeight(LocationContract):

    @pytest.fixture
    def location(self, make_plugin):
        return make_plugin(ByWeight)

    def test_the_highest_weight_comes_first(self, location):
        assert names(location, 'cold', 'fast') == [('fast', '1'), ('cold', '0')]

    def test_equal_weights_keep_their_order(self, location):
        assert names(location, 'cold', 'fast', 'cold', 'fast') == [
            ('fast', '1'), ('fast', '3'), ('cold', '0'), ('cold', '2')]

    def test_a_store_that_is_not_configured_has_the_weight_0(self, location):
        assert names(location, 'last', 'gone', None, 'cold') == [
            ('cold', '3'), ('gone', '1'), (None, '2'), ('last', '0')]
