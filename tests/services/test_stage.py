"""Staging the data of an image, for an import that follows."""

import contextlib
import itertools

import pytest

from glancelite import contract
from glancelite.domain import imports as rules
from glancelite.services import stream
from glancelite.testing import service
from tests.services.conftest import Watchable, raising
from tests.services.import_case import begin, staged_data
from tests.services.test_import_crashes import Died, Mortal, _mortal_stores, _Wrapped

DATA = [b'one ', b'two ', b'three']


@pytest.fixture(params=['memory', 'sql'])
def core(tmp_path, request):
    """A service with each kind of database: both keep what a deletion needs."""
    text = service.MEMORY
    if request.param == 'sql':
        text = text.replace('database = memory', 'database = sql\nsync_database = true') + (
            f'[database]\nconnection = sqlite:///{tmp_path}/records.sqlite\n')
    core = service.build(tmp_path, text)
    yield core
    core.close()


@pytest.fixture
def stages(core):
    return core.use_cases.stages


def test_staged_data_makes_an_image_uploading(core, stages, ctx, queued, reread):
    image = stages.receive(ctx, queued().id, iter(DATA))

    assert (image.status, image.size, image.os_hash_value, image.locations) == (
        'uploading', 13, None, ())
    assert rules.is_staged(image.properties)
    assert [b''.join(data) for data in staged_data(core).values()] == [b'one two three']
    assert reread(image) == image


def test_an_image_without_formats_can_be_staged(core, stages, ctx):
    image = core.use_cases.images.create(ctx, core.schema.create({}))

    assert stages.receive(ctx, image.id, iter(DATA)).status == 'uploading'


def test_no_data_at_all_can_be_staged(stages, ctx, queued):
    assert stages.receive(ctx, queued().id, iter([])).size == 0


def test_of_several_stages_one_wins(core, stages, ctx, queued, reread):
    image = queued()
    results = []

    def source():
        yield DATA[0]
        with pytest.raises(contract.Conflict):
            stages.receive(ctx, image.id, iter(DATA))
        results.append('refused')
        yield DATA[1]

    stages.receive(ctx, image.id, source())

    assert (results, reread(image).size, len(staged_data(core))) == (['refused'], 8, 1)


def test_staging_twice_is_refused(stages, ctx, queued):
    image = stages.receive(ctx, queued().id, iter(DATA))

    with pytest.raises(contract.Conflict):
        stages.receive(ctx, image.id, iter(DATA))


def test_others_may_not_stage(core, stages, context, queued):
    with pytest.raises(contract.Forbidden):
        stages.receive(context('other'), queued(visibility='community').id, iter(DATA))
    assert staged_data(core) == {}


@pytest.mark.parametrize('fault', ['source', 'size', 'store'])
def test_after_a_failure_the_image_is_queued_and_nothing_is_left(
        core, stages, ctx, queued, reread, monkeypatch, fault):
    image, size = queued(), None

    def source():
        yield DATA[0]
        if fault == 'source':
            raise ConnectionError
    if fault == 'size':
        size = 3
    with monkeypatch.context() as patch:
        if fault == 'store':
            patch.setattr(core.layers.staging._store.driver, 'write',
                          raising(contract.TooLarge('full')))
        with pytest.raises((contract.Error, ConnectionError)):
            stages.receive(ctx, image.id, source(), size=size)

    assert (reread(image).status, reread(image).size) == ('queued', None)
    assert rules.STAGED not in reread(image).properties
    assert staged_data(core) == {}
    assert stages.receive(ctx, image.id, iter(DATA)).status == 'uploading'


def test_deleting_the_image_ends_the_stage(core, stages, ctx, queued, monkeypatch):
    monkeypatch.setattr(stream, 'CHECK_INTERVAL', 0)
    image = queued()
    sent = []

    def source():
        for number in range(1000):
            if number == 3:
                core.use_cases.images.delete(ctx, image.id)
            sent.append(number)
            yield b'x'

    with pytest.raises(contract.Gone, match='deleted'):
        stages.receive(ctx, image.id, source())

    assert len(sent) < 10
    assert staged_data(core) == {}


@pytest.mark.parametrize('begun', [False, True], ids=['nothing', 'some'])
def test_deleting_the_image_ends_the_stage_of_a_silent_client(core, stages, ctx, queued,
                                                              monkeypatch, begun):
    monkeypatch.setattr(stream, 'CHECK_INTERVAL', 0)
    image = queued()

    def source(look):
        if begun:
            yield DATA[0]
        look()
        core.use_cases.images.delete(ctx, image.id)
        look()
        raise AssertionError

    with pytest.raises(contract.Gone, match='deleted'):
        stages.receive(ctx, image.id, Watchable(source))

    assert staged_data(core) == {}


def test_a_database_that_is_away_does_not_end_a_stage(core, stages, ctx, queued, monkeypatch):
    monkeypatch.setattr(stream, 'CHECK_INTERVAL', 0)
    image = queued()

    def source(look):
        yield DATA[0]
        with monkeypatch.context() as patch:
            patch.setattr(core.layers.database.images, 'get',
                          raising(contract.Unavailable('away')))
            look()
            yield DATA[1]

    assert stages.receive(ctx, image.id, Watchable(source)).size == 8


@pytest.mark.parametrize('written', [True, False])
@pytest.mark.parametrize('failures', [1, 4])
def test_data_is_not_lost_with_the_answer_of_the_database(
        core, stages, ctx, queued, reread, advance, monkeypatch, written, failures):
    image, records, left = queued(), core.layers.database.images, [failures]

    def update(image, changes, *, update=records.update, **named):
        is_record = 'pending": null' in changes.get('properties', {}).get(rules.STAGED, '')
        if (is_record or left[0] < failures) and left[0]:
            if is_record and written:
                update(image, changes, **named)
            left[0] -= 1
            raise contract.Unavailable('away')
        return update(image, changes, **named)

    def get(*args, get=records.get, **named):
        if 0 < left[0] < failures:
            raise contract.Unavailable('away')
        return get(*args, **named)
    monkeypatch.setattr(records, 'update', update)
    monkeypatch.setattr(records, 'get', get)
    if written and failures == 1:
        assert stages.receive(ctx, image.id, iter(DATA)) == reread(image)
    else:
        with pytest.raises(contract.Unavailable):
            stages.receive(ctx, image.id, iter(DATA))
    left[0] = 0
    advance(1000)
    core.use_cases.recovery.sweep()

    assert reread(image).status == ('uploading' if written else 'queued')
    assert [b''.join(data) for data in staged_data(core).values()] == (
        [b'one two three'] if written else [])


def test_a_stage_whose_data_the_recovery_discards_ends(core, stages, ctx, queued, reread, expire,
                                                       monkeypatch):
    monkeypatch.setattr(stream, 'CHECK_INTERVAL', 0)
    image = queued()

    def source(look):
        yield DATA[0]
        expire(image)
        core.use_cases.recovery.sweep()
        look()
        raise AssertionError

    with pytest.raises(contract.Gone):
        stages.receive(ctx, image.id, Watchable(source))

    assert (reread(image).status, staged_data(core)) == ('queued', {})


def test_deleting_a_staged_image_deletes_its_data(core, stages, ctx, queued):
    image = stages.receive(ctx, queued().id, iter(DATA))
    core.use_cases.images.delete(ctx, image.id)

    assert staged_data(core) == {}
    assert list(core.layers.database.images.unfinished(
        now=core.layers.host.now(), deleted_before=core.layers.host.now())) == []


def test_deleting_an_image_deletes_what_is_staged_at_the_same_time(core, stages, ctx, queued,
                                                                   monkeypatch):
    image, records = queued(), core.layers.database.images

    def delete(read, *, delete=records.delete, **named):
        stages.receive(ctx, image.id, iter(DATA))
        return delete(read, **named)
    monkeypatch.setattr(records, 'delete', delete)
    core.use_cases.images.delete(ctx, image.id)

    assert staged_data(core) == {}


def test_the_deletion_is_completed_when_the_staging_area_is_back(
        core, stages, ctx, queued, advance, monkeypatch):
    image = stages.receive(ctx, queued().id, iter(DATA))
    with monkeypatch.context() as patch:
        patch.setattr(core.layers.staging._store.driver, 'delete',
                      raising(contract.Unavailable('away')))
        core.use_cases.images.delete(ctx, image.id)
    assert staged_data(core) != {}
    advance(1000)
    core.use_cases.recovery.sweep()

    assert staged_data(core) == {}


def test_data_that_is_not_imported_in_time_is_discarded(core, stages, ctx, queued, reread,
                                                        advance):
    image = stages.receive(ctx, queued().id, iter(DATA))
    advance(3600)
    core.use_cases.recovery.sweep()
    assert reread(image).status == 'uploading'
    advance(24 * 3600)
    core.use_cases.recovery.sweep()

    assert (reread(image).status, reread(image).size, staged_data(core)) == ('queued', None, {})


def test_the_data_of_another_node_is_left_to_it(core, stages, ctx, queued, reread, advance,
                                                monkeypatch):
    image = stages.receive(ctx, queued().id, iter(DATA))
    monkeypatch.setattr(core.layers.host, 'node', 'another')
    advance(24.5 * 3600)
    core.use_cases.recovery.sweep()
    assert reread(image).status == 'uploading'
    core.use_cases.images.delete(ctx, image.id)
    advance(1000)
    core.use_cases.recovery.sweep()
    assert staged_data(core) != {}

    monkeypatch.undo()
    advance(25 * 3600)
    core.use_cases.recovery.sweep()
    assert staged_data(core) == {}


def test_the_data_of_a_node_that_stays_away_is_given_up(core, stages, ctx, queued, reread, advance,
                                                        monkeypatch):
    staged, deleted = (stages.receive(ctx, queued().id, iter(DATA)) for _ in range(2))
    monkeypatch.setattr(core.layers.host, 'node', 'another')
    core.use_cases.images.delete(ctx, deleted.id)
    advance(26 * 3600)
    core.use_cases.recovery.sweep()

    assert (reread(staged).status, rules.is_staged(reread(staged).properties)) == ('queued', False)
    assert list(core.layers.database.images.unfinished(
        now=core.layers.host.now(), deleted_before=core.layers.host.now())) == []


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
def test_a_stager_that_dies_leaves_nothing(core, ctx, queued, reread, advance, after):
    for at in itertools.count(1):
        image = queued()
        mortal = Mortal(at, after=after)
        database = _Wrapped(mortal, core.layers.database, ())
        database.images = mortal.wrap(core.layers.database.images, ('get', 'update'))
        with _mortal_stores(core, mortal):
            dying = service.exchange(core, database=database)
            with contextlib.suppress(Died, contract.Error):
                dying.use_cases.stages.receive(ctx, image.id, iter(DATA))
        advance(30 * 3600)
        core.use_cases.recovery.sweep()
        where = f'the process died at call {at}'

        assert (reread(image).status, reread(image).lease_until) == ('queued', None), where
        assert rules.STAGED not in reread(image).properties, where
        assert staged_data(core) == {}, where
        if not mortal.dead:
            assert at > 4
            return


@pytest.mark.parametrize('after', [False, True], ids=['before', 'after'])
def test_a_process_that_dies_while_it_deletes_a_staged_image_leaves_nothing(
        core, ctx, queued, advance, after):
    for at in itertools.count(1):
        image = core.use_cases.stages.receive(ctx, queued().id, iter(DATA))
        mortal = Mortal(at, after=after)
        database = _Wrapped(mortal, core.layers.database, ())
        database.images = mortal.wrap(core.layers.database.images,
                                      ('get', 'delete', 'complete_delete'))
        with _mortal_stores(core, mortal):
            dying = service.exchange(core, database=database)
            with contextlib.suppress(Died, contract.Error):
                dying.use_cases.images.delete(ctx, image.id)
        with contextlib.suppress(contract.NotFound):
            core.use_cases.images.delete(ctx, image.id)
        advance(1000)
        core.use_cases.recovery.sweep()

        assert staged_data(core) == {}, f'the process died at call {at}'
        if not mortal.dead:
            return


def test_data_that_is_just_being_discarded_is_not_imported(importing, ctx, staged, reread, advance,
                                                           monkeypatch):
    area, refused = importing.layers.staging, []

    def discard(data, *, discard=area.discard):
        with pytest.raises(contract.Conflict, match='staged') as caught:
            begin(importing, ctx, staged)
        refused.append(caught)
        discard(data)
    monkeypatch.setattr(area, 'discard', discard)
    advance(90000)
    importing.use_cases.recovery.sweep()

    assert (len(refused), reread(staged).status) == (1, 'queued')


def test_data_is_discarded_though_a_lock_without_a_task_is_left(importing, ctx, staged, reread,
                                                                advance):
    importing.layers.database.images.update(
        staged, {'properties': rules.locked(staged.properties, 'gone')})
    advance(90000)
    importing.use_cases.recovery.sweep()

    assert (reread(staged).status, reread(staged).properties) == ('queued', {})
