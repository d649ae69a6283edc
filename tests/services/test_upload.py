"""Uploads: complete or without effect, whatever fails."""

import contextlib
import dataclasses
import hashlib
import threading

import pytest

from glancelite import contract
from glancelite.domain import patch
from glancelite.services import stream
from glancelite.services.chains import QuotaChain
from glancelite.testing import service
from glancelite.testing.fakes import ClientWentAway, broken_source
from tests.services.conftest import Watchable, raising, read_data


def stored_data(core, image, name='fast'):
    """Return the data under the key of the image, None if there is none."""
    store = core.layers.stores[name].driver
    try:
        return b''.join(store.read(f'memory://{name}/{image.key}'))
    except contract.NotFound:
        return None


def test_an_uploaded_image_is_active_and_has_size_and_hashes(core, ctx, queued, reread):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'one', b'two']), size=6)

    assert (image.status, image.size) == ('active', 6)
    assert image.checksum == hashlib.md5(b'onetwo').hexdigest()
    assert image.os_hash_algo == 'sha512'
    assert image.os_hash_value == hashlib.sha512(b'onetwo').hexdigest()
    assert image.lease_until is None
    assert reread(image) == image
    assert read_data(core, ctx, image) == b'onetwo'


def test_an_image_may_be_empty(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([]), size=0)

    assert (image.status, image.size) == ('active', 0)
    assert read_data(core, ctx, image) == b''


def test_the_size_need_not_be_announced(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))

    assert (image.status, image.size) == ('active', 4)


def test_the_location_names_the_requested_store(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']), store='cold')

    assert [location.store for location in image.locations] == ['cold']


def test_an_unknown_store_is_refused_before_anything_changes(core, ctx, queued, reread):
    image = queued()

    with pytest.raises(contract.Invalid):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']), store='nowhere')

    assert reread(image) == image


@pytest.mark.parametrize(('chunks', 'size'), [([b'four'], 3), ([b'four'], 5), ([], 1)])
def test_a_wrong_number_of_bytes_leaves_the_image_queued(core, ctx, queued, chunks, size, reread):
    image = queued()

    with pytest.raises(contract.Invalid):
        core.use_cases.uploads.receive(ctx, image.id, iter(chunks), size=size)

    assert (reread(image).status, reread(image).size) == ('queued', None)
    assert core.use_cases.downloads.open(ctx, image.id) is None


def test_a_lost_connection_leaves_a_queued_image_for_another_try(core, ctx, queued, reread):
    image = queued()
    with pytest.raises(ClientWentAway):
        core.use_cases.uploads.receive(ctx, image.id, broken_source(b'some'), size=8)
    assert reread(image).status == 'queued'
    assert reread(image).checksum is None

    again = core.use_cases.uploads.receive(ctx, image.id, iter([b'complete']), size=8)

    assert again.status == 'active'
    assert read_data(core, ctx, again) == b'complete'


def test_an_upload_requires_the_formats_of_the_image(core, ctx):
    image = core.use_cases.images.create(ctx, core.schema.create({}))

    with pytest.raises(contract.Invalid):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))


def test_an_image_accepts_data_only_once(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'first']))

    with pytest.raises(contract.Conflict):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'second']))

    assert read_data(core, ctx, image) == b'first'


def test_only_one_of_two_concurrent_uploads_succeeds(core, ctx, queued, reread):
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
    assert reread(image).checksum in outcomes


def test_an_image_may_be_deleted_during_its_upload(core, ctx, queued):
    image = queued()

    def source():
        yield b'some'
        core.use_cases.images.delete(ctx, image.id)
        yield b'more'

    with pytest.raises(contract.Gone):
        core.use_cases.uploads.receive(ctx, image.id, source())

    assert stored_data(core, image) is None


@pytest.mark.parametrize('begun', [False, True], ids=['nothing', 'some'])
def test_deleting_the_image_ends_the_upload_of_a_silent_client(core, ctx, queued, monkeypatch,
                                                               begun):
    monkeypatch.setattr(stream, 'CHECK_INTERVAL', 0)
    image = queued()

    def source(look):
        if begun:
            yield b'some'
        look()
        core.use_cases.images.delete(ctx, image.id)
        look()
        raise AssertionError

    with pytest.raises(contract.Gone, match='deleted'):
        core.use_cases.uploads.receive(ctx, image.id, Watchable(source))

    assert core.layers.stores['fast'].driver.health() == '0 objects, 0 bytes'


def test_deleting_the_image_ends_the_upload_of_a_client_that_sends(core, ctx, queued,
                                                                   monkeypatch):
    monkeypatch.setattr(stream, 'CHECK_INTERVAL', 0)
    image, sent = queued(), []

    def source():
        for number in range(1000):
            if number == 3:
                core.use_cases.images.delete(ctx, image.id)
            sent.append(number)
            yield b'x'

    with pytest.raises(contract.Gone):
        core.use_cases.uploads.receive(ctx, image.id, source())

    assert len(sent) < 10
    assert core.layers.stores['fast'].driver.health() == '0 objects, 0 bytes'


def test_a_database_that_is_away_does_not_end_an_upload(core, ctx, queued, monkeypatch):
    monkeypatch.setattr(stream, 'CHECK_INTERVAL', 0)
    image = queued()

    def source(look):
        yield b'some'
        with monkeypatch.context() as patch:
            patch.setattr(core.layers.database.images, 'get',
                          raising(contract.Unavailable('away')))
            look()
            yield b'more'

    assert core.use_cases.uploads.receive(ctx, image.id, Watchable(source)).size == 8


def test_an_upload_that_the_recovery_has_taken_over_ends(core, ctx, queued, reread, expire,
                                                         monkeypatch):
    monkeypatch.setattr(stream, 'CHECK_INTERVAL', 0)
    image = queued()

    def source(look):
        yield b'some'
        expire(image)
        core.use_cases.recovery.sweep()
        core.use_cases.uploads.receive(ctx, image.id, iter([b'other']))
        look()
        raise AssertionError

    with pytest.raises(contract.Gone):
        core.use_cases.uploads.receive(ctx, image.id, Watchable(source))

    assert read_data(core, ctx, reread(image)) == b'other'
    assert core.layers.stores['fast'].driver.health() == '1 objects, 5 bytes'


def test_an_image_may_be_changed_during_its_upload(core, ctx, queued):
    image = queued()
    operations = patch.parse([{'op': 'replace', 'path': '/name', 'value': 'new'}],
                             patch.DRAFT_10, core.schema.validate_attribute)

    def source():
        yield b'some'
        core.use_cases.images.update(ctx, image.id, operations)
        yield b'more'

    uploaded = core.use_cases.uploads.receive(ctx, image.id, source())

    assert (uploaded.status, uploaded.name) == ('active', 'new')


def test_an_image_may_be_changed_while_its_upload_starts(core, ctx, queued, monkeypatch):
    image = queued()
    records = core.layers.database.images
    update, tagged = records.update, []

    def change_tags_first(stale, changes, *, status=None):
        if changes.get('status') == 'saving' and not tagged:
            tagged.append(update(stale, {'tags': ('new',)}))
        return update(stale, changes, status=status)

    monkeypatch.setattr(records, 'update', change_tags_first)

    uploaded = core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert (uploaded.status, uploaded.tags) == ('active', ('new',))


def test_concurrent_uploads_never_exceed_the_quota(core, ctx, queued, reread):
    class TwentyFiveBytes(contract.QuotaEnforcer):
        """Each project may have 25 bytes."""

        def __init__(self):
            super().__init__(None, core.layers.host)

        def check(self, ctx, request):
            if request.action != 'upload_image':
                return None
            used = self.host.usage(request.project).bytes
            if used > 25:
                raise contract.QuotaExceeded('full')
            return 25 - used + (request.bytes or 0)

    limited = service.exchange(core, quota=QuotaChain([TwentyFiveBytes()]))
    images = [queued() for _ in range(20)]
    barrier, accepted = threading.Barrier(20), []

    def upload(number):
        barrier.wait()
        size = 5 if number % 2 else None
        with contextlib.suppress(contract.QuotaExceeded):
            accepted.append(limited.use_cases.uploads.receive(
                ctx, images[number].id, iter([b'12345']), size=size))

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(accepted) <= 5
    assert core.layers.database.images.usage('owner').bytes == 5 * len(accepted)
    assert {reread(image).status for image in images} <= {'active', 'queued'}


def test_a_limit_stops_an_upload_of_unknown_size(core, ctx, queued, reread):
    class FourBytes(contract.QuotaEnforcer):

        def check(self, ctx, request):
            return 4

    limited = service.exchange(core, quota=QuotaChain([FourBytes(None, None)]))
    image, chunks_read = queued(), []

    def source():
        for _ in range(100):
            chunks_read.append(1)
            yield b'123'

    with pytest.raises(contract.QuotaExceeded):
        limited.use_cases.uploads.receive(ctx, image.id, source())

    assert len(chunks_read) == 2
    assert reread(image).status == 'queued'


@pytest.mark.parametrize('data_stays', [False, True])
def test_a_failed_upload_reports_once_that_the_image_is_queued(
        observed, ctx, queued, reread, monkeypatch, data_stays):
    """:param data_stays: True if the store does not answer when it is to discard the data."""
    core, statuses = observed
    image = queued()
    if data_stays:
        monkeypatch.setattr(core.layers.stores['fast'].driver, 'discard',
                            raising(contract.Unavailable('not now')))
    monkeypatch.setattr(core.layers.quota, 'check', _refuse_after(None))

    with pytest.raises(contract.QuotaExceeded):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert (reread(image).status, reread(image).attempt) == ('queued', int(data_stays))
    assert statuses() == ['saving', 'queued']


@pytest.mark.parametrize(('then_unavailable', 'expected'), [
    (False, ['saving', 'queued']), (True, ['saving'])])
def test_a_failed_activation_reports_queued_only_if_it_was_written(
        observed, ctx, queued, lose_answer, then_unavailable, expected):
    core, statuses = observed
    image = queued()
    lose_answer(written=False, then_unavailable=then_unavailable)

    with pytest.raises(contract.Unavailable):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert statuses() == expected


def test_data_that_cannot_be_discarded_does_not_block_the_next_upload(
        core, ctx, queued, reread, advance, monkeypatch):
    image, store = queued(), core.layers.stores['fast'].driver
    with monkeypatch.context() as failing:
        failing.setattr(store, 'discard', raising(contract.Unavailable('not now')))
        failing.setattr(core.layers.quota, 'check', _refuse_after(None))
        with pytest.raises(contract.QuotaExceeded):
            core.use_cases.uploads.receive(ctx, image.id, iter([b'first']))

    assert (reread(image).status, reread(image).size) == ('queued', None)
    again = core.use_cases.uploads.receive(ctx, image.id, iter([b'second']))
    assert read_data(core, ctx, image) == b'second'
    core.use_cases.images.delete(ctx, image.id)
    advance(3600)
    core.use_cases.recovery.sweep()
    for url in again.locations[0].url, again.locations[0].url.replace(again.key, image.id):
        with pytest.raises(contract.NotFound):
            store.read(url)


def _refuse_after(*answers):
    """Return a check of a quota that gives these answers and then refuses."""
    remaining = list(answers)

    def check(ctx, request):
        if not remaining:
            raise contract.QuotaExceeded('too much')
        return remaining.pop(0)
    return check


def test_an_upload_regarded_as_abandoned_cannot_change_the_next_one(core, ctx, queued, reread):
    image = queued()
    images = core.layers.database.images

    def paused():
        yield b'first'
        stale = images.get(image.id, viewer=None)
        images.update(stale, {'lease_until': stale.created_at})
        assert core.use_cases.recovery.sweep() == 1
        core.use_cases.uploads.receive(ctx, image.id, iter([b'second']))

    with pytest.raises(contract.Gone):
        core.use_cases.uploads.receive(ctx, image.id, paused())

    present = reread(image)
    assert (present.status, present.attempt) == ('active', 1)
    assert read_data(core, ctx, present) == b'second'
    assert stored_data(core, dataclasses.replace(present, attempt=0)) is None


class LosingRecords:
    """Records of images that lose the answer to an activation.

    :param written: True if the activation is written all the same.
    :param then_unavailable: True if the database does not answer any more after that.
    """

    def __init__(self, records, *, written, then_unavailable=False):
        self._records = records
        self._written = written
        self._then_unavailable = then_unavailable
        self._lost = False

    def __getattr__(self, name):
        return getattr(self._records, name)

    def update(self, image, changes, *, status=None):
        if self._lost and self._then_unavailable:
            raise contract.Unavailable('no answer')
        if changes.get('status') != 'active':
            return self._records.update(image, changes, status=status)
        self._lost = True
        if self._written:
            self._records.update(image, changes, status=status)
        raise contract.Unavailable('no answer')


@pytest.fixture
def lose_answer(core, monkeypatch):
    """Let the database lose the answer to the next activation."""
    def replace(**how):
        database = core.layers.database
        monkeypatch.setattr(database, '_images', LosingRecords(database.images, **how))
    return replace


def test_an_activation_whose_answer_is_lost_keeps_the_data(core, ctx, queued, lose_answer):
    image = queued()
    lose_answer(written=True)

    uploaded = core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert uploaded.status == 'active'
    assert read_data(core, ctx, image) == b'data'


def test_an_activation_that_was_not_written_leaves_a_queued_image(
        core, ctx, queued, reread, lose_answer):
    image = queued()
    lose_answer(written=False)

    with pytest.raises(contract.Unavailable):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert reread(image).status == 'queued'
    assert stored_data(core, image) is None


@pytest.mark.parametrize('written', [True, False])
def test_data_stays_while_the_outcome_of_the_activation_is_unknown(
        core, ctx, queued, lose_answer, written):
    image = queued()
    lose_answer(written=written, then_unavailable=True)

    with pytest.raises(contract.Unavailable):
        core.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    assert stored_data(core, image) == b'data'


def test_an_upload_over_quota_waits_for_others(core, ctx, queued, reread, small_quota,
                                               monkeypatch):
    records = core.layers.database.images
    other = records.update(queued(), {'status': 'saving', 'size': 3})
    image, announced_sizes = queued(), []

    def wait(seconds):
        announced_sizes.append(reread(image).size)
        if len(announced_sizes) == 2:  # the other upload ends
            records.update(other, {'status': 'queued', 'size': None})
    monkeypatch.setattr('glancelite.services.upload.time.sleep', wait)

    uploaded = small_quota(core).use_cases.uploads.receive(
        ctx, image.id, iter([b'1234']), size=4)

    assert uploaded.status == 'active'
    assert announced_sizes == [None, None]


def test_an_upload_does_not_wait_if_no_other_one_is_pending(core, ctx, queued, active,
                                                            small_quota, monkeypatch):
    active()
    monkeypatch.setattr('glancelite.services.upload.time.sleep', pytest.fail)

    with pytest.raises(contract.QuotaExceeded):
        small_quota(core).use_cases.uploads.receive(ctx, queued().id, iter([b'1']), size=1)
