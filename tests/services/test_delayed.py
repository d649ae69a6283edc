"""``delayed_delete``: what is deleted is gone at once, its bytes are not."""

import datetime
import hashlib

import pytest

from glancelite import contract
from glancelite.domain import patch
from glancelite.services.recovery import owner_context
from glancelite.services.undelete import undelete
from glancelite.testing import service

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


@pytest.fixture
def later(core, monkeypatch):
    """Lets so many seconds pass."""
    def wait(seconds):
        now = core.layers.host.now() + datetime.timedelta(seconds=seconds)
        monkeypatch.setattr(core.layers.host, 'now', lambda: now)
    return wait


def there(core, location):
    try:
        return core.layers.stores.size(location)
    except contract.NotFound:
        return None


def test_a_deleted_image_leaves_its_bytes_for_a_while(core, ctx, active, later):
    image = active()
    held = core.layers.database.images.usage(ctx.project).bytes

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(ctx, image.id)
    with pytest.raises(contract.NotFound):
        core.use_cases.images.delete(ctx, image.id)
    assert (held, core.layers.database.images.usage(ctx.project).bytes) == (4, 0)
    later(SCRUB_TIME - 5)
    assert core.use_cases.recovery.sweep() == 0
    assert there(core, image.locations[0]) == 4
    later(10)
    assert core.use_cases.recovery.sweep() == 1
    assert there(core, image.locations[0]) is None
    assert core.use_cases.recovery.sweep() == 0


def test_what_a_store_holds_on_to_does_not_keep_an_image(core, ctx, active, later, monkeypatch):
    """The request is answered before the store is asked."""
    image, driver = active(), core.layers.stores['fast'].driver

    def in_use(url, *, ctx=None):
        raise contract.InUse('a volume was made of it')
    monkeypatch.setattr(driver, 'delete', in_use)

    core.use_cases.images.delete(ctx, image.id)

    later(SCRUB_TIME + 5)
    assert core.use_cases.recovery.sweep() == 0
    monkeypatch.undo()
    later(SCRUB_TIME + 5)
    assert core.use_cases.recovery.sweep() == 1
    assert there(core, image.locations[0]) is None


def by_patch(core, admin, image):
    place = next(n for n, one in enumerate(image.active_locations) if one.store == 'cold')
    core.use_cases.images.update(admin, image.id, patch.parse(
        [{'op': 'remove', 'path': f'/locations/{place}'}], patch.DRAFT_10,
        core.schema.validate_attribute))


def by_store(core, admin, image):
    core.use_cases.locations.remove_copy(admin, 'cold', image.id)


@pytest.mark.parametrize('remove', [by_patch, by_store])
def test_a_copy_that_is_removed_leaves_its_bytes_for_a_while(remove, core, ctx, admin, twice,
                                                             kept, later):
    stays, goes = twice.locations

    remove(core, admin, twice)

    assert kept(twice).active_locations == (stays,)
    assert core.layers.database.images.usage(ctx.project).bytes == 4
    later(SCRUB_TIME - 5)
    assert core.use_cases.recovery.sweep() == 0
    assert there(core, goes) == 4
    later(10)
    assert core.use_cases.recovery.sweep() == 1
    assert there(core, goes) is None
    assert kept(twice).locations == (stays,)
    assert kept(twice).lease_until is None


def test_a_hash_that_is_found_out_meanwhile_does_not_keep_a_copy_for_ever(core, admin, twice,
                                                                          kept, settled,
                                                                          later):
    records = core.layers.database.images
    core.use_cases.locations.remove_copy(admin, 'cold', twice.id)
    image = records.update(kept(twice), {'os_hash_value': None, 'os_hash_algo': None})
    until = image.lease_until

    core.use_cases.locations._submit(
        image, lambda: core.use_cases.locations._add_hash(owner_context(image), image))

    assert settled(twice).os_hash_value == hashlib.sha512(b'data').hexdigest()
    assert kept(twice).lease_until == until
    later(SCRUB_TIME + 5)
    core.use_cases.recovery.sweep()
    assert len(kept(twice).locations) == 1


def test_a_copy_that_a_store_holds_on_to_is_tried_again(core, admin, twice, kept, later,
                                                        monkeypatch):
    core.use_cases.locations.remove_copy(admin, 'cold', twice.id)
    driver = core.layers.stores['cold'].driver

    def in_use(url, *, ctx=None):
        raise contract.InUse('a volume was made of it')
    monkeypatch.setattr(driver, 'delete', in_use)
    later(SCRUB_TIME + 5)

    core.use_cases.recovery.sweep()
    assert len(kept(twice).active_locations) == 1
    monkeypatch.setattr(driver, 'delete', type(driver).delete.__get__(driver))
    later(SCRUB_TIME + 5)
    core.use_cases.recovery.sweep()

    assert len(kept(twice).locations) == 1
    assert there(core, twice.locations[1]) is None


# --- restoring

def test_a_deleted_image_comes_back_with_all_that_it_had(core, ctx, active, kept, later):
    image = active(name='precious', tags=['one'], architecture='x86_64')
    core.use_cases.images.delete(ctx, image.id)
    later(SCRUB_TIME - 130)

    back = undelete(core.layers, image.id)

    assert back.status == 'active'
    assert (back.name, back.tags, back.properties) == (image.name, image.tags, image.properties)
    assert b''.join(core.use_cases.downloads.open(ctx, image.id).chunks) == b'data'
    later(SCRUB_TIME * 2)
    core.use_cases.recovery.sweep()
    assert there(core, image.locations[0]) == 4


def test_one_of_many_is_found(core, ctx, active):
    images = [active() for _ in range(205)]
    for image in images:
        core.use_cases.images.delete(ctx, image.id)

    assert undelete(core.layers, images[-1].id).id == images[-1].id


def test_what_does_not_wait_cannot_be_restored(core, ctx, active, queued):
    alive, without = active(), queued()
    core.use_cases.images.delete(ctx, without.id)

    for image_id in alive.id, without.id, 'unknown':
        with pytest.raises(contract.NotFound):
            undelete(core.layers, image_id)


@pytest.mark.parametrize('seconds', [SCRUB_TIME - 100, SCRUB_TIME + 5])
def test_an_image_that_is_the_sweeps_or_may_be_in_a_moment_stays_deleted(core, ctx, active, later,
                                                                         seconds):
    image = active()
    core.use_cases.images.delete(ctx, image.id)
    later(seconds)

    with pytest.raises(contract.Gone, match='scrub_time'):
        undelete(core.layers, image.id)


def test_stores_that_take_long_to_answer_may_be_too_late(core, ctx, active, later, monkeypatch):
    image = active()
    core.use_cases.images.delete(ctx, image.id)
    size = core.layers.stores.size

    def slow(location, **named):
        later(SCRUB_TIME)
        return size(location, **named)
    monkeypatch.setattr(core.layers.stores, 'size', slow)

    with pytest.raises(contract.Gone, match='scrub_time'):
        undelete(core.layers, image.id)


def test_nothing_is_restored_where_deletions_are_not_delayed(tmp_path, ctx):
    core = service.build(tmp_path)

    try:
        with pytest.raises(contract.Gone, match='delayed_delete is not set'):
            undelete(core.layers, 'any')
    finally:
        core.close()


def test_an_image_without_all_its_data_stays_deleted(core, ctx, twice):
    core.use_cases.images.delete(ctx, twice.id)
    core.layers.stores.delete(twice.locations[1])

    with pytest.raises(contract.Gone, match='missing or incomplete'):
        undelete(core.layers, twice.id)


def test_a_short_scrub_time_leaves_others_time_to_finish(tmp_path):
    core = service.build(tmp_path, DELAYED.replace(str(SCRUB_TIME), '1'))
    retention = core.layers.retention

    try:
        least = datetime.timedelta(seconds=299)
        assert core.layers.host.now() - retention.due_before() >= least
        assert retention.due() - core.layers.host.now() >= least
    finally:
        core.close()
