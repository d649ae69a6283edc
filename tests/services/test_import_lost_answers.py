"""Imports whose process is frozen, or gets no answer to what it has written."""

import threading

import pytest

from glancelite import contract
from glancelite.services.import_options import ImportOptions
from glancelite.services.use_cases import Options
from glancelite.services.work import CLOSING
from glancelite.testing import service
from glancelite.testing.fakes import Recorder
from tests.services.conftest import raising, read_data
from tests.services.import_case import DATA, begin, data_in, run, staged_data, task_of


def test_a_process_that_was_frozen_changes_nothing_any_more(importing, ctx, staged, reread,
                                                           advance, monkeypatch):
    frozen, go_on = threading.Event(), threading.Event()
    driver = importing.layers.stores['fast'].driver
    original = driver.write

    def write(key, chunks, **named):
        result = original(key, iter(list(chunks)), **named)
        if not frozen.is_set():
            frozen.set()
            assert go_on.wait(10)
        return result
    monkeypatch.setattr(driver, 'write', write)
    task = begin(importing, ctx, staged)
    zombie = threading.Thread(target=importing.use_cases.work.run)
    zombie.start()
    assert frozen.wait(10)
    advance(100)
    other = service.exchange(importing, options=Options())
    run(other)
    done = reread(staged)
    assert done.status == 'active'
    go_on.set()
    zombie.join(10)

    assert reread(staged) == done
    assert list(data_in(importing, 'fast').values()) == [DATA]
    assert (task_of(importing, task).status, task_of(importing, task).attempt) == ('success', 2)
    assert read_data(importing, ctx, done) == DATA


def losing_answers(importing, monkeypatch, then):
    """Let the database write the first location, and not answer; ``then`` is called before."""
    records, lost = importing.layers.database.images, []

    def update(image, changes, *, update=records.update, **named):
        written = update(image, changes, **named)
        if 'locations' in changes and not lost:
            lost.append(written)
            then()
            raise contract.Unavailable('away')
        return written
    monkeypatch.setattr(records, 'update', update)
    return lost


@pytest.mark.parametrize('stores', [['fast'], ['fast', 'cold']])
def test_data_stays_whose_location_was_written_by_a_process_that_is_cut_off(
        importing, ctx, staged, reread, advance, monkeypatch, stores):
    def take_over():
        advance(100)
        run(service.exchange(importing, options=Options()))
        assert reread(staged).status == 'active'
    lost = losing_answers(importing, monkeypatch, take_over)
    task = begin(importing, ctx, staged, stores=stores)
    run(importing)

    done = reread(staged)
    assert lost
    assert (done.status, task_of(importing, task).status) == ('active', 'success')
    assert [list(data_in(importing, name).values()) for name in stores] == [[DATA]] * len(stores)
    assert read_data(importing, ctx, done) == DATA


def test_data_stays_whose_location_was_written_by_a_process_that_ends(
        importing, ctx, staged, reread, advance, monkeypatch):
    def end():
        for claim in importing.use_cases.work._claims.values():
            claim.ending = CLOSING
    assert losing_answers(importing, monkeypatch, end) == []
    begin(importing, ctx, staged)
    importing.use_cases.work.run()
    advance(100)
    run(service.exchange(importing, options=Options()))

    assert reread(staged).status == 'active'
    assert read_data(importing, ctx, reread(staged)) == DATA


@pytest.mark.parametrize('retries', [1, 3])
@pytest.mark.parametrize('all_must_succeed', [True, False])
def test_data_stays_if_the_quota_is_not_known_after_its_location_was_written(
        exchange_importing, ctx, staged, reread, advance, monkeypatch, retries,
        all_must_succeed):
    importing = exchange_importing(options=Options(imports=ImportOptions(retries=retries)))
    quota, away = importing.layers.quota, []

    def check(ctx, request, check=quota.check):
        if len(request.image.active_locations) == 2 and not away:
            away.append(request)
            raise contract.Unavailable('away')
        return check(ctx, request)
    monkeypatch.setattr(quota, 'check', check)
    begin(importing, ctx, staged, stores=['fast', 'cold'],
          all_stores_must_succeed=all_must_succeed)
    run(importing)
    advance(100)
    run(importing)

    image = reread(staged)
    assert away
    assert image.status == ('uploading' if retries == 1 and all_must_succeed else 'active')
    stored = [*data_in(importing, 'fast').values(), *data_in(importing, 'cold').values()]
    assert stored == [DATA] * len(image.locations)


@pytest.mark.parametrize('is_away', [False, True])
def test_events_tell_of_an_import_whose_last_write_was_not_answered(
        importing, ctx, staged, reread, advance, monkeypatch, is_away):
    recorder = Recorder()
    core = service.exchange(importing, notifiers=[recorder])
    records, lost = core.layers.database.images, []

    def update(image, changes, *, update=records.update, **named):
        written = update(image, changes, **named)
        if changes.get('status') == 'active' and not lost:
            lost.append(written)
            raise contract.Unavailable('away')
        return written
    monkeypatch.setattr(records, 'update', update)
    task = begin(core, ctx, staged)
    run(core)
    assert lost
    assert task_of(core, task).status == 'processing'
    with monkeypatch.context() as patch:
        if is_away:
            patch.setattr(core.layers.staging._store.driver, 'delete',
                          raising(contract.Unavailable('away')))
        advance(100)
        run(core)
    advance(100)
    run(core)

    assert (reread(staged).status, task_of(core, task).status) == ('active', 'success')
    assert recorder.types[-3:] == ['image.upload', 'image.activate', 'task.success']
    assert recorder.types.count('image.activate') == 1
    assert staged_data(core) == {}
