"""The locations of an image as a patch changes them."""

import hashlib

import pytest

from glancelite import contract
from glancelite.contract import Location
from glancelite.domain import patch
from glancelite.services.use_cases import Options
from glancelite.testing import service
from glancelite.testing.fakes import Recorder
from tests.services.conftest import DATA, SHA512

#: users may change locations
PATCHES = Options(show_multiple_locations=True)


@pytest.fixture
def change(adopting):
    images = service.exchange(adopting, options=PATCHES).use_cases.images

    def apply(who, image, *operations):
        return images.update(who, image.id, patch.parse(
            list(operations), patch.DRAFT_10, adopting.schema.validate_attribute))
    return apply


def add(url, place='-', **more):
    return {'op': 'add', 'path': f'/locations/{place}', 'value': {'url': url, 'metadata': {},
                                                                  **more}}


def replace(*values):
    return {'op': 'replace', 'path': '/locations', 'value': [
        value if isinstance(value, dict) else {'url': value, 'metadata': {}} for value in values]}


REMOVE = {'op': 'remove', 'path': '/locations/0'}


@pytest.mark.parametrize('how', [add, replace])
def test_a_location_makes_a_queued_image_active(change, ctx, there, queued, how):
    image = change(ctx, queued(), how(there))

    assert (image.status, image.size) == ('active', len(DATA))
    assert image.locations == (Location(there, {'store': 'fast'}),)


def test_what_is_said_of_the_data_is_kept(change, ctx, there, queued):
    facts = {'checksum': hashlib.md5(DATA).hexdigest(), 'os_hash_algo': 'sha512',
             'os_hash_value': SHA512}

    image = change(ctx, queued(), add(there, validation_data=facts))

    assert {name: getattr(image, name) for name in facts} == facts


@pytest.mark.parametrize('facts', [
    {'os_hash_algo': 'sha256', 'os_hash_value': 'ab' * 32},
    {'os_hash_algo': 'sha512', 'os_hash_value': 'ab' * 32},
    {'os_hash_algo': 'sha512', 'os_hash_value': 'x' * 128},
    {'checksum': 'ab' * 16}])
def test_hashes_must_be_of_the_kind_of_this_service(change, ctx, there, queued, kept, facts):
    image = queued()

    with pytest.raises((contract.Conflict, contract.Invalid)):
        change(ctx, image, add(there, validation_data={'os_hash_algo': 'md5',
                                                       'os_hash_value': 'ab' * 16, **facts}))

    assert kept(image) == image


def test_what_the_image_knows_of_its_data_cannot_be_changed(change, core, ctx, active):
    image = active()
    url = core.layers.stores['fast'].driver.write('more', iter([b'data'])).url
    other = {'os_hash_algo': 'sha512', 'os_hash_value': 'ab' * 64}
    same = {'os_hash_algo': 'sha512', 'os_hash_value': image.os_hash_value}

    with pytest.raises(contract.Conflict):
        change(ctx, image, add(url, validation_data=other))
    assert len(change(ctx, image, add(url, validation_data=same)).locations) == 2


def test_data_of_another_size_is_another_image(change, ctx, there, active):
    with pytest.raises(contract.Conflict, match='bytes at this location'):
        change(ctx, active(), add(there))


def test_a_location_is_there_once_and_is_real(change, core, ctx, there, active, queued):
    image = active()
    empty = core.layers.stores['fast'].driver.write('empty', iter([])).url

    for wrong in (image.locations[0].url, there + '-not', empty, 'file:///etc/passwd'):
        with pytest.raises(contract.Invalid):
            change(ctx, image, add(wrong))


@pytest.mark.parametrize('place', ['x', '2', '-1', '\u0660', '9' * 5000],
                         ids=lambda text: text[:3])
def test_a_place_that_is_none_is_refused(change, admin, there, active, twice, place):
    with pytest.raises(contract.Invalid, match='position'):
        change(admin, active(), add(there, place))
    with pytest.raises(contract.Invalid, match='position'):
        change(admin, twice, {'op': 'remove', 'path': f'/locations/{place}'})


def test_locations_that_are_shown_alike_stay_two(change, core, ctx, active, kept):
    old = [Location(f'swift://{who}:secret@host/container/object') for who in ('a', 'b')]
    image = core.layers.database.images.update(kept(active()), {'locations': tuple(old)})
    shown = {'url': 'swift://host/container/object', 'metadata': {'x': 'y'}}

    image = change(ctx, image, replace(shown, {**shown, 'metadata': {}}))

    assert image.locations == (Location(old[0].url, {'x': 'y'}), Location(old[1].url))


def test_locations_can_be_put_into_another_order(change, ctx, twice):
    urls = [one.url for one in twice.locations]

    image = change(ctx, twice, replace(*reversed(urls)))

    assert [one.url for one in image.locations] == urls[::-1]
    assert [one.store for one in image.locations] == ['cold', 'fast']
    for wrong in (urls[:1], [*urls, urls[0]], [urls[0], urls[0]]):
        with pytest.raises(contract.Invalid):
            change(ctx, twice, replace(*wrong))
    with pytest.raises(contract.Forbidden):
        change(ctx, twice, replace())


def test_a_location_that_is_removed_takes_its_bytes_along(change, core, admin, ctx, twice, kept):
    with pytest.raises(contract.Forbidden):
        change(ctx, twice, REMOVE)

    image = change(admin, twice, REMOVE)

    assert image.locations == twice.locations[1:] == kept(twice).locations
    with pytest.raises(contract.NotFound):
        core.layers.stores.size(twice.locations[0])
    with pytest.raises(contract.Forbidden, match='last location'):
        change(admin, twice, REMOVE)


def test_a_refused_patch_removes_nothing(change, core, admin, twice):
    with pytest.raises(contract.Conflict):
        change(admin, twice, REMOVE, {'op': 'remove', 'path': '/not-there'})

    assert core.layers.stores.size(twice.locations[0]) == 4


def test_there_are_only_so_many_locations(change, core, ctx, there, active):
    image = active()
    driver = core.layers.stores['fast'].driver
    urls = [driver.write(f'more-{number}', iter([b'data'])).url for number in range(10)]
    for url in urls[:9]:
        change(ctx, image, add(url))

    with pytest.raises(contract.QuotaExceeded):
        change(ctx, image, add(urls[9]))


def test_a_copy_for_which_the_project_has_no_room_is_taken_back(adopting, ctx, there, queued,
                                                                active, kept, no_room):
    one, two = active(), queued()
    url = adopting.layers.stores['fast'].driver.write('more', iter([b'data'])).url
    images = service.exchange(no_room(adopting), options=PATCHES).use_cases.images

    for image, where in ((kept(one), url), (two, there)):
        with pytest.raises(contract.QuotaExceeded):
            images.update(ctx, image.id, patch.parse(
                [add(where), {'op': 'add', 'path': '/new', 'value': 'x'}], patch.DRAFT_10,
                adopting.schema.validate_attribute))
        found = kept(image)
        assert (found.status, found.size, found.locations, found.properties) == (
            image.status, image.size, image.locations, image.properties)


def test_every_change_of_locations_is_told_once(adopting, admin, ctx, twice):
    recorder = Recorder()
    told = service.exchange(adopting, notifiers=[recorder])

    told.use_cases.locations.remove_copy(admin, 'fast', twice.id)

    assert recorder.types == ['image.update']
