"""Imports: into several stores, from several methods, and what is refused."""

import hashlib

import pytest

from glancelite import contract
from glancelite.domain import imports as rules
from glancelite.services.imports import Imports
from glancelite.testing import service
from glancelite.testing.fakes import Recorder
from tests.services.conftest import raising, read_data
from tests.services.import_case import (
    DATA,
    Fetched,
    Reversed,
    Waiting,
    begin,
    data_in,
    lists,
    run,
    staged_data,
    task_of,
)


def test_staged_data_is_imported_into_several_stores_from_one_read(
        importing, ctx, staged, reread, monkeypatch):
    reads, area = [], importing.layers.staging
    monkeypatch.setattr(area, 'read', lambda *args, read=area.read, **views: (
        reads.append(1) or read(*args, **views)))
    task = begin(importing, ctx, staged, stores=['fast', 'cold'])
    run(importing)

    image = reread(staged)

    assert (image.status, image.size) == ('active', len(DATA))
    assert image.os_hash_value == hashlib.sha512(DATA).hexdigest()
    assert image.checksum == hashlib.md5(DATA).hexdigest()
    assert {location.store for location in image.locations} == {'fast', 'cold'}
    assert data_in(importing, 'fast') == data_in(importing, 'cold') == {image.id: DATA}
    assert reads == [1]
    assert lists(image) == ('', '', None)
    assert rules.STAGED not in image.properties
    assert staged_data(importing) == {}
    assert task_of(importing, task).status == 'success'
    assert read_data(importing, ctx, image) == DATA


def test_an_image_is_locked_and_importing_until_all_stores_have_the_data(
        importing, ctx, staged, reread, monkeypatch):
    seen = []
    cold = importing.layers.stores['cold'].driver

    def write(key, chunks, *, write=cold.write, **named):
        while not reread(staged).locations:
            pass
        seen.append(reread(staged))
        return write(key, chunks, **named)
    monkeypatch.setattr(cold, 'write', lambda key, chunks, **named: write(
        key, iter(list(chunks)), **named))
    task = begin(importing, ctx, staged, stores=['fast', 'cold'])
    assert lists(reread(staged)) == (None, None, task.id)

    run(importing)

    assert (seen[0].status, lists(seen[0])) == ('importing', ('cold', '', task.id))


def test_data_is_fetched_changed_by_steps_and_stored(exchange_importing, ctx, queued, reread,
                                                     make_plugin):
    core = exchange_importing(steps=[make_plugin(Reversed)])
    image = queued()
    begin(core, ctx, image, 'fetched')
    run(core)

    image = reread(image)

    assert read_data(core, ctx, image) == DATA[::-1]
    assert (image.status, image.min_disk, image.properties['reversed']) == ('active', 3, 'yes')
    assert staged_data(core) == {}


def test_an_active_image_is_copied_into_the_stores_that_lack_it(importing, ctx, admin, reread,
                                                               active):
    image = active()
    assert begin(importing, admin, image, 'copy-image', all_stores=True) is not None
    assert reread(image).status == 'active'
    run(importing)

    assert [location.store for location in reread(image).locations] == ['fast', 'cold']
    assert data_in(importing, 'cold') == {image.id: b'data'}
    assert begin(importing, admin, image, 'copy-image', all_stores=True) is None


def test_a_damaged_image_is_not_copied(importing, admin, active, reread):
    image = active()
    importing.layers.stores['fast'].driver._data[image.id] = (b'date',)
    task = begin(importing, admin, image, 'copy-image', stores=['cold'])
    run(importing)

    assert (reread(image).status, lists(reread(image))) == ('active', ('', 'cold', None))
    assert 'damaged' in task_of(importing, task).message
    assert data_in(importing, 'cold') == {}


def test_a_deleted_image_ends_its_import(importing, ctx, staged, advance):
    task = begin(importing, ctx, staged)
    importing.use_cases.images.delete(ctx, staged.id)
    run(importing)
    advance(1000)
    importing.use_cases.recovery.sweep()

    assert task_of(importing, task).status == 'failure'
    assert staged_data(importing) == data_in(importing, 'fast') == {}


def test_events_tell_of_an_import(importing, ctx, staged):
    recorder = Recorder()
    core = service.exchange(importing, notifiers=[recorder])
    begin(core, ctx, staged)
    run(core)

    assert recorder.types[-3:] == ['image.upload', 'image.activate', 'task.success']
    assert {'task.create', 'task.run', 'task.processing', 'image.prepare'} <= set(recorder.types)


# --- what is refused

@pytest.mark.parametrize(('request_', 'error'), [
    ({'stores': []}, contract.Invalid), ({'stores': ['none']}, contract.Conflict),
    ({'stores': 'fast'}, contract.Conflict), ({'stores': [1]}, contract.Conflict),
    ({'stores': ['fast'], 'all_stores': True}, contract.Invalid),
    ({'header_store': 'fast', 'all_stores': True}, contract.Invalid),
    ({'header_store': 'none'}, contract.Conflict),
    ({'stores': ['fast'], 'header_store': 'fast'}, contract.Invalid)])
def test_a_wrong_choice_of_stores_is_refused(importing, ctx, staged, reread, request_, error):
    with pytest.raises(error):
        begin(importing, ctx, staged, **request_)

    assert lists(reread(staged)) == (None, None, None)


def test_a_store_that_is_named_twice_is_written_once(importing, ctx, staged, reread):
    begin(importing, ctx, staged, stores=['cold', 'cold'])
    run(importing)

    assert [location.store for location in reread(staged).locations] == ['cold']


def test_of_two_imports_one_is_refused(importing, ctx, staged):
    begin(importing, ctx, staged)

    with pytest.raises(contract.Conflict, match='being imported'):
        begin(importing, ctx, staged)


@pytest.mark.parametrize('name', ['glance-direct', 'copy-image'])
def test_an_import_requires_the_right_status(importing, ctx, queued, name):
    with pytest.raises(contract.Conflict, match='queued'):
        begin(importing, ctx, queued(), name)


def test_an_import_requires_the_formats(importing, ctx, core):
    image = core.use_cases.images.create(ctx, core.schema.create({}))

    with pytest.raises(contract.Conflict, match='disk_format'):
        begin(importing, ctx, image, 'fetched')


def test_others_may_not_import(importing, context, queued):
    image = queued(visibility='community')

    with pytest.raises(contract.Forbidden):
        begin(importing, context('other'), image, 'fetched')


def test_a_method_that_needs_the_token_is_not_offered_if_tasks_run_elsewhere(
        importing, exchange_importing, ctx, queued, monkeypatch):
    class Elsewhere(Waiting):
        RUNS_ELSEWHERE = True
    monkeypatch.setattr(Fetched, 'NEEDS_TOKEN', True)
    assert 'fetched' in importing.use_cases.imports.methods

    core = exchange_importing(executor=Elsewhere(None, importing.layers.host))

    assert 'fetched' not in core.use_cases.imports.methods
    with pytest.raises(contract.Invalid, match='Unknown import method'):
        begin(core, ctx, queued(), 'fetched')


def test_a_method_that_does_not_work_is_not_offered(importing, ctx, queued, monkeypatch):
    broken = importing.layers.importers['fetched']
    monkeypatch.setattr(broken, 'health', raising(contract.Unavailable('no program')))

    assert 'fetched' not in importing.use_cases.imports.methods
    with pytest.raises(contract.Invalid, match='Unknown import method'):
        begin(importing, ctx, queued(), 'fetched')


@pytest.mark.parametrize(('work_dir', 'problem'), [
    ('{tmp_path}/new/folder', None), ('{tmp_path}/file', 'is no directory'),
    ('{tmp_path}/file/folder', 'is no directory')])
def test_steps_need_a_directory_for_their_files(exchange_importing, make_plugin, tmp_path,
                                                 work_dir, problem):
    (tmp_path / 'file').touch()
    core = exchange_importing(steps=[make_plugin(Reversed)])
    service = Imports(core.layers, core.use_cases.work,
                      work_dir=work_dir.format(tmp_path=tmp_path))

    if problem is None:
        service.check_staging()
    else:
        with pytest.raises(contract.Unavailable, match=problem):
            service.check_staging()

    assert set(service.methods) == ({'copy-image'} if problem else set(core.layers.importers))
    assert not (tmp_path / 'new').exists()


def test_workers_alone_need_what_imports_need(exchange_importing, make_plugin, monkeypatch,
                                              tmp_path):
    class Elsewhere(Waiting):
        RUNS_ELSEWHERE = True
    (tmp_path / 'file').touch()
    step = make_plugin(Reversed)
    core = exchange_importing(steps=[step], executor=make_plugin(Elsewhere))
    for plugin in (step, core.layers.importers['fetched']):
        monkeypatch.setattr(plugin, 'health', raising(contract.Unavailable('no program')))
    service = Imports(core.layers, core.use_cases.work, work_dir=str(tmp_path / 'file'))

    assert set(service.methods) == set(core.layers.importers)


def test_a_node_that_stages_needs_the_staging_area_wherever_imports_run(
        exchange_importing, make_plugin, monkeypatch):
    class Elsewhere(Waiting):
        RUNS_ELSEWHERE = True
    core = exchange_importing(executor=make_plugin(Elsewhere))
    monkeypatch.setattr(core.layers.staging, 'health', raising(contract.Unavailable('away')))

    assert list(core.use_cases.imports.methods) == ['copy-image']


def test_a_step_that_does_not_work_withdraws_methods_that_stage(exchange_importing, make_plugin,
                                                                monkeypatch, caplog):
    step = make_plugin(Reversed)
    core = exchange_importing(steps=[step])
    monkeypatch.setattr(step, 'health', raising(contract.Unavailable('no program')))

    assert list(core.use_cases.imports.methods) == ['copy-image']
    assert (f'imports that stage data are not offered: the step {step.name} fails: no program'
            in caplog.text)
