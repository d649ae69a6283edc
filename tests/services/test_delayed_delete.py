"""``delayed_delete``: images are deleted at once, their data later."""

import datetime
import hashlib

import pytest

from glancelite import contract
from glancelite.domain import imports, patch
from glancelite.services.recovery import owner_context
from glancelite.services.staging import Staged
from glancelite.services.undelete import undelete
from glancelite.testing import service
from tests.services.conftest import raising, read_data
from tests.services.import_case import DATA, begin, run

SCRUB_TIME = 3600
DELAYED = service.MEMORY.replace('[DEFAULT]', f"""[DEFAULT]
delayed_delete = true
scrub_time = {SCRUB_TIME}
show_multiple_locations = true
""")


@pytest.fixture
def core(tmp_path):
    core = service.build(tmp_path, DELAYED)
    yield core
    core.close()


def stored_size(core, location):
    """Return the size of the data at a location, None if there is none."""
    try:
        return core.layers.stores.size(location)
    except contract.NotFound:
        return None


def test_the_data_of_a_deleted_image_stays_for_the_scrub_time(core, ctx, active, advance):
    image = active()
    used_before = core.layers.database.images.usage(ctx.project).bytes

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(ctx, image.id)
    with pytest.raises(contract.NotFound):
        core.use_cases.images.delete(ctx, image.id)
    assert (used_before, core.layers.database.images.usage(ctx.project).bytes) == (4, 0)
    advance(SCRUB_TIME - 5)
    assert core.use_cases.recovery.sweep() == 0
    assert stored_size(core, image.locations[0]) == 4
    advance(10)
    assert core.use_cases.recovery.sweep() == 1
    assert stored_size(core, image.locations[0]) is None
    assert core.use_cases.recovery.sweep() == 0


def test_a_deletion_succeeds_while_the_store_refuses_to_delete_the_data(
        core, ctx, active, advance, monkeypatch):
    image, driver = active(), core.layers.stores['fast'].driver

    monkeypatch.setattr(driver, 'delete', raising(contract.InUse('a volume was made of it')))

    core.use_cases.images.delete(ctx, image.id)

    advance(SCRUB_TIME + 5)
    assert core.use_cases.recovery.sweep() == 0
    monkeypatch.undo()
    advance(SCRUB_TIME + 5)
    assert core.use_cases.recovery.sweep() == 1
    assert stored_size(core, image.locations[0]) is None


def remove_with_patch(core, admin, image):
    position = next(number for number, location in enumerate(image.active_locations)
                    if location.store == 'cold')
    core.use_cases.images.update(admin, image.id, patch.parse(
        [{'op': 'remove', 'path': f'/locations/{position}'}], patch.DRAFT_10,
        core.schema.validate_attribute))


def remove_from_store(core, admin, image):
    core.use_cases.locations.remove_copy(admin, 'cold', image.id)


@pytest.mark.parametrize('remove', [remove_with_patch, remove_from_store])
def test_the_data_of_a_removed_location_stays_for_the_scrub_time(
        remove, core, ctx, admin, replicated, reread, advance):
    remaining, removed = replicated.locations

    remove(core, admin, replicated)

    assert reread(replicated).active_locations == (remaining,)
    assert core.layers.database.images.usage(ctx.project).bytes == 4
    advance(SCRUB_TIME - 5)
    assert core.use_cases.recovery.sweep() == 0
    assert stored_size(core, removed) == 4
    advance(10)
    assert core.use_cases.recovery.sweep() == 1
    assert stored_size(core, removed) is None
    assert reread(replicated).locations == (remaining,)
    assert reread(replicated).lease_until is None


def test_adding_a_hash_does_not_cancel_the_deletion_of_a_location(
        core, admin, replicated, reread, wait_for, advance):
    records = core.layers.database.images
    core.use_cases.locations.remove_copy(admin, 'cold', replicated.id)
    image = records.update(reread(replicated), {'os_hash_value': None, 'os_hash_algo': None})
    until = image.lease_until

    core.use_cases.locations._submit(
        image, lambda: core.use_cases.locations._add_facts(owner_context(image), image))

    assert wait_for(replicated).os_hash_value == hashlib.sha512(b'data').hexdigest()
    assert reread(replicated).lease_until == until
    advance(SCRUB_TIME + 5)
    core.use_cases.recovery.sweep()
    assert len(reread(replicated).locations) == 1


def test_a_location_whose_store_refuses_is_tried_again(core, admin, replicated, reread, advance,
                                                       monkeypatch):
    core.use_cases.locations.remove_copy(admin, 'cold', replicated.id)
    driver = core.layers.stores['cold'].driver
    monkeypatch.setattr(driver, 'delete', raising(contract.InUse('a volume was made of it')))
    advance(SCRUB_TIME + 5)

    core.use_cases.recovery.sweep()
    assert len(reread(replicated).active_locations) == 1
    monkeypatch.setattr(driver, 'delete', type(driver).delete.__get__(driver))
    advance(SCRUB_TIME + 5)
    core.use_cases.recovery.sweep()

    assert len(reread(replicated).locations) == 1
    assert stored_size(core, replicated.locations[1]) is None


# --- undelete

def test_an_undeleted_image_has_all_its_attributes_and_data(core, ctx, active, reread, advance):
    image = active(name='precious', tags=['one'], architecture='x86_64')
    core.use_cases.images.delete(ctx, image.id)
    advance(SCRUB_TIME - 130)

    undeleted = undelete(core.layers, image.id)

    assert undeleted.status == 'active'
    assert (undeleted.name, undeleted.tags, undeleted.properties) == (
        image.name, image.tags, image.properties)
    assert read_data(core, ctx, image) == b'data'
    advance(SCRUB_TIME * 2)
    core.use_cases.recovery.sweep()
    assert stored_size(core, image.locations[0]) == 4


def test_an_undeleted_image_is_deactivated_if_it_was(core, ctx, admin, active, reread):
    image = active()
    core.use_cases.images.deactivate(admin, image.id)
    core.use_cases.images.delete(ctx, image.id)

    undeleted = undelete(core.layers, image.id)

    assert undeleted.status == reread(image).status == 'deactivated'
    with pytest.raises(contract.Forbidden):
        read_data(core, ctx, image)
    core.use_cases.images.reactivate(admin, image.id)
    assert read_data(core, ctx, image) == b'data'


def test_an_undeleted_image_is_killed_if_it_was(core, ctx, active, reread):
    image = core.layers.database.images.update(active(), {'status': 'killed'})
    core.use_cases.images.delete(ctx, image.id)

    assert undelete(core.layers, image.id).status == reread(image).status == 'killed'


def test_an_undeleted_image_without_data_gets_some_and_no_copy_comes_back(
        core, ctx, active, reread, advance):
    image = core.layers.database.images.update(active(), {      # as after an import that failed
        'status': 'queued', 'size': None, 'attempt': 1, 'os_hash_value': None, 'checksum': None,
        'lease_until': core.layers.host.now()})
    url = image.locations[0]
    core.use_cases.images.delete(ctx, image.id)

    assert undelete(core.layers, image.id).status == 'queued'

    assert (reread(image).status, reread(image).active_locations) == ('queued', ())
    done = core.use_cases.uploads.receive(ctx, image.id, iter([b'other']))
    assert read_data(core, ctx, done) == b'other'
    advance(SCRUB_TIME + 5)
    core.use_cases.recovery.sweep()
    assert stored_size(core, url) is None
    assert read_data(core, ctx, done) == b'other'


def test_an_undeleted_image_keeps_its_staged_data(importing, ctx, staged, reread):
    importing.use_cases.images.delete(ctx, staged.id)

    assert undelete(importing.layers, staged.id).status == 'uploading'

    begin(importing, ctx, staged)
    run(importing)
    assert reread(staged).status == 'active'
    assert read_data(importing, ctx, staged) == DATA


def test_an_image_whose_data_was_being_written_stays_deleted(importing, ctx, staged, queued):
    begin(importing, ctx, staged)
    saving, receiving = queued(), queued()
    records = importing.layers.database.images
    records.update(saving, {'status': 'saving', 'attempt': 1})
    records.update(receiving, {'status': 'uploading', 'properties': imports.with_staged(
        {}, Staged(pending='key').to_json())})

    for image in staged, saving, receiving:
        importing.use_cases.images.delete(ctx, image.id)
        with pytest.raises(contract.Gone, match='no complete data'):
            undelete(importing.layers, image.id)


@pytest.mark.parametrize('ended', [False, True], ids=['running', 'ended'])
def test_an_undeleted_image_is_not_locked_by_a_copy_that_its_deletion_has_ended(
        importing, ctx, admin, active, reread, ended):
    image = active()
    begin(importing, admin, image, 'copy-image', stores=['cold'])
    importing.use_cases.images.delete(ctx, image.id)
    if ended:
        run(importing)

    undelete(importing.layers, image.id)
    run(importing)

    assert (reread(image).status, reread(image).active_locations) == ('active', image.locations)
    assert imports.lock_of(reread(image).properties) is None
    assert not reread(image).properties.get(imports.TO_STORES)
    assert read_data(importing, ctx, image) == b'data'
    begin(importing, admin, image, 'copy-image', stores=['cold'])
    run(importing)
    assert len(reread(image).active_locations) == 2


def test_undelete_reads_one_of_many_deleted_images(core, ctx, active, monkeypatch):
    images = [active() for _ in range(5)]
    for image in images:
        core.use_cases.images.delete(ctx, image.id)
    monkeypatch.setattr(core.layers.database.images, 'unfinished', raising(AssertionError))

    assert undelete(core.layers, images[2].id.upper()).id == images[2].id


def test_only_deleted_images_whose_data_is_kept_can_be_undeleted(core, ctx, active, queued):
    not_deleted, without_data = active(), queued()
    core.use_cases.images.delete(ctx, without_data.id)

    for image_id in not_deleted.id, without_data.id, 'unknown':
        with pytest.raises(contract.NotFound):
            undelete(core.layers, image_id)


@pytest.mark.parametrize('seconds', [SCRUB_TIME - 100, SCRUB_TIME + 5])
def test_an_image_that_the_sweep_may_be_deleting_stays_deleted(
        core, ctx, active, advance, seconds):
    image = active()
    core.use_cases.images.delete(ctx, image.id)
    advance(seconds)

    with pytest.raises(contract.Gone, match='scrub_time'):
        undelete(core.layers, image.id)


def test_the_time_is_checked_again_after_slow_stores(core, ctx, active, advance, monkeypatch):
    image = active()
    core.use_cases.images.delete(ctx, image.id)
    size = core.layers.stores.size

    def slow(location, **named):
        advance(SCRUB_TIME)
        return size(location, **named)
    monkeypatch.setattr(core.layers.stores, 'size', slow)

    with pytest.raises(contract.Gone, match='scrub_time'):
        undelete(core.layers, image.id)


def test_undelete_requires_delayed_deletion(tmp_path, ctx):
    core = service.build(tmp_path)

    try:
        with pytest.raises(contract.Gone, match='delayed_delete is not set'):
            undelete(core.layers, 'any')
    finally:
        core.close()


def test_an_image_without_all_its_data_stays_deleted(core, ctx, replicated):
    core.use_cases.images.delete(ctx, replicated.id)
    core.layers.stores.delete(replicated.locations[1])

    with pytest.raises(contract.Gone, match='missing or incomplete'):
        undelete(core.layers, replicated.id)


def test_a_short_scrub_time_is_extended_to_exceed_the_lease(tmp_path):
    core = service.build(tmp_path, DELAYED.replace(str(SCRUB_TIME), '1'))
    retention = core.layers.retention

    try:
        minimum = datetime.timedelta(seconds=299)
        assert core.layers.host.now() - retention.due_before() >= minimum
        assert retention.due() - core.layers.host.now() >= minimum
    finally:
        core.close()
