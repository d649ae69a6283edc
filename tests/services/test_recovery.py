"""The recovery finishes or undoes abandoned work."""

import datetime
import itertools

import pytest

from glancelite import contract
from glancelite.domain import status
from glancelite.services import recovery as recovery_module
from glancelite.services.recovery import Recovery
from glancelite.testing import service
from tests.services.conftest import raising, read_data

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def abandoned_upload(core, ctx, queued):
    """Create an image whose upload was abandoned after its data was stored."""
    def make():
        image = queued()
        image = core.layers.database.images.update(
            image, {'status': 'saving', 'size': 5, 'lease_until': LONG_AGO})
        store = core.layers.stores['fast'].driver
        return image, store, store.write(image.key, iter([b'stale'])).url
    return make


def test_an_abandoned_upload_is_queued_again_and_its_data_discarded(
        core, abandoned_upload, reread):
    image, store, url = abandoned_upload()

    assert core.use_cases.recovery.sweep() == 1

    assert (reread(image).status, reread(image).size, reread(image).attempt) == ('queued', None, 1)
    with pytest.raises(contract.NotFound):
        store.read(url)


def test_a_recovery_that_takes_longer_than_its_lease_is_left_alone(
        core, abandoned_upload, advance, reread, monkeypatch):
    """Otherwise processes take it from each other, and each begins with one key more."""
    image, store, _ = abandoned_upload()
    others = []

    def take_long(key, *, ctx=None):
        if not others:
            advance(200)
            core.layers.leases.renew()
            others.append('asked')
            others.append(core.use_cases.recovery.sweep())
    monkeypatch.setattr(store, 'discard', take_long)

    assert core.use_cases.recovery.sweep() == 1

    assert others == ['asked', 0]
    assert (reread(image).status, reread(image).attempt) == ('queued', 1)


def test_data_is_discarded_on_behalf_of_the_owner(core, ctx, abandoned_upload, monkeypatch):
    image, store, _ = abandoned_upload()
    callers = []
    monkeypatch.setattr(store, 'discard', lambda key, *, ctx=None: callers.append(ctx))

    core.use_cases.recovery.sweep()

    assert callers == [contract.Context(project=ctx.project)]
    assert image.owner == ctx.project


def test_a_recovered_image_can_be_uploaded_and_deleted(core, ctx, abandoned_upload):
    image, _, _ = abandoned_upload()
    core.use_cases.recovery.sweep()

    uploaded = core.use_cases.uploads.receive(ctx, image.id, iter([b'fresh']))
    assert read_data(core, ctx, image) == b'fresh'
    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.layers.stores.store_of(uploaded.locations[0]).driver.size(uploaded.locations[0].url)


def test_an_upload_with_a_valid_lease_is_not_recovered(core, ctx, queued, reread):
    image = core.layers.database.images.update(
        queued(), {'status': 'saving', 'lease_until': core.layers.leases.until()})

    assert core.use_cases.recovery.sweep() == 0
    assert reread(image).status == 'saving'


def test_an_upload_without_a_lease_is_not_recovered(core, queued, reread):
    image = core.layers.database.images.update(queued(), {'status': 'saving'})

    assert core.use_cases.recovery.sweep() == 0
    assert reread(image).status == 'saving'


def test_an_interrupted_deletion_is_completed(core, active, advance):
    image = active()
    core.layers.database.images.delete(image, pending=True)
    store = core.layers.stores.store_of(image.locations[0]).driver
    assert core.use_cases.recovery.sweep() == 0, 'the deletion may still be in progress'
    advance(3600)

    assert core.use_cases.recovery.sweep() == 1
    assert core.use_cases.recovery.sweep() == 0
    with pytest.raises(contract.NotFound):
        store.read(image.locations[0].url)


def test_the_data_of_an_abandoned_upload_of_a_deleted_image_is_discarded(
        core, ctx, abandoned_upload, advance):
    image, store, url = abandoned_upload()
    core.use_cases.images.delete(ctx, image.id)
    advance(3600)

    assert core.use_cases.recovery.sweep() == 1
    with pytest.raises(contract.NotFound):
        store.read(url)


def test_a_deletion_is_tried_again_after_its_store_was_unavailable(
        core, active, advance, monkeypatch):
    image = active()
    core.layers.database.images.delete(image, pending=True)
    store = core.layers.stores.store_of(image.locations[0]).driver
    advance(3600)

    with monkeypatch.context() as failing:
        failing.setattr(store, 'delete', raising(contract.Unavailable('no answer')))
        assert core.use_cases.recovery.sweep() == 0

    assert core.use_cases.recovery.sweep() == 1


def test_the_first_sweep_starts_at_once(core, abandoned_upload, reread):
    image, _, _ = abandoned_upload()

    core.start()
    core.use_cases.recovery.close()

    assert reread(image).status == 'queued'


def test_an_interrupted_sweep_is_completed_by_a_later_one(
        core, abandoned_upload, reread, advance, monkeypatch):
    image, store, url = abandoned_upload()
    with monkeypatch.context() as crash:
        crash.setattr(core.layers.stores, 'discard', raising(SystemExit()))
        with pytest.raises(SystemExit):
            core.use_cases.recovery.sweep()
    assert reread(image).status == 'saving'
    assert core.use_cases.recovery.sweep() == 0, 'the first sweep may still be in progress'
    advance(3600)

    assert core.use_cases.recovery.sweep() == 1

    assert reread(image).status == 'queued'
    with pytest.raises(contract.NotFound):
        store.read(url)


def test_an_abandoned_upload_has_one_key_more_however_long_its_store_is_down(
        core, ctx, abandoned_upload, reread, advance, monkeypatch):
    image, store, url = abandoned_upload()
    with monkeypatch.context() as down:
        down.setattr(store, 'discard', raising(contract.Unavailable('no answer')))
        for _ in range(5):
            assert core.use_cases.recovery.sweep() == 0
            advance(3600)

    assert (reread(image).status, reread(image).attempt) == ('queued', 1)
    assert store.size(url) == 5

    assert core.use_cases.recovery.sweep() == 1

    assert (reread(image).attempt, reread(image).lease_until) == (1, None)
    with pytest.raises(contract.NotFound):
        store.size(url)


def test_a_new_upload_need_not_wait_until_that_of_a_dead_process_is_discarded(
        core, ctx, abandoned_upload, reread, advance, monkeypatch):
    image, store, url = abandoned_upload()
    with monkeypatch.context() as down:
        down.setattr(store, 'discard', raising(contract.Unavailable('no answer')))
        core.use_cases.recovery.sweep()
        core.use_cases.uploads.receive(ctx, image.id, iter([b'new data']))
    advance(3600)

    core.use_cases.recovery.sweep()

    assert read_data(core, ctx, image) == b'new data'
    with pytest.raises(contract.NotFound):
        store.size(url)


def test_a_failing_driver_does_not_delay_other_images(core, abandoned_upload, reread, monkeypatch):
    first, store, _ = abandoned_upload()
    second, _, _ = abandoned_upload()
    discard = store.discard

    def fail_for_first(key, *, ctx=None):
        if key == first.id:
            raise ZeroDivisionError('a fault of the driver')
        discard(key)

    monkeypatch.setattr(store, 'discard', fail_for_first)

    core.use_cases.recovery.sweep()

    assert reread(second).status == 'queued'


@pytest.fixture
def pending(core, active, advance):
    """Ids of images whose deletion was interrupted long ago."""
    images = [active() for _ in range(5)]
    for image in images:
        core.layers.database.images.delete(image, pending=True)
    advance(3600)
    return [image.id for image in images]


def test_images_that_cannot_be_recovered_do_not_hide_others(core, pending, monkeypatch):
    monkeypatch.setattr(recovery_module, 'PAGE', 2)
    store = core.layers.stores['fast'].driver
    delete = store.delete

    def fail_for_four(url, *, ctx=None):
        if url.rpartition('/')[2] in pending[:4]:
            raise contract.Unavailable('no answer')
        delete(url)

    monkeypatch.setattr(store, 'delete', fail_for_four)

    assert [core.use_cases.recovery.sweep() for _ in range(2)] == [1, 0]

    monkeypatch.setattr(store, 'delete', delete)
    assert core.use_cases.recovery.sweep() == 4


def test_a_sweep_ends_in_time_and_the_next_one_continues(core, pending, monkeypatch):
    monkeypatch.setattr(recovery_module, 'PAGE', 2)
    store = core.layers.stores['fast'].driver
    clock, tried = itertools.count(0, 20), []   # each reading is 20 s later
    monkeypatch.setattr(recovery_module.time, 'monotonic', lambda: next(clock))

    def fail(url, *, ctx=None):
        tried.append(url.rpartition('/')[2])
        raise contract.Unavailable('no answer')

    monkeypatch.setattr(store, 'delete', fail)

    sweeps = []
    for _ in range(4):
        core.use_cases.recovery.sweep()
        sweeps.append(list(tried))
        tried.clear()

    assert sweeps == [pending[:2], pending[2:4], pending[4:], pending[:2]]


# --- handlers

def test_two_handlers_for_one_status_are_refused(core):
    recovery = Recovery(core.layers)
    recovery.register(('saving', 'queued'), lambda image: True)

    with pytest.raises(ValueError, match='two handlers for the status queued'):
        recovery.register(('queued',), lambda image: False)


def test_every_status_has_a_handler(core):
    assert set(core.use_cases.recovery._handlers) == set(status.TRANSITIONS)


def test_an_image_is_passed_to_the_handler_of_its_status(core, abandoned_upload):
    image, _, _ = abandoned_upload()
    recovery, saving, others = Recovery(core.layers), [], []
    recovery.register(('saving',), lambda image: saving.append(image.id) or True)
    recovery.register(set(status.TRANSITIONS) - {'saving'}, others.append)

    assert recovery.sweep() == 1

    assert (saving, others) == ([image.id], [])


def test_an_image_that_was_not_recovered_is_not_counted(core, abandoned_upload):
    abandoned_upload()
    recovery = Recovery(core.layers)
    recovery.register(('saving',), lambda image: False)

    assert recovery.sweep() == 0


def test_processes_share_the_sweeps(core, abandoned_upload):
    for _ in range(20):
        abandoned_upload()
    one, two = core, service.exchange(core)

    counts = [process.use_cases.recovery.sweep_parts() for process in (one, two, one)]

    assert (sum(counts), counts[1:]) == (20, [0, 0])


def test_a_part_whose_process_died_is_swept_by_another_one(core, abandoned_upload, advance,
                                                          monkeypatch):
    abandoned_upload()
    dying = service.exchange(core)
    monkeypatch.setattr(dying.use_cases.recovery, 'sweep', raising(KeyboardInterrupt))
    monkeypatch.setattr(core.layers.database.tasks, 'update', raising(KeyboardInterrupt))
    for _ in range(recovery_module.PARTS):
        with pytest.raises(KeyboardInterrupt):
            dying.use_cases.recovery.sweep_parts()
    monkeypatch.undo()
    assert core.use_cases.recovery.sweep_parts() == 0
    advance(1000)

    assert core.use_cases.recovery.sweep_parts() == 1
