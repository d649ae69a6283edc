"""Uploads and downloads: all or nothing, whatever happens on the way."""

import contextlib
import dataclasses
import datetime
import hashlib
import threading

import pytest

from glancelite import contract
from glancelite.domain import patch
from glancelite.services.chains import QuotaChain
from glancelite.testing import service
from glancelite.testing.fakes import ClientWentAway, broken_source


def stored(core, image, name='fast'):
    """The bytes under the image's key, None if there are none."""
    store = core.layers.stores[name].driver
    try:
        return b''.join(store.read(f'memory://{name}/{image.key}'))
    except contract.NotFound:
        return None


def body(core, ctx, image, **wanted):
    found = core.use_cases.downloads.open(ctx, image.id, **wanted)
    return b''.join(found.chunks)


def test_what_was_uploaded_is_active_with_its_size_and_hashes(core, ctx, queued, kept):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'one', b'two']), size=6)

    assert (image.status, image.size) == ('active', 6)
    assert image.checksum == hashlib.md5(b'onetwo').hexdigest()
    assert image.os_hash_algo == 'sha512'
    assert image.os_hash_value == hashlib.sha512(b'onetwo').hexdigest()
    assert image.lease_until is None
    assert kept(image) == image
    assert body(core, ctx, image) == b'onetwo'


def test_an_image_may_be_empty(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([]), size=0)

    assert (image.status, image.size) == ('active', 0)
    assert body(core, ctx, image) == b''


def test_the_size_need_not_be_announced(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))

    assert (image.status, image.size) == ('active', 4)


def test_the_location_names_the_store_that_was_asked_for(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']), store='cold')

    assert [location.store for location in image.locations] == ['cold']


def test_a_store_that_is_unknown_is_refused_before_anything_changes(core, ctx, queued, kept):
    image = queued()

    with pytest.raises(contract.Invalid):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']), store='nowhere')

    assert kept(image) == image


@pytest.mark.parametrize(('chunks', 'size'), [([b'four'], 3), ([b'four'], 5), ([], 1)])
def test_more_or_less_than_announced_leaves_a_queued_image(core, ctx, queued, chunks, size, kept):
    image = queued()

    with pytest.raises(contract.Invalid):
        core.use_cases.uploads.receive(ctx, image.id, iter(chunks), size=size)

    assert (kept(image).status, kept(image).size) == ('queued', None)
    assert core.use_cases.downloads.open(ctx, image.id) is None


def test_a_client_that_goes_away_leaves_a_queued_image_to_be_tried_again(core, ctx, queued, kept):
    image = queued()
    with pytest.raises(ClientWentAway):
        core.use_cases.uploads.receive(ctx, image.id, broken_source(b'some'), size=8)
    assert kept(image).status == 'queued'
    assert kept(image).checksum is None

    again = core.use_cases.uploads.receive(ctx, image.id, iter([b'complete']), size=8)

    assert again.status == 'active'
    assert body(core, ctx, again) == b'complete'


def test_formats_must_be_set(core, ctx):
    image = core.use_cases.images.create(ctx, core.schema.create({}))

    with pytest.raises(contract.Invalid):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))


def test_an_image_takes_data_once(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'first']))

    with pytest.raises(contract.Conflict):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'second']))

    assert body(core, ctx, image) == b'first'


def test_one_of_two_uploaders_at_once_wins(core, ctx, queued, kept):
    image, outcomes = queued(), []
    barrier = threading.Barrier(2)

    def upload(data):
        barrier.wait()
        try:
            outcomes.append(core.use_cases.uploads.receive(ctx, image.id, iter([data])).checksum)
        except contract.Conflict:
            outcomes.append(None)

    threads = [threading.Thread(target=upload, args=(data,)) for data in (b'one', b'two')]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count(None) == 1
    assert kept(image).checksum in outcomes


def test_the_image_may_be_deleted_while_its_data_arrive(core, ctx, queued):
    image = queued()

    def source():
        yield b'some'
        core.use_cases.images.delete(ctx, image.id)
        yield b'more'

    with pytest.raises(contract.Gone):
        core.use_cases.uploads.receive(ctx, image.id, source())

    assert stored(core, image) is None


def test_the_image_may_be_changed_while_its_data_arrive(core, ctx, queued):
    image = queued()
    operations = patch.parse([{'op': 'replace', 'path': '/name', 'value': 'new'}],
                             patch.DRAFT_10, core.schema.validate_attribute)

    def source():
        yield b'some'
        core.use_cases.images.update(ctx, image.id, operations)
        yield b'more'

    uploaded = core.use_cases.uploads.receive(ctx, image.id, source())

    assert (uploaded.status, uploaded.name) == ('active', 'new')


def test_the_image_may_be_changed_just_when_its_upload_begins(core, ctx, queued, monkeypatch):
    image = queued()
    records = core.layers.database.images
    update, tagged = records.update, []

    def late(stale, changes, *, status=None):
        if changes.get('status') == 'saving' and not tagged:
            tagged.append(update(stale, {'tags': ('new',)}))
        return update(stale, changes, status=status)

    monkeypatch.setattr(records, 'update', late)

    uploaded = core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert (uploaded.status, uploaded.tags) == ('active', ('new',))


def test_a_quota_is_exact_though_uploads_race(core, ctx, queued, kept):
    class FiveBytesEach(contract.QuotaEnforcer):
        """A project may hold 25 bytes."""

        def __init__(self):
            super().__init__(None, core.layers.host)

        def check(self, ctx, request):
            if request.action != 'upload_image':
                return None
            used = self.host.usage(request.project).bytes
            if used > 25:
                raise contract.QuotaExceeded('full')
            return 25 - used + (request.bytes or 0)

    limited = service.exchange(core, quota=QuotaChain([FiveBytesEach()]))
    images = [queued() for _ in range(20)]
    barrier, accepted = threading.Barrier(20), []

    def upload(number):
        barrier.wait()
        size = 5 if number % 2 else None
        with contextlib.suppress(contract.QuotaExceeded):
            accepted.append(
                limited.use_cases.uploads.receive(
                    ctx, images[number].id, iter([b'12345']), size=size
                )
            )

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(accepted) <= 5
    assert core.layers.database.images.usage('owner').bytes == 5 * len(accepted)
    assert {kept(image).status for image in images} <= {'active', 'queued'}


def test_a_limit_stops_a_stream_of_unknown_length(core, ctx, queued, kept):
    class FourBytes(contract.QuotaEnforcer):

        def check(self, ctx, request):
            return 4

    limited = service.exchange(core, quota=QuotaChain([FourBytes(None, None)]))
    image, pulled = queued(), []

    def source():
        for _ in range(100):
            pulled.append(1)
            yield b'123'

    with pytest.raises(contract.QuotaExceeded):
        limited.use_cases.uploads.receive(ctx, image.id, source())

    assert len(pulled) == 2
    assert kept(image).status == 'queued'


@pytest.mark.parametrize('stays', [False, True])
def test_the_step_back_of_a_failed_upload_is_told_once(watched, ctx, queued, kept, monkeypatch,
                                                       stays):
    """``stays``: so do the bytes, since their store does not answer."""
    core, told = watched
    image = queued()
    if stays:
        monkeypatch.setattr(core.layers.stores['fast'].driver, 'delete', _does_not_answer)
    monkeypatch.setattr(core.layers.quota, 'check', _refuse_the_second_time(iter([None])))

    with pytest.raises(contract.QuotaExceeded):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert (kept(image).status, kept(image).attempt) == ('queued', int(stays))
    assert told() == ['saving', 'queued']


@pytest.mark.parametrize(('away', 'statuses'), [
    (False, ['saving', 'queued']), (True, ['saving'])])
def test_the_step_back_from_an_activation_is_told_if_it_was_made(watched, ctx, queued,
                                                                 interrupted, away, statuses):
    core, told = watched
    image = queued()
    interrupted(done=False, away=away)

    with pytest.raises(contract.Unavailable):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert told() == statuses


def test_bytes_that_cannot_be_taken_back_do_not_block_the_next_upload(
        core, ctx, queued, kept, monkeypatch):
    image, store = queued(), core.layers.stores['fast'].driver
    with monkeypatch.context() as failing:
        failing.setattr(store, 'delete', _does_not_answer)
        failing.setattr(core.layers.quota, 'check', _refuse_the_second_time(iter([None])))
        with pytest.raises(contract.QuotaExceeded):
            core.use_cases.uploads.receive(ctx, image.id, iter([b'first']))

    assert (kept(image).status, kept(image).size) == ('queued', None)
    again = core.use_cases.uploads.receive(ctx, image.id, iter([b'second']))
    assert b''.join(core.use_cases.downloads.open(ctx, image.id).chunks) == b'second'
    core.use_cases.images.delete(ctx, image.id)
    later = core.layers.host.now() + datetime.timedelta(hours=1)
    monkeypatch.setattr(core.layers.host, 'now', lambda: later)
    core.use_cases.recovery.sweep()
    for url in again.locations[0].url, again.locations[0].url.replace(again.key, image.id):
        with pytest.raises(contract.NotFound):
            store.read(url)


def _does_not_answer(url, *, ctx=None):
    raise contract.Unavailable('not now')


def _refuse_the_second_time(answers):
    def check(ctx, request):
        try:
            return next(answers)
        except StopIteration:
            raise contract.QuotaExceeded('too much') from None
    return check


def test_an_upload_that_was_taken_for_dead_cannot_harm_its_successor(core, ctx, queued, kept):
    image = queued()
    images = core.layers.database.images

    def paused():
        yield b'zombie'
        stale = images.get(image.id, viewer=None)
        images.update(stale, {'lease_until': stale.created_at})
        assert core.use_cases.recovery.sweep() == 1
        core.use_cases.uploads.receive(ctx, image.id, iter([b'successor']))

    with pytest.raises(contract.Gone):
        core.use_cases.uploads.receive(ctx, image.id, paused())

    survivor = kept(image)
    assert (survivor.status, survivor.attempt) == ('active', 1)
    assert body(core, ctx, survivor) == b'successor'
    assert stored(core, dataclasses.replace(survivor, attempt=0)) is None


class Interrupted:
    """The records of images, whose answer to the activation gets lost."""

    def __init__(self, records, *, done, away=False):
        self._records = records
        self._done = done
        self._away = away
        self._lost = False

    def __getattr__(self, name):
        return getattr(self._records, name)

    def update(self, image, changes, *, status=None):
        if self._lost and self._away:
            raise contract.Unavailable('no answer')
        if changes.get('status') != 'active':
            return self._records.update(image, changes, status=status)
        self._lost = True
        if self._done:
            self._records.update(image, changes, status=status)
        raise contract.Unavailable('no answer')


@pytest.fixture
def interrupted(core, monkeypatch):
    """Makes the database lose one answer."""
    def make(**how):
        database = core.layers.database
        monkeypatch.setattr(database, '_images', Interrupted(database.images, **how))
    return make


def test_an_activation_whose_answer_gets_lost_keeps_its_bytes(core, ctx, queued, interrupted):
    image = queued()
    interrupted(done=True)

    uploaded = core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert uploaded.status == 'active'
    assert body(core, ctx, image) == b'data'


def test_an_activation_that_was_not_done_leaves_a_queued_image(core, ctx, queued, kept,
                                                               interrupted):
    image = queued()
    interrupted(done=False)

    with pytest.raises(contract.Unavailable):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert kept(image).status == 'queued'
    assert stored(core, image) is None


@pytest.mark.parametrize('done', [True, False])
def test_while_nobody_knows_whose_the_bytes_are_they_stay(core, ctx, queued, interrupted, done):
    image = queued()
    interrupted(done=done, away=True)

    with pytest.raises(contract.Unavailable):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert stored(core, image) == b'data'


def test_a_part_can_be_downloaded(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'0123456789']))

    found = core.use_cases.downloads.open(ctx, image.id, range_header='bytes=2-4')

    assert (found.offset, found.length, found.partial) == (2, 3, True)
    assert b''.join(found.chunks) == b'234'


@pytest.mark.parametrize('header', ['bytes=10-', 'bytes=5-4', 'lines=1-2'])
def test_a_part_outside_the_image_is_refused(core, ctx, queued, header):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'0123456789']))

    with pytest.raises(contract.RangeNotSatisfiable) as refusal:
        core.use_cases.downloads.open(ctx, image.id, range_header=header)

    assert refusal.value.size == 10


def test_an_image_without_data_has_nothing_to_download(core, ctx, queued):
    assert core.use_cases.downloads.open(ctx, queued().id) is None


def test_bytes_that_are_missing_in_the_store_are_no_data(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))
    core.layers.stores.delete(image.locations[0])

    assert core.use_cases.downloads.open(ctx, image.id) is None


def test_a_deactivated_image_is_for_administrators_only(core, ctx, context, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))
    core.use_cases.images.deactivate(ctx, image.id)

    with pytest.raises(contract.Forbidden):
        core.use_cases.downloads.open(ctx, image.id)

    admin = context('other', roles=['admin'], is_admin=True)
    assert body(core, admin, image) == b'data'


def test_a_lease_is_renewed_while_the_upload_lasts(core, ctx, queued, kept):
    image, leases = queued(), []

    def source():
        yield b'some'
        past = kept(image)
        core.layers.database.images.update(
            past, {'lease_until': past.created_at - datetime.timedelta(days=1)})
        core.layers.leases.renew()
        leases.append(kept(image).lease_until)
        yield b'more'

    core.use_cases.uploads.receive(ctx, image.id, source())

    assert leases[0] > core.layers.host.now()


def test_who_finds_no_room_among_others_makes_room_and_asks_again(core, ctx, queued, kept,
                                                                  no_room, monkeypatch):
    records = core.layers.database.images
    other = records.update(queued(), {'status': 'saving', 'size': 3})
    image, promises = queued(), []

    def wait(seconds):
        promises.append(kept(image).size)
        if len(promises) == 2:  # the other one is refused, or goes away
            records.update(other, {'status': 'queued', 'size': None})
    monkeypatch.setattr('glancelite.services.upload.time.sleep', wait)

    assert (
        no_room(core).use_cases.uploads.receive(ctx, image.id, iter([b'1234']), size=4).status
        == 'active'
    )
    assert promises == [None, None]


def test_nobody_waits_for_room_that_others_do_not_hold(core, ctx, queued, active, no_room,
                                                       monkeypatch):
    active()
    monkeypatch.setattr('glancelite.services.upload.time.sleep', pytest.fail)

    with pytest.raises(contract.QuotaExceeded):
        no_room(core).use_cases.uploads.receive(ctx, queued().id, iter([b'1']), size=1)
