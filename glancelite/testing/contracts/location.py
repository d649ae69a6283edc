"""The suite for location strategies.  Subclass ``LocationContract``, override ``location``."""

from __future__ import annotations

import random

import pytest

from glancelite.contract import Context, Image, Location

STORES = ('fast', 'cold', 'far', None)


def some_locations(chance, count):
    """Return locations, some without a store or in stores that are not configured."""
    return tuple(
        Location(f'test://{number}', {'store': store} if store else {}) for number, store in
        enumerate(chance.choices(STORES, k=count)))


class LocationContract:

    @pytest.fixture
    def location(self):
        raise NotImplementedError('override the `location` fixture')

    @pytest.fixture(params=range(10))
    def chance(self, request):
        return random.Random(request.param)

    def test_each_copy_is_tried_once(self, location, chance):
        given = some_locations(chance, chance.randint(2, 10))
        weights = {'fast': chance.randint(-9, 9), 'cold': chance.randint(-9, 9)}

        ordered = location.order(given, weights)

        assert sorted(each.url for each in ordered) == sorted(each.url for each in given)
        assert set(map(id, ordered)) == set(map(id, given))

    def test_the_arguments_stay_unchanged(self, location, chance):
        given = list(some_locations(chance, 6))
        before, weights = list(given), {'fast': 1, 'far': 3}

        location.order(given, weights)

        assert (given, weights) == (before, {'fast': 1, 'far': 3})

    def test_the_image_and_the_caller_may_be_known(self, location, chance):
        given = some_locations(chance, 4)
        image = Image('one', owner='p', locations=given)

        ordered = location.order(given, {}, image=image, ctx=Context(project='p'))

        assert sorted(each.url for each in ordered) == sorted(each.url for each in given)

    @pytest.mark.parametrize('count', [0, 1])
    def test_less_than_two_locations_stay_in_order(self, location, count):
        given = some_locations(random.Random(0), count)

        assert tuple(location.order(given, {})) == given

    def test_stores_that_are_not_configured_are_accepted(self, location, chance):
        given = some_locations(chance, 5)

        assert len(location.order(given, {})) == 5
