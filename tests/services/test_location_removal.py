"""Removes one of several locations of an image, with its data."""

import pytest

from glancelite import contract
from tests.services.conftest import raising, read_data


def test_one_location_is_removed_and_the_other_stays(core, admin, replicated, reread):
    core.use_cases.locations.remove_copy(admin, 'fast', replicated.id)

    assert reread(replicated).locations == replicated.locations[1:]
    assert reread(replicated).lease_until is None
    with pytest.raises(contract.NotFound):
        core.layers.stores.size(replicated.locations[0])
    assert core.layers.stores.size(replicated.locations[1]) == 4


def test_the_last_location_cannot_be_removed(core, admin, active, reread):
    image = active()

    with pytest.raises(contract.Forbidden, match='the only store'):
        core.use_cases.locations.remove_copy(admin, 'fast', image.id)

    assert reread(image).locations == image.locations


def test_a_location_to_remove_must_exist(core, ctx, admin, replicated, queued):
    core.layers.stores.delete(replicated.locations[1])
    for store, image, error in (('nowhere', replicated, contract.Conflict),
                                ('fast', queued(), contract.Conflict)):
        with pytest.raises(error):
            core.use_cases.locations.remove_copy(admin, store, image.id)
    with pytest.raises(contract.NotFound):
        core.use_cases.locations.remove_copy(admin, 'fast', 'nothing')
    with pytest.raises(contract.Forbidden):
        core.use_cases.locations.remove_copy(ctx, 'fast', replicated.id)


@pytest.mark.parametrize('failure', [
    contract.InUse('a clone'), contract.Unavailable('no answer'), contract.Forbidden('refused')],
    ids=lambda failure: type(failure).__name__)
def test_a_location_is_unchanged_if_the_store_refuses_to_delete(
        core, admin, replicated, reread, monkeypatch, failure):
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'delete', raising(failure))

    with pytest.raises(type(failure)):
        core.use_cases.locations.remove_copy(admin, 'fast', replicated.id)

    assert sorted(reread(replicated).locations, key=str) == sorted(replicated.locations, key=str)
    assert reread(replicated).lease_until is None


def test_an_interrupted_removal_is_not_read_and_completed_by_the_sweep(
        core, admin, ctx, replicated, reread, expire, monkeypatch):
    monkeypatch.setattr('glancelite.services.location_deletion.complete', lambda *args: None)
    core.use_cases.locations.remove_copy(admin, 'fast', replicated.id)

    assert [location.store for location in reread(replicated).active_locations] == ['cold']
    assert [location.store
            for location in core.layers.stores.displayed(reread(replicated))] == ['cold']
    expire(replicated)
    assert core.use_cases.recovery.sweep() == 1

    assert reread(replicated).locations == replicated.locations[1:]
    with pytest.raises(contract.NotFound):
        core.layers.stores.size(replicated.locations[0])
    assert read_data(core, ctx, replicated) == b'data'


@pytest.mark.parametrize('failure', [contract.InUse, contract.Forbidden])
def test_a_location_is_active_again_if_the_store_refuses_the_sweep(
        core, admin, replicated, reread, expire, monkeypatch, failure):
    def refuse(url, *, ctx=None):
        assert core.use_cases.recovery.sweep() == 0, 'only one sweep at a time'
        raise failure('a clone')
    with monkeypatch.context() as patched:
        patched.setattr('glancelite.services.location_deletion.complete', lambda *args: None)
        core.use_cases.locations.remove_copy(admin, 'fast', replicated.id)
    expire(replicated)
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'delete', refuse)

    assert core.use_cases.recovery.sweep() == 1

    assert (sorted(reread(replicated).active_locations, key=str)
            == sorted(replicated.locations, key=str))
    assert reread(replicated).lease_until is None


def test_concurrent_removals_of_two_locations_do_not_interfere(
        core, admin, ctx, replicated, reread, monkeypatch):
    third, _ = core.layers.stores.write('cold', 'third', iter([b'data']), size=4, ctx=ctx)
    core.layers.database.images.update(
        reread(replicated), {'locations': (*replicated.locations, third)})
    driver = core.layers.stores['fast'].driver
    delete = driver.delete

    def delete_slowly(url, *, ctx=None):
        monkeypatch.setattr(driver, 'delete', refuse)
        core.use_cases.locations.remove_copy(admin, 'cold', replicated.id)
        assert [location.url for location in reread(replicated).active_locations] == [third.url]
        with pytest.raises(contract.Forbidden, match='the only store'):
            core.use_cases.locations.remove_copy(admin, 'cold', replicated.id)
        delete(url)

    def refuse(url, *, ctx=None):
        raise contract.InUse('the data is being deleted')
    monkeypatch.setattr(driver, 'delete', delete_slowly)

    core.use_cases.locations.remove_copy(admin, 'fast', replicated.id)

    assert reread(replicated).locations == (third,)
    assert reread(replicated).lease_until is None


def test_a_failed_deletion_does_not_restore_a_location_being_removed(
        core, admin, replicated, reread, monkeypatch):
    driver = core.layers.stores['fast'].driver
    delete = driver.delete

    def delete_slowly(url, *, ctx=None):
        monkeypatch.setattr(driver, 'delete', refuse)
        with pytest.raises(contract.InUse):
            core.use_cases.images.delete(admin, replicated.id)
        assert reread(replicated).status == 'active'
        assert reread(replicated).active_locations == replicated.locations[1:]
        delete(url)

    def refuse(url, *, ctx=None):
        raise contract.InUse('the data is being deleted')
    monkeypatch.setattr(driver, 'delete', delete_slowly)

    core.use_cases.locations.remove_copy(admin, 'fast', replicated.id)

    assert reread(replicated).locations == replicated.locations[1:]
    assert reread(replicated).lease_until is None


def test_deleting_an_image_deletes_the_data_of_marked_locations(
        core, admin, replicated, monkeypatch):
    monkeypatch.setattr('glancelite.services.location_deletion.complete', lambda *args: None)
    core.use_cases.locations.remove_copy(admin, 'fast', replicated.id)

    core.use_cases.images.delete(admin, replicated.id)

    for location in replicated.locations:
        with pytest.raises(contract.NotFound):
            core.layers.stores.size(location)
