"""The strategy ``as_listed`` keeps the contract."""

import pytest

from glancelite.contract import Location
from glancelite.plugins.location.as_listed import AsListed
from glancelite.testing.contracts.location import LocationContract


class TestAsListed(LocationContract):

    @pytest.fixture
    def location(self, make_plugin):
        return make_plugin(AsListed)

    def test_weights_do_not_matter(self, location):
        given = Location('a', {'store': 'cold'}), Location('b', {'store': 'fast'})

        assert tuple(location.order(given, {'fast': 9, 'cold': 1})) == given
