"""After a crash: what a dead process has begun is found and put in order."""

import dataclasses
import datetime
import itertools
import threading

import pytest

from glancelite import contract
from glancelite.services import recovery as recovery_module
from glancelite.services.leases import Leases
from glancelite.services.periodic import Periodic

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def dead(core, ctx, queued):
    """Makes an image whose uploader died after its bytes were stored."""
    def make(**body):
        image = queued(**body)
        image = core.layers.database.images.update(
            image, {'status': 'saving', 'size': 5, 'lease_until': LONG_AGO})
        store = core.layers.stores['fast'].driver
        return image, store, store.write(image.key, iter([b'stale'])).url
    return make


def test_a_dead_upload_is_queued_again_without_its_bytes(core, dead, kept):
    image, store, url = dead()

    assert core.use_cases.recovery.sweep() == 1

    assert (kept(image).status, kept(image).size, kept(image).attempt) == ('queued', None, 1)
    with pytest.raises(contract.NotFound):
        store.read(url)


def test_what_is_left_is_looked_for_in_the_name_of_the_owner(core, ctx, dead, monkeypatch):
    image, store, _ = dead()
    callers = []
    monkeypatch.setattr(store, 'discard', lambda key, *, ctx=None: callers.append(ctx))

    core.use_cases.recovery.sweep()

    assert callers == [contract.Context(project=ctx.project)]
    assert image.owner == ctx.project


def test_what_was_swept_can_be_uploaded_and_deleted(core, ctx, dead):
    image, _, _ = dead()
    core.use_cases.recovery.sweep()

    uploaded = core.use_cases.uploads.receive(ctx, image.id, iter([b'fresh']))
    assert b''.join(core.use_cases.downloads.open(ctx, image.id).chunks) == b'fresh'
    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.layers.stores.store_of(uploaded.locations[0]).driver.size(uploaded.locations[0].url)


def test_an_upload_that_lives_is_left_alone(core, ctx, queued, kept):
    image = core.layers.database.images.update(
        queued(), {'status': 'saving', 'lease_until': core.layers.leases.until()})

    assert core.use_cases.recovery.sweep() == 0
    assert kept(image).status == 'saving'


def test_an_upload_without_lease_is_somebody_elses(core, queued, kept):
    image = core.layers.database.images.update(queued(), {'status': 'saving'})

    assert core.use_cases.recovery.sweep() == 0
    assert kept(image).status == 'saving'


def test_a_deletion_that_stopped_half_way_is_finished(core, active, monkeypatch):
    image = active()
    core.layers.database.images.delete(image, pending=True)
    store = core.layers.stores.store_of(image.locations[0]).driver
    assert core.use_cases.recovery.sweep() == 0, 'it may still be somebody\'s work in progress'
    now = core.layers.host.now() + datetime.timedelta(hours=1)
    monkeypatch.setattr(core.layers.host, 'now', lambda: now)

    assert core.use_cases.recovery.sweep() == 1
    assert core.use_cases.recovery.sweep() == 0
    with pytest.raises(contract.NotFound):
        store.read(image.locations[0].url)


def test_an_upload_that_died_after_its_image_was_deleted_leaves_no_bytes(core, ctx, dead,
                                                                         monkeypatch):
    image, store, url = dead()
    core.use_cases.images.delete(ctx, image.id)
    now = core.layers.host.now() + datetime.timedelta(hours=1)
    monkeypatch.setattr(core.layers.host, 'now', lambda: now)

    assert core.use_cases.recovery.sweep() == 1
    with pytest.raises(contract.NotFound):
        store.read(url)


def test_a_store_that_is_away_is_tried_again(core, active, monkeypatch):
    image = active()
    core.layers.database.images.delete(image, pending=True)
    store = core.layers.stores.store_of(image.locations[0]).driver
    now = core.layers.host.now() + datetime.timedelta(hours=1)
    monkeypatch.setattr(core.layers.host, 'now', lambda: now)

    def away(url, *, ctx=None):
        raise contract.Unavailable('no answer')

    with monkeypatch.context() as patched:
        patched.setattr(store, 'delete', away)
        assert core.use_cases.recovery.sweep() == 0

    assert core.use_cases.recovery.sweep() == 1


def test_the_thread_renews_and_sweeps_at_once(core, dead, kept):
    image, _, _ = dead()

    core.start()
    core.use_cases.recovery.close()

    assert kept(image).status == 'queued'


def test_a_sweep_that_dies_before_the_bytes_are_gone_is_finished_by_the_next(
        core, dead, kept, monkeypatch):
    image, store, url = dead()
    with monkeypatch.context() as crash:
        crash.setattr(core.layers.stores, 'discard', _die)
        with pytest.raises(SystemExit):
            core.use_cases.recovery.sweep()
    assert kept(image).status == 'saving'
    assert core.use_cases.recovery.sweep() == 0, 'it may be at work still'
    now = core.layers.host.now() + datetime.timedelta(hours=1)
    monkeypatch.setattr(core.layers.host, 'now', lambda: now)

    assert core.use_cases.recovery.sweep() == 1

    assert kept(image).status == 'queued'
    with pytest.raises(contract.NotFound):
        store.read(url)


def _die(key, *, ctx=None):
    raise SystemExit


def test_a_slow_sweep_does_not_delay_the_renewal_of_leases(core, monkeypatch):
    leases = Leases(core.layers.database, core.layers.host, seconds=0.04)
    slow, renewed = threading.Event(), threading.Event()
    monkeypatch.setattr(core.layers.database.images, 'unfinished', lambda **_: slow.wait() and ())
    monkeypatch.setattr(leases, 'renew', renewed.set)
    recovery = recovery_module.Recovery(dataclasses.replace(core.layers, leases=leases))
    leases._renewal = Periodic(leases.renew, leases.interval, 'renewal')

    recovery.start()
    leases.start()
    renewed.wait(5)
    renewed.clear()

    assert renewed.wait(5), 'the first sweep has not ended yet'
    slow.set()
    recovery.close()
    leases.close()


def test_a_driver_that_fails_does_not_keep_other_images_waiting(core, dead, kept, monkeypatch):
    first, store, _ = dead()
    second, _, _ = dead()
    discard = store.discard

    def broken(key, *, ctx=None):
        if key == first.id:
            raise ZeroDivisionError('a mistake of the driver')
        discard(key)

    monkeypatch.setattr(store, 'discard', broken)

    core.use_cases.recovery.sweep()

    assert kept(second).status == 'queued'


@pytest.fixture
def pending(core, active, monkeypatch):
    """Ids of images whose deletion stopped half way, long ago."""
    images = [active() for _ in range(5)]
    for image in images:
        core.layers.database.images.delete(image, pending=True)
    now = core.layers.host.now() + datetime.timedelta(hours=1)
    monkeypatch.setattr(core.layers.host, 'now', lambda: now)
    return [image.id for image in images]


def test_images_that_cannot_be_finished_do_not_hide_others(core, pending, monkeypatch):
    monkeypatch.setattr(recovery_module, 'PAGE', 2)
    store = core.layers.stores['fast'].driver
    delete = store.delete

    def away(url, *, ctx=None):
        if url.rpartition('/')[2] in pending[:4]:
            raise contract.Unavailable('no answer')
        delete(url)

    monkeypatch.setattr(store, 'delete', away)

    assert [core.use_cases.recovery.sweep() for _ in range(2)] == [1, 0]

    monkeypatch.setattr(store, 'delete', delete)
    assert core.use_cases.recovery.sweep() == 4


def test_a_round_ends_in_time_and_the_next_one_goes_on(core, pending, monkeypatch):
    monkeypatch.setattr(recovery_module, 'PAGE', 2)
    store = core.layers.stores['fast'].driver
    clock, asked = itertools.count(0, 20), []   # each look at it is 20 s later
    monkeypatch.setattr(recovery_module.time, 'monotonic', lambda: next(clock))

    def away(url, *, ctx=None):
        asked.append(url.rpartition('/')[2])
        raise contract.Unavailable('no answer')

    monkeypatch.setattr(store, 'delete', away)

    rounds = []
    for _ in range(4):
        core.use_cases.recovery.sweep()
        rounds.append(list(asked))
        asked.clear()

    assert rounds == [pending[:2], pending[2:4], pending[4:], pending[:2]]
