"""Where the bytes of an image are: listed, added, removed one by one."""

import hashlib

import pytest

from glancelite import contract
from glancelite.contract import Location
from glancelite.services.stores import Stores
from glancelite.services.use_cases import Options
from glancelite.testing import service
from tests.services.conftest import DATA, RAW, SHA512


@pytest.fixture
def nova(context):
    return context('owner', roles=['service', 'member', 'reader'])


def test_a_service_sees_where_the_copies_are(core, active, nova, ctx):
    image = active()

    found, = core.use_cases.locations.list(nova, image.id)

    assert found == image.locations[0]
    with pytest.raises(contract.Forbidden):
        core.use_cases.locations.list(ctx, image.id)


# --- adding

def test_data_that_is_there_makes_an_image_active_and_its_hash_comes_later(
        core, there, nova, queued, settled):
    image = queued()

    core.use_cases.locations.add(nova, image.id, there)

    found = settled(image)
    assert (found.status, found.size) == ('active', len(DATA))
    assert found.locations == (Location(there, {'store': 'fast'}),)
    assert (found.os_hash_algo, found.os_hash_value) == ('sha512', SHA512)
    assert found.checksum == hashlib.md5(DATA).hexdigest()


@pytest.mark.parametrize('algorithm', ['md5', 'sha1', 'sha256', 'sha512'])
def test_what_is_expected_is_verified_before_the_image_is_active(
        core, there, nova, queued, settled, algorithm):
    image = queued()
    value = hashlib.new(algorithm, DATA).hexdigest()

    core.use_cases.locations.add(nova, image.id, there,
                       {'os_hash_algo': algorithm, 'os_hash_value': value.upper()})

    found = settled(image, lambda found: found.status != 'importing')
    assert (found.status, found.os_hash_algo, found.os_hash_value) == ('active', algorithm, value)
    assert found.lease_until is None


def test_other_data_than_expected_leaves_the_image_queued(core, there, nova, queued, settled):
    image = queued()

    core.use_cases.locations.add(nova, image.id, there,
                       {'os_hash_algo': 'sha256', 'os_hash_value': 'ab' * 32})

    found = settled(image)
    assert (found.status, found.locations, found.os_hash_value, found.size) == (
        'queued', (), None, None)
    assert core.layers.stores['fast'].driver.size(there) == len(DATA)


def test_without_secure_hash_the_word_of_the_service_counts(core, there, nova, queued, kept):
    quick = service.exchange(core, options=Options(do_secure_hash=False)).use_cases.locations
    told, untold = queued(), queued()

    quick.add(nova, told.id, there, {'os_hash_algo': 'sha512', 'os_hash_value': SHA512})
    quick.add(nova, untold.id, there)

    assert (kept(told).status, kept(told).os_hash_value) == ('active', SHA512)
    assert (kept(untold).status, kept(untold).os_hash_value) == ('active', None)


def test_data_that_cannot_be_had_leaves_the_image_queued(core, there, nova, queued, kept):
    nothing, empty, unformatted = queued(), queued(), core.use_cases.images.create(
        nova, core.schema.create({'name': 'unformatted'}))
    nowhere = there + '-not'
    hollow = core.layers.stores['fast'].driver.write('hollow', iter([])).url

    core.use_cases.locations.add(nova, nothing.id, nowhere)
    core.use_cases.locations.add(nova, empty.id, hollow)
    core.use_cases.locations.add(nova, unformatted.id, there)

    for image in (nothing, empty, unformatted):
        assert (kept(image).status, kept(image).locations) == ('queued', ())


@pytest.mark.parametrize('expected', [{}, {'os_hash_algo': 'sha512', 'os_hash_value': SHA512}],
                         ids=['active', 'importing'])
def test_data_for_which_the_project_has_no_room_leaves_the_image_queued(
        core, there, nova, queued, settled, no_room, expected):
    core, image = no_room(core), queued()

    core.use_cases.locations.add(nova, image.id, there, expected)

    found = settled(image, lambda found: found.status == 'queued')
    assert (found.status, found.size, found.locations) == ('queued', None, ())
    assert (found.os_hash_algo, found.os_hash_value, found.lease_until) == (None, None, None)


def test_an_image_that_has_data_takes_no_other(core, there, nova, active):
    with pytest.raises(contract.Conflict):
        core.use_cases.locations.add(nova, active().id, there)


@pytest.mark.parametrize(('expected', 'sentence'), [
    ({'os_hash_algo': 'sha256', 'os_hash_value': 'xy' * 32}, 'not a valid hexadecimal'),
    ({'os_hash_algo': 'sha256', 'os_hash_value': 'ab' * 31}, 'not the correct size'),
    ({'os_hash_algo': 'sha512', 'os_hash_value': ''}, 'not the correct size')])
def test_what_is_no_hash_is_refused_at_once(core, there, nova, queued, expected, sentence):
    with pytest.raises(contract.Invalid, match=sentence):
        core.use_cases.locations.add(nova, queued().id, there, expected)


@pytest.mark.parametrize('url', ['file:///etc/passwd', 'memory://cold/x', 'swift+config://a/b/c',
                                 'nonsense'])
def test_what_no_store_reads_leaves_the_image_queued(core, there, nova, queued, kept, url):
    image = queued()

    core.use_cases.locations.add(nova, image.id, url)

    assert kept(image) == image


def test_what_may_not_be_read_on_the_web_is_refused_at_once(core, there, nova, queued):
    with pytest.raises(contract.Invalid):
        core.use_cases.locations.add(nova, queued().id, 'http://web.example/x')


def test_only_services_point_to_what_is_not_on_the_web(core, there, ctx, queued):
    with pytest.raises(contract.Forbidden, match='Only a service'):
        core.use_cases.locations.add(ctx, queued().id, there)


@pytest.mark.parametrize(('stores', 'error'), [
    ('memory', contract.Forbidden), ('memory, http', contract.Invalid)])
def test_users_point_to_the_web_where_a_store_reads_it(tmp_path, ctx, stores, error):
    core = service.build(tmp_path, f'[glance_store]\ndefault_store = memory\nstores = {stores}\n'
                                   '[layers]\nauth = noauth\ndatabase = memory\n')
    image = core.use_cases.images.create(ctx, core.schema.create({}))

    with pytest.raises(error):
        core.use_cases.locations.add(ctx, image.id, 'http://169.254.169.254/secret')
    core.close()


def test_an_image_deleted_while_it_is_hashed_stays_deleted(core, there, nova, queued, kept,
                                                          monkeypatch):
    image = queued()
    read = Stores.read

    def slow(self, found, **named):
        core.use_cases.images.delete(nova, image.id)
        return read(self, found, **named)
    monkeypatch.setattr(Stores, 'read', slow)

    core.use_cases.locations.add(nova, image.id, there,
                       {'os_hash_algo': 'sha512', 'os_hash_value': SHA512})
    core.use_cases.locations.close()

    with pytest.raises(contract.NotFound):
        kept(image)


def test_a_server_that_died_while_it_hashed_leaves_a_queued_image(core, there, nova, queued,
                                                                 kept, monkeypatch):
    image = queued()
    monkeypatch.setattr(core.use_cases.locations._hashing, 'submit', lambda work: None)
    core.use_cases.locations.add(nova, image.id, there,
                       {'os_hash_algo': 'sha512', 'os_hash_value': SHA512})
    assert kept(image).status == 'importing'
    core.layers.database.images.update(kept(image), {'lease_until': core.layers.host.now()})

    assert core.use_cases.recovery.sweep() == 1

    assert (kept(image).status, kept(image).locations, kept(image).lease_until) == (
        'queued', (), None)
    assert core.layers.stores['fast'].driver.size(there) == len(DATA)


def test_a_hash_that_a_server_died_over_is_found_out_by_the_next(core, there, nova, queued, kept,
                                                                 settled, monkeypatch):
    image = queued()
    with monkeypatch.context() as dying:
        dying.setattr(core.use_cases.locations._hashing, 'submit', lambda work: None)
        core.use_cases.locations.add(nova, image.id, there)
    assert kept(image).status == 'active'
    core.layers.database.images.update(kept(image), {'lease_until': core.layers.host.now()})

    assert core.use_cases.recovery.sweep() == 1

    found = settled(image)
    assert (found.os_hash_value, found.lease_until) == (SHA512, None)
    assert core.use_cases.recovery.sweep() == 0


def test_a_hash_that_was_begun_is_left_to_others_when_the_service_ends(core, there, nova, queued,
                                                                       kept, monkeypatch):
    image = queued()
    read = Stores.read

    def ending(self, found, **named):
        core.use_cases.locations._hashing._closing.set()
        return read(self, found, **named)
    monkeypatch.setattr(Stores, 'read', ending)

    core.use_cases.locations.add(nova, image.id, there)
    core.use_cases.locations.close()

    assert kept(image).os_hash_value is None
    assert kept(image).lease_until > core.layers.host.now()


def test_data_that_cannot_be_read_is_given_up(core, there, nova, queued, settled, monkeypatch):
    def fail(self, found, **named):
        raise contract.Unavailable('away')
    monkeypatch.setattr(Stores, 'read', fail)
    image = queued()

    core.use_cases.locations.add(nova, image.id, there)

    found = settled(image, lambda found: found.lease_until is None)
    assert (found.status, found.os_hash_value) == ('active', None)


@pytest.mark.parametrize(('tries', 'failure'), [
    (1, contract.Unavailable('away')), (2, contract.Unavailable('away')),
    (2, RuntimeError('of a library'))], ids=['once', 'twice', 'unforeseen'])
def test_data_is_read_as_often_as_the_operator_says(tmp_path, nova, monkeypatch, tries, failure):
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
        nova, core.use_cases.images.create(nova, core.schema.create(RAW)).id, url
    )

    assert tried == [url] * tries
    core.close()


@pytest.mark.parametrize('expected', [{}, {'os_hash_algo': 'sha512', 'os_hash_value': SHA512}],
                         ids=['active', 'importing'])
def test_an_image_that_waits_for_its_turn_to_be_read_is_alive(core, there, nova, queued, kept,
                                                              monkeypatch, expected):
    image, waiting = queued(), []
    monkeypatch.setattr(core.use_cases.locations._hashing, 'submit', waiting.append)
    core.use_cases.locations.add(nova, image.id, there, expected)
    core.layers.database.images.update(kept(image), {'lease_until': core.layers.host.now()})

    core.layers.leases.renew()

    assert core.use_cases.recovery.sweep() == 0
    waiting.pop()()
    assert (kept(image).status, kept(image).os_hash_value) == ('active', SHA512)
    assert core.layers.leases._held == {}


# --- removing one copy

def test_one_copy_goes_and_the_other_stays(core, admin, twice, kept):
    core.use_cases.locations.remove_copy(admin, 'fast', twice.id)

    assert kept(twice).locations == twice.locations[1:]
    assert kept(twice).lease_until is None
    with pytest.raises(contract.NotFound):
        core.layers.stores.size(twice.locations[0])
    assert core.layers.stores.size(twice.locations[1]) == 4


def test_the_last_copy_stays(core, admin, active, kept):
    image = active()

    with pytest.raises(contract.Forbidden, match='the only store'):
        core.use_cases.locations.remove_copy(admin, 'fast', image.id)

    assert kept(image).locations == image.locations


def test_what_is_not_there_cannot_be_removed(core, ctx, admin, twice, queued):
    core.layers.stores.delete(twice.locations[1])
    for store, image, error in (('nowhere', twice, contract.Conflict),
                                ('fast', queued(), contract.Conflict)):
        with pytest.raises(error):
            core.use_cases.locations.remove_copy(admin, store, image.id)
    with pytest.raises(contract.NotFound):
        core.use_cases.locations.remove_copy(admin, 'fast', 'nothing')
    with pytest.raises(contract.Forbidden):
        core.use_cases.locations.remove_copy(ctx, 'fast', twice.id)


@pytest.mark.parametrize('failure', [contract.InUse('a clone'), contract.Unavailable('away'),
                                     contract.Forbidden('kept')], ids=lambda f: type(f).__name__)
def test_a_copy_that_a_store_keeps_is_as_it_was(core, admin, twice, kept, monkeypatch, failure):
    def refuse(url, *, ctx=None):
        raise failure
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'delete', refuse)

    with pytest.raises(type(failure)):
        core.use_cases.locations.remove_copy(admin, 'fast', twice.id)

    assert sorted(kept(twice).locations, key=str) == sorted(twice.locations, key=str)
    assert kept(twice).lease_until is None


def test_a_copy_whose_removal_died_half_way_is_not_read_and_then_swept(
        core, admin, ctx, twice, kept, monkeypatch):
    monkeypatch.setattr('glancelite.services.location_deletion.complete', lambda *args: None)
    core.use_cases.locations.remove_copy(admin, 'fast', twice.id)

    assert [one.store for one in kept(twice).active_locations] == ['cold']
    assert [one.store for one in core.layers.stores.displayed(kept(twice))] == ['cold']
    core.layers.database.images.update(kept(twice), {'lease_until': core.layers.host.now()})
    assert core.use_cases.recovery.sweep() == 1

    assert kept(twice).locations == twice.locations[1:]
    with pytest.raises(contract.NotFound):
        core.layers.stores.size(twice.locations[0])
    assert b''.join(core.use_cases.downloads.open(ctx, twice.id).chunks) == b'data'


@pytest.mark.parametrize('failure', [contract.InUse, contract.Forbidden])
def test_a_copy_that_a_store_keeps_from_the_sweep_is_as_it_was(
        core, admin, twice, kept, monkeypatch, failure):
    def refuse(url, *, ctx=None):
        assert core.use_cases.recovery.sweep() == 0, 'one at a time'
        raise failure('a clone')
    with monkeypatch.context() as dying:
        dying.setattr('glancelite.services.location_deletion.complete', lambda *args: None)
        core.use_cases.locations.remove_copy(admin, 'fast', twice.id)
    core.layers.database.images.update(kept(twice), {'lease_until': core.layers.host.now()})
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'delete', refuse)

    assert core.use_cases.recovery.sweep() == 1

    assert sorted(kept(twice).active_locations, key=str) == sorted(twice.locations, key=str)
    assert kept(twice).lease_until is None


def test_a_copy_that_somebody_else_is_removing_is_his_business(core, admin, ctx, twice, kept,
                                                               monkeypatch):
    third, _ = core.layers.stores.write('cold', 'third', iter([b'data']), size=4, ctx=ctx)
    core.layers.database.images.update(kept(twice), {'locations': (*twice.locations, third)})
    driver = core.layers.stores['fast'].driver
    delete = driver.delete

    def slow(url, *, ctx=None):
        monkeypatch.setattr(driver, 'delete', refuse)
        core.use_cases.locations.remove_copy(admin, 'cold', twice.id)
        assert [one.url for one in kept(twice).active_locations] == [third.url]
        with pytest.raises(contract.Forbidden, match='the only store'):
            core.use_cases.locations.remove_copy(admin, 'cold', twice.id)
        delete(url)

    def refuse(url, *, ctx=None):
        raise contract.InUse('it is being removed')
    monkeypatch.setattr(driver, 'delete', slow)

    core.use_cases.locations.remove_copy(admin, 'fast', twice.id)

    assert kept(twice).locations == (third,)
    assert kept(twice).lease_until is None


def test_a_copy_that_is_leaving_does_not_come_back_with_an_image_that_stays(
        core, admin, twice, kept, monkeypatch):
    driver = core.layers.stores['fast'].driver
    delete = driver.delete

    def slow(url, *, ctx=None):
        monkeypatch.setattr(driver, 'delete', refuse)
        with pytest.raises(contract.InUse):
            core.use_cases.images.delete(admin, twice.id)
        assert kept(twice).status == 'active'
        assert kept(twice).active_locations == twice.locations[1:]
        delete(url)

    def refuse(url, *, ctx=None):
        raise contract.InUse('it is being removed')
    monkeypatch.setattr(driver, 'delete', slow)

    core.use_cases.locations.remove_copy(admin, 'fast', twice.id)

    assert kept(twice).locations == twice.locations[1:]
    assert kept(twice).lease_until is None


def test_the_bytes_of_a_copy_that_is_leaving_go_with_a_deleted_image(core, admin, twice,
                                                                    monkeypatch):
    monkeypatch.setattr('glancelite.services.location_deletion.complete', lambda *args: None)
    core.use_cases.locations.remove_copy(admin, 'fast', twice.id)

    core.use_cases.images.delete(admin, twice.id)

    for location in twice.locations:
        with pytest.raises(contract.NotFound):
            core.layers.stores.size(location)
