"""Locations: listed, and added to queued images."""

import hashlib
import json

import pytest

from glancelite import contract
from glancelite.contract import Location
from glancelite.domain import patch
from glancelite.services.stores import Stores
from glancelite.services.use_cases import Options
from glancelite.testing import service
from tests.services.conftest import DATA, RAW, SHA512, raising

REASON = 'os_glance_location_failure'
EXPECTED = {'os_hash_algo': 'sha512', 'os_hash_value': SHA512}


@pytest.fixture
def service_user(context):
    return context('owner', roles=['service', 'member', 'reader'])


def test_only_services_may_list_locations(core, active, service_user, ctx):
    image = active()

    location, = core.use_cases.locations.list(service_user, image.id)

    assert location == image.locations[0]
    with pytest.raises(contract.Forbidden):
        core.use_cases.locations.list(ctx, image.id)


def test_an_added_location_activates_the_image_and_the_hash_follows(
        core, existing_url, service_user, queued, wait_for):
    image = queued()

    core.use_cases.locations.add(service_user, image.id, existing_url)

    image = wait_for(image)
    assert (image.status, image.size) == ('active', len(DATA))
    assert image.locations == (Location(existing_url, {'store': 'fast'}),)
    assert (image.os_hash_algo, image.os_hash_value) == ('sha512', SHA512)
    assert image.checksum == hashlib.md5(DATA).hexdigest()


@pytest.mark.parametrize('algorithm', ['md5', 'sha1', 'sha256', 'sha512'])
def test_an_expected_hash_is_verified_before_the_image_is_active(
        core, existing_url, service_user, queued, wait_for, algorithm):
    image = queued()
    value = hashlib.new(algorithm, DATA).hexdigest()

    core.use_cases.locations.add(
        service_user, image.id, existing_url,
        {'os_hash_algo': algorithm, 'os_hash_value': value.upper()})

    image = wait_for(image, lambda image: image.status != 'importing')
    assert (image.status, image.os_hash_algo, image.os_hash_value) == ('active', algorithm, value)
    assert image.lease_until is None


def test_unexpected_data_leaves_the_image_queued(core, existing_url, service_user, queued,
                                                 wait_for):
    image = queued()

    core.use_cases.locations.add(
        service_user, image.id, existing_url,
        {'os_hash_algo': 'sha256', 'os_hash_value': 'ab' * 32})

    image = wait_for(image)
    assert (image.status, image.locations, image.os_hash_value, image.size) == (
        'queued', (), None, None)
    assert image.properties[REASON] == 'the hash of the data differs from the expected one'
    assert core.layers.stores['fast'].driver.size(existing_url) == len(DATA)


def test_without_secure_hash_the_given_hash_is_recorded_unverified(
        core, existing_url, service_user, queued, reread):
    unverified = service.exchange(
        core, options=Options(do_secure_hash=False)).use_cases.locations
    with_hash, without_hash = queued(), queued()

    unverified.add(service_user, with_hash.id, existing_url, EXPECTED)
    unverified.add(service_user, without_hash.id, existing_url)

    assert (reread(with_hash).status, reread(with_hash).os_hash_value) == ('active', SHA512)
    assert (reread(without_hash).status, reread(without_hash).os_hash_value) == ('active', None)


@pytest.mark.parametrize('expected', [{}, EXPECTED], ids=['no hash', 'hash'])
def test_an_unknown_size_is_read_without_secure_hash_too(core, without_length, ctx, queued,
                                                         wait_for, expected):
    image = queued()

    service.exchange(core, options=Options(do_secure_hash=False)).use_cases.locations.add(
        ctx, image.id, without_length, expected)

    image = wait_for(image, lambda image: image.size)
    assert (image.status, image.size, image.os_hash_value) == (
        'active', len(DATA), expected.get('os_hash_value'))
    assert image.lease_until is None


@pytest.mark.parametrize('secure', [True, False], ids=['secure', 'not secure'])
@pytest.mark.parametrize('expected', [{}, EXPECTED], ids=['no hash', 'hash'])
def test_the_quota_is_asked_when_an_unknown_size_becomes_known(
        core, without_length, ctx, queued, wait_for, small_quota, secure, expected):
    image = queued()

    service.exchange(small_quota(core), options=Options(do_secure_hash=secure),
                     ).use_cases.locations.add(ctx, image.id, without_length, expected)

    image = wait_for(image, lambda image: REASON in image.properties)
    assert (image.status, image.size, image.locations) == ('queued', None, ())
    assert (image.os_hash_value, image.lease_until) == (None, None)
    assert 'quota' in image.properties[REASON]


def test_data_of_unknown_size_that_cannot_be_read_leaves_the_image_queued(
        core, without_length, ctx, queued, wait_for, monkeypatch):
    monkeypatch.setattr(Stores, 'read', raising(contract.Unavailable('no answer')))
    image = queued()

    core.use_cases.locations.add(ctx, image.id, without_length)

    image = wait_for(image, lambda image: REASON in image.properties)
    assert (image.status, image.locations) == ('queued', ())
    assert image.properties[REASON] == 'The data cannot be read.'


def test_missing_or_unusable_data_leaves_the_image_queued(core, existing_url, service_user,
                                                          queued, reread):
    missing, empty = queued(), queued()
    without_formats = core.use_cases.images.create(service_user, core.schema.create({}))
    empty_url = core.layers.stores['fast'].driver.write('empty', iter([])).url

    core.use_cases.locations.add(service_user, missing.id, existing_url + '-not')
    core.use_cases.locations.add(service_user, empty.id, empty_url)
    core.use_cases.locations.add(service_user, without_formats.id, existing_url)

    for image, reason in ((missing, 'There is no data at this location.'),
                          (empty, 'There is no data at this location.'),
                          (without_formats, 'container_format must be set')):
        assert (reread(image).status, reread(image).locations) == ('queued', ())
        assert reason in reread(image).properties[REASON]


@pytest.mark.parametrize('expected', [{}, EXPECTED], ids=['active', 'importing'])
def test_data_of_unknown_size_counts_as_0_until_it_was_read(
        core, without_length, ctx, queued, wait_for, expected):
    image = queued()

    core.use_cases.locations.add(ctx, image.id, without_length, expected)

    image = wait_for(image)
    assert (image.status, image.size, image.os_hash_value) == ('active', len(DATA), SHA512)
    assert b''.join(core.use_cases.downloads.open(ctx, image.id).chunks) == DATA


@pytest.mark.parametrize('expected', [{}, EXPECTED],
                         ids=['active', 'importing'])
def test_data_that_exceeds_the_quota_leaves_the_image_queued(
        core, existing_url, service_user, queued, wait_for, small_quota, expected):
    core, image = small_quota(core), queued()

    core.use_cases.locations.add(service_user, image.id, existing_url, expected)

    image = wait_for(image, lambda image: image.status == 'queued')
    assert (image.status, image.size, image.locations) == ('queued', None, ())
    assert (image.os_hash_algo, image.os_hash_value, image.lease_until) == (None, None, None)
    image = wait_for(image, lambda image: REASON in image.properties)
    assert 'quota' in image.properties[REASON]


@pytest.mark.parametrize('data', ['a location', 'a verified location', 'an upload'])
def test_the_reason_of_a_failure_is_gone_when_the_image_has_data(
        core, existing_url, service_user, ctx, queued, wait_for, data):
    image = queued(os_distro='x')
    core.use_cases.locations.add(service_user, image.id, existing_url + '-not')

    if data == 'an upload':
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))
    else:
        core.use_cases.locations.add(service_user, image.id, existing_url,
                                     EXPECTED if data == 'a verified location' else {})

    image = wait_for(image)
    assert image.status == 'active'
    assert dict(image.properties) == {'os_distro': 'x'}


def test_the_owner_reads_the_reason_of_a_failure_and_cannot_change_it(
        core, existing_url, service_user, ctx, queued):
    image = queued()
    core.use_cases.locations.add(service_user, image.id, existing_url + '-n\N{SNOWMAN}')

    shown = json.loads(core.view.dumps(core.use_cases.images.get(ctx, image.id)))
    assert shown[REASON] == 'There is no data at this location.'
    with pytest.raises(contract.Forbidden):
        core.use_cases.images.update(ctx, image.id, patch.parse(
            [{'op': 'remove', 'path': f'/{REASON}'}], patch.DRAFT_10,
            core.schema.validate_attribute))


def test_an_active_image_accepts_no_location(core, existing_url, service_user, active):
    with pytest.raises(contract.Conflict):
        core.use_cases.locations.add(service_user, active().id, existing_url)


@pytest.mark.parametrize(('expected', 'message'), [
    ({'os_hash_algo': 'sha256', 'os_hash_value': 'xy' * 32}, 'not a valid hexadecimal'),
    ({'os_hash_algo': 'sha256', 'os_hash_value': 'ab' * 31}, 'not the correct size'),
    ({'os_hash_algo': 'sha512', 'os_hash_value': ''}, 'not the correct size')])
def test_a_malformed_hash_is_refused_at_once(core, existing_url, service_user, queued, expected,
                                             message):
    with pytest.raises(contract.Invalid, match=message):
        core.use_cases.locations.add(service_user, queued().id, existing_url, expected)


@pytest.mark.parametrize('url', ['file:///etc/passwd', 'memory://cold/x', 'swift+config://a/b/c',
                                 'nonsense'])
def test_a_url_that_no_store_reads_leaves_the_image_queued(core, existing_url, service_user,
                                                           queued, reread, url):
    image = queued()

    core.use_cases.locations.add(service_user, image.id, url)

    present = reread(image)
    assert (present.status, present.locations) == ('queued', ())
    assert present.properties[REASON]


def test_a_public_url_that_is_not_allowed_is_refused_at_once(
        core, existing_url, service_user, queued):
    with pytest.raises(contract.Invalid):
        core.use_cases.locations.add(service_user, queued().id, 'http://web.example/x')


def test_only_services_may_add_locations_that_are_not_public(core, existing_url, ctx, queued):
    with pytest.raises(contract.Forbidden, match='Only a service'):
        core.use_cases.locations.add(ctx, queued().id, existing_url)


@pytest.mark.parametrize(('stores', 'error'), [
    ('memory', contract.Forbidden), ('memory, http', contract.Invalid)])
def test_users_may_add_public_locations_that_a_store_reads(tmp_path, ctx, stores, error):
    core = service.build(tmp_path, f'[glance_store]\ndefault_store = memory\nstores = {stores}\n'
                                   '[layers]\nauth = noauth\ndatabase = memory\n')
    image = core.use_cases.images.create(ctx, core.schema.create({}))

    with pytest.raises(error):
        core.use_cases.locations.add(ctx, image.id, 'http://169.254.169.254/secret')
    core.close()


def test_an_image_deleted_while_it_is_hashed_stays_deleted(core, existing_url, service_user,
                                                           queued, reread, monkeypatch):
    image = queued()
    read = Stores.read

    def delete_first(self, image, **named):
        core.use_cases.images.delete(service_user, image.id)
        return read(self, image, **named)
    monkeypatch.setattr(Stores, 'read', delete_first)

    core.use_cases.locations.add(service_user, image.id, existing_url, EXPECTED)
    core.use_cases.locations.close()

    with pytest.raises(contract.NotFound):
        reread(image)


def test_an_abandoned_verification_leaves_a_queued_image(core, existing_url, service_user,
                                                         queued, reread, expire, monkeypatch):
    image = queued()
    monkeypatch.setattr(core.use_cases.locations._hashing, 'submit', lambda work: None)
    core.use_cases.locations.add(service_user, image.id, existing_url, EXPECTED)
    assert reread(image).status == 'importing'
    expire(image)

    assert core.use_cases.recovery.sweep() == 1

    assert (reread(image).status, reread(image).locations, reread(image).lease_until) == (
        'queued', (), None)
    assert core.layers.stores['fast'].driver.size(existing_url) == len(DATA)


def test_an_abandoned_hash_is_computed_by_the_recovery(core, existing_url, service_user, queued,
                                                       reread, expire, wait_for, monkeypatch):
    image = queued()
    with monkeypatch.context() as patched:
        patched.setattr(core.use_cases.locations._hashing, 'submit', lambda work: None)
        core.use_cases.locations.add(service_user, image.id, existing_url)
    assert reread(image).status == 'active'
    expire(image)

    assert core.use_cases.recovery.sweep() == 1

    image = wait_for(image)
    assert (image.os_hash_value, image.lease_until) == (SHA512, None)
    assert core.use_cases.recovery.sweep() == 0


def test_an_unfinished_hash_is_left_to_the_recovery_at_shutdown(
        core, existing_url, service_user, queued, reread, monkeypatch):
    image = queued()
    read = Stores.read

    def close_first(self, image, **named):
        core.use_cases.locations._hashing._closing.set()
        return read(self, image, **named)
    monkeypatch.setattr(Stores, 'read', close_first)

    core.use_cases.locations.add(service_user, image.id, existing_url)
    core.use_cases.locations.close()

    assert reread(image).os_hash_value is None
    assert reread(image).lease_until > core.layers.host.now()


def test_an_image_whose_data_cannot_be_read_gets_no_hash(core, existing_url, service_user,
                                                         queued, wait_for, monkeypatch):
    monkeypatch.setattr(Stores, 'read', raising(contract.Unavailable('no answer')))
    image = queued()

    core.use_cases.locations.add(service_user, image.id, existing_url)

    image = wait_for(image, lambda image: image.lease_until is None)
    assert (image.status, image.os_hash_value) == ('active', None)


@pytest.mark.parametrize(('tries', 'failure'), [
    (1, contract.Unavailable('no answer')), (2, contract.Unavailable('no answer')),
    (2, RuntimeError('library'))], ids=['once', 'twice', 'library'])
def test_reading_is_tried_as_often_as_configured(tmp_path, service_user, monkeypatch, tries,
                                                 failure):
    core = service.build(tmp_path, service.MEMORY.replace(
        '[DEFAULT]', f'[DEFAULT]\nhttp_retries = {tries}'))
    driver, tried = core.layers.stores['fast'].driver, []

    def fail(url, **named):
        tried.append(url)
        raise failure
    driver.CAPABILITIES |= {'adopt'}
    driver.adopt = lambda url, *, ctx=None: url
    url = driver.write('theirs', iter([DATA])).url
    monkeypatch.setattr(driver, 'read', fail)
    monkeypatch.setattr(core.use_cases.locations._hashing, 'submit', lambda work: work())

    core.use_cases.locations.add(
        service_user, core.use_cases.images.create(service_user, core.schema.create(RAW)).id, url)

    assert tried == [url] * tries
    core.close()


@pytest.mark.parametrize('expected', [{}, EXPECTED],
                         ids=['active', 'importing'])
def test_the_lease_of_an_image_that_waits_for_hashing_is_renewed(
        core, existing_url, service_user, queued, reread, expire, monkeypatch, expected):
    image, waiting = queued(), []
    monkeypatch.setattr(core.use_cases.locations._hashing, 'submit', waiting.append)
    core.use_cases.locations.add(service_user, image.id, existing_url, expected)
    expire(image)

    core.layers.leases.renew()

    assert core.use_cases.recovery.sweep() == 0
    waiting.pop()()
    assert (reread(image).status, reread(image).os_hash_value) == ('active', SHA512)
    assert core.layers.leases._held == {}
