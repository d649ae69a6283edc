"""JSON patches that change the locations of an image."""

import hashlib

import pytest

from glancelite import contract
from glancelite.contract import Location
from glancelite.domain import patch
from glancelite.services.use_cases import Options
from glancelite.testing import service
from glancelite.testing.fakes import Recorder
from tests.services.conftest import DATA, SHA512

#: users may patch locations
PATCHES = Options(show_multiple_locations=True)


@pytest.fixture
def change(adopting_core):
    images = service.exchange(adopting_core, options=PATCHES).use_cases.images

    def apply(ctx, image, *operations):
        return images.update(ctx, image.id, patch.parse(
            list(operations), patch.DRAFT_10, adopting_core.schema.validate_attribute))
    return apply


def add(url, position='-', **more):
    return {'op': 'add', 'path': f'/locations/{position}',
            'value': {'url': url, 'metadata': {}, **more}}


def replace(*values):
    return {'op': 'replace', 'path': '/locations', 'value': [
        value if isinstance(value, dict) else {'url': value, 'metadata': {}} for value in values]}


REMOVE = {'op': 'remove', 'path': '/locations/0'}


@pytest.mark.parametrize('build', [add, replace])
def test_a_location_makes_a_queued_image_active(change, ctx, existing_url, queued, build):
    image = change(ctx, queued(), build(existing_url))

    assert (image.status, image.size) == ('active', len(DATA))
    assert image.locations == (Location(existing_url, {'store': 'fast'}),)


def test_given_hashes_are_recorded(change, ctx, existing_url, queued):
    facts = {'checksum': hashlib.md5(DATA).hexdigest(), 'os_hash_algo': 'sha512',
             'os_hash_value': SHA512}

    image = change(ctx, queued(), add(existing_url, validation_data=facts))

    assert {name: getattr(image, name) for name in facts} == facts


@pytest.mark.parametrize('facts', [
    {'os_hash_algo': 'sha256', 'os_hash_value': 'ab' * 32},
    {'os_hash_algo': 'sha512', 'os_hash_value': 'ab' * 32},
    {'os_hash_algo': 'sha512', 'os_hash_value': 'x' * 128},
    {'checksum': 'ab' * 16}])
def test_hashes_must_use_the_algorithm_of_the_service(change, ctx, existing_url, queued, reread,
                                                      facts):
    image = queued()

    with pytest.raises((contract.Conflict, contract.Invalid)):
        change(ctx, image, add(existing_url, validation_data={
            'os_hash_algo': 'md5', 'os_hash_value': 'ab' * 16, **facts}))

    assert reread(image) == image


def test_known_hashes_cannot_be_changed(change, core, ctx, active):
    image = active()
    url = core.layers.stores['fast'].driver.write('more', iter([b'data'])).url
    other = {'os_hash_algo': 'sha512', 'os_hash_value': 'ab' * 64}
    same = {'os_hash_algo': 'sha512', 'os_hash_value': image.os_hash_value}

    with pytest.raises(contract.Conflict):
        change(ctx, image, add(url, validation_data=other))
    assert len(change(ctx, image, add(url, validation_data=same)).locations) == 2


def test_data_of_another_size_is_refused(change, ctx, existing_url, active):
    with pytest.raises(contract.Conflict, match='bytes at this location'):
        change(ctx, active(), add(existing_url))


def test_data_of_unknown_size_counts_as_0_until_the_recovery_has_read_it(
        change, core, ctx, without_length, queued, expire, wait_for):
    image = change(ctx, queued(), add(without_length))
    assert (image.status, image.size) == ('active', 0)

    expire(image)
    core.use_cases.recovery.sweep()

    image = wait_for(image)
    assert (image.size, image.os_hash_value) == (len(DATA), SHA512)


@pytest.mark.parametrize('secure', [True, False], ids=['secure', 'not secure'])
def test_an_unknown_size_is_read_beside_a_given_hash(
        core, ctx, without_length, queued, expire, reread, wait_for, secure):
    exchanged = service.exchange(core, options=Options(show_multiple_locations=True,
                                                       do_secure_hash=secure))
    facts = {'os_hash_algo': 'sha512', 'os_hash_value': 'ab' * 64}
    image = exchanged.use_cases.images.update(ctx, queued().id, patch.parse(
        [add(without_length, validation_data=facts)], patch.DRAFT_10,
        core.schema.validate_attribute))
    assert (image.status, image.size) == ('active', 0)

    expire(image)
    exchanged.use_cases.recovery.sweep()

    image = wait_for(image, lambda present: present.size)
    assert (image.size, image.os_hash_value, image.lease_until) == (len(DATA), 'ab' * 64, None)


@pytest.mark.parametrize('facts', [
    {}, {'validation_data': {'os_hash_algo': 'sha512', 'os_hash_value': 'ab' * 64}}],
    ids=['no hash', 'hash'])
def test_the_quota_is_asked_when_the_recovery_has_found_the_size(
        core, ctx, without_length, queued, expire, wait_for, small_quota, facts):
    limited = service.exchange(small_quota(core), options=PATCHES)
    image = limited.use_cases.images.update(ctx, queued().id, patch.parse(
        [add(without_length, **facts)], patch.DRAFT_10, core.schema.validate_attribute))

    expire(image)
    limited.use_cases.recovery.sweep()

    image = wait_for(image, lambda present: present.status == 'queued')
    assert (image.size, image.locations, image.os_hash_value) == (None, (), None)
    assert 'quota' in image.properties['os_glance_location_failure']


def test_data_of_unknown_size_may_be_another_copy(change, ctx, without_length, active):
    image = active()

    changed = change(ctx, image, add(without_length))

    assert (len(changed.locations), changed.size) == (2, image.size)


def test_a_location_must_be_new_and_have_data(change, core, ctx, existing_url, active, queued):
    image = active()
    empty = core.layers.stores['fast'].driver.write('empty', iter([])).url

    for wrong in (image.locations[0].url, existing_url + '-not', empty, 'file:///etc/passwd'):
        with pytest.raises(contract.Invalid):
            change(ctx, image, add(wrong))


@pytest.mark.parametrize('position', ['x', '2', '-1', '\u0660', '9' * 5000],
                         ids=lambda text: text[:3])
def test_an_invalid_position_is_refused(change, admin, existing_url, active, replicated, position):
    with pytest.raises(contract.Invalid, match='position'):
        change(admin, active(), add(existing_url, position))
    with pytest.raises(contract.Invalid, match='position'):
        change(admin, replicated, {'op': 'remove', 'path': f'/locations/{position}'})


def test_locations_that_are_displayed_alike_stay_distinct(change, core, ctx, active, reread):
    old = [Location(f'swift://{user}:secret@host/container/object') for user in ('a', 'b')]
    image = core.layers.database.images.update(reread(active()), {'locations': tuple(old)})
    shown = {'url': 'swift://host/container/object', 'metadata': {'x': 'y'}}

    image = change(ctx, image, replace(shown, {**shown, 'metadata': {}}))

    assert image.locations == (Location(old[0].url, {'x': 'y'}), Location(old[1].url))


def test_locations_can_only_be_reordered(change, ctx, replicated):
    urls = [location.url for location in replicated.locations]

    image = change(ctx, replicated, replace(*reversed(urls)))

    assert [location.url for location in image.locations] == urls[::-1]
    assert [location.store for location in image.locations] == ['cold', 'fast']
    for wrong in (urls[:1], [*urls, urls[0]], [urls[0], urls[0]]):
        with pytest.raises(contract.Invalid):
            change(ctx, replicated, replace(*wrong))
    with pytest.raises(contract.Forbidden):
        change(ctx, replicated, replace())


def test_removing_a_location_deletes_its_data(change, core, admin, ctx, replicated, reread):
    with pytest.raises(contract.Forbidden):
        change(ctx, replicated, REMOVE)

    image = change(admin, replicated, REMOVE)

    assert image.locations == replicated.locations[1:] == reread(replicated).locations
    with pytest.raises(contract.NotFound):
        core.layers.stores.size(replicated.locations[0])
    with pytest.raises(contract.Forbidden, match='last location'):
        change(admin, replicated, REMOVE)


def test_a_refused_patch_removes_nothing(change, core, admin, replicated):
    with pytest.raises(contract.Conflict):
        change(admin, replicated, REMOVE, {'op': 'remove', 'path': '/not-there'})

    assert core.layers.stores.size(replicated.locations[0]) == 4


def test_one_location_too_many_is_refused(change, core, ctx, existing_url, active):
    image = active()
    driver = core.layers.stores['fast'].driver
    urls = [driver.write(f'more-{number}', iter([b'data'])).url for number in range(10)]
    for url in urls[:9]:
        change(ctx, image, add(url))

    with pytest.raises(contract.QuotaExceeded):
        change(ctx, image, add(urls[9]))


def test_a_patch_that_exceeds_the_quota_is_undone(adopting_core, ctx, existing_url, queued,
                                                  active, reread, small_quota):
    with_data, without_data = active(), queued()
    url = adopting_core.layers.stores['fast'].driver.write('more', iter([b'data'])).url
    images = service.exchange(small_quota(adopting_core), options=PATCHES).use_cases.images

    for image, added in ((reread(with_data), url), (without_data, existing_url)):
        with pytest.raises(contract.QuotaExceeded):
            images.update(ctx, image.id, patch.parse(
                [add(added), {'op': 'add', 'path': '/new', 'value': 'x'}], patch.DRAFT_10,
                adopting_core.schema.validate_attribute))
        present = reread(image)
        assert (present.status, present.size, present.locations, present.properties) == (
            image.status, image.size, image.locations, image.properties)


def test_removing_a_location_emits_one_event(adopting_core, admin, ctx, replicated):
    recorder = Recorder()
    observed = service.exchange(adopting_core, notifiers=[recorder])

    observed.use_cases.locations.remove_copy(admin, 'fast', replicated.id)

    assert recorder.types == ['image.update']
