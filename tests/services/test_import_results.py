"""Data that a step has replaced by a file, which is not durable before a store has it."""

import os
import pathlib
import shutil

import pytest

from glancelite import contract
from glancelite.contract import Step
from glancelite.domain import imports as rules
from glancelite.services.import_options import ImportOptions
from glancelite.services.use_cases import Options
from tests.services.conftest import read_data
from tests.services.import_case import DATA, begin, data_in, run, staged_data, task_of
from tests.services.test_import_failures import failing_once

NEW = DATA.upper()
CHANGED = {'disk_format': 'aki', 'min_disk': 3, 'properties': {'upper': 'yes'}}


class Upper(Step):
    """Replaces the data by a file, and counts how often."""

    runs = 0

    def run(self, job):
        assert job.image.disk_format == 'raw'
        type(self).runs += 1
        with job.local_file() as source, job.new_file() as target:
            pathlib.Path(target).write_bytes(pathlib.Path(source).read_bytes().upper())
            job.replace_by_file(target, **CHANGED)


class Longer(Step):

    def run(self, job):
        with job.new_file() as target:
            pathlib.Path(target).write_bytes(NEW * 2)
            job.replace_by_file(target)


class Looking(Step):
    """Looks at the data in every way, and changes the image."""

    def run(self, job):
        with job.local_file() as path:
            assert pathlib.Path(path).read_bytes() == b''.join(job.read()) == NEW
        assert job.staged_size == len(NEW)
        assert (job.image.disk_format, job.image.properties['upper']) == ('aki', 'yes')
        job.change(min_ram=5, properties={'seen': 'yes'})


class Doubled(Step):

    def run(self, job):
        job.replace(iter([b''.join(job.read()) * 2]), virtual_size=7)


@pytest.fixture
def steps(exchange_importing, make_plugin, tmp_path):
    """Builds the service with steps whose files are in ``tmp_path / 'work'``."""
    Upper.runs = 0
    return lambda *kinds, **named: exchange_importing(
        steps=[make_plugin(kind, name=f'step-{n}') for n, kind in enumerate(kinds)],
        options=Options(
            imports=ImportOptions(retries=3, work_dir=str(tmp_path / 'work'))), **named)


@pytest.fixture
def writes(core, monkeypatch):
    """The keys that are written to the staging area."""
    found, driver = [], core.layers.staging._store.driver

    def write(key, *args, write=driver.write, **named):
        found.append(key)
        return write(key, *args, **named)
    monkeypatch.setattr(driver, 'write', write)
    return found


def check(core, ctx, image, tmp_path, **fields):
    """The image is active and as the steps have left it, and nothing else is left."""
    assert image.status == 'active'
    assert (image.disk_format, image.min_disk) == ('aki', 3)
    assert image.properties['upper'] == 'yes'
    assert {name: getattr(image, name) for name in fields} == fields
    assert staged_data(core) == {}
    assert os.listdir(tmp_path / 'work') == []


def test_one_store_gets_the_file_without_a_copy_in_the_staging_area(
        steps, ctx, staged, reread, tmp_path, writes):
    core = steps(Upper, Looking)
    begin(core, ctx, staged, stores=['cold'])
    run(core)

    image = reread(staged)

    check(core, ctx, image, tmp_path, min_ram=5, size=len(NEW))
    assert image.properties['seen'] == 'yes'
    assert read_data(core, ctx, image) == NEW
    assert writes == []


def test_several_stores_get_the_same_data_from_the_staging_area(steps, ctx, staged, reread,
                                                                tmp_path, writes):
    core = steps(Upper, Looking)
    begin(core, ctx, staged, stores=['fast', 'cold'])
    run(core)

    check(core, ctx, reread(staged), tmp_path, min_ram=5)
    assert [*data_in(core, 'fast').values()] == [*data_in(core, 'cold').values()] == [NEW]
    assert len(writes) == 1


def test_a_later_step_replaces_the_file(steps, ctx, staged, reread, tmp_path):
    core = steps(Upper, Doubled, Doubled)
    begin(core, ctx, staged, stores=['cold'])
    run(core)

    image = reread(staged)

    check(core, ctx, image, tmp_path, virtual_size=7)
    assert read_data(core, ctx, image) == NEW * 4


def test_a_later_file_replaces_the_file(steps, ctx, staged, reread, tmp_path):
    class Lower(Step):
        def run(self, job):
            with job.local_file() as source, job.new_file() as target:
                pathlib.Path(target).write_bytes(pathlib.Path(source).read_bytes().lower())
                job.replace_by_file(target, properties={'lower': 'yes'})

    core = steps(Upper, Lower)
    begin(core, ctx, staged, stores=['cold'])
    run(core)

    image = reread(staged)

    check(core, ctx, image, tmp_path)
    assert image.properties['lower'] == 'yes'
    assert read_data(core, ctx, image) == DATA


def test_the_image_changes_when_the_store_has_the_data(steps, ctx, staged, reread, monkeypatch):
    core, seen = steps(Upper), []
    driver = core.layers.stores['cold'].driver

    def write(key, chunks, *, write=driver.write, **named):
        seen.append(reread(staged))
        return write(key, chunks, **named)
    monkeypatch.setattr(driver, 'write', write)
    begin(core, ctx, staged, stores=['cold'])
    run(core)

    assert [(image.disk_format, image.size) for image in seen] == [('raw', len(NEW))]


def test_the_step_is_not_run_again_if_the_store_is_away(steps, ctx, staged, reread, advance,
                                                        tmp_path, monkeypatch):
    core = steps(Upper, Looking)
    failing_once(core.layers.stores['cold'].driver, contract.Unavailable('away'), monkeypatch)
    begin(core, ctx, staged, stores=['cold'])
    run(core)
    assert [*map(b''.join, staged_data(core).values())] == [NEW]
    assert os.listdir(tmp_path / 'work') == []

    advance(100)
    run(core)

    check(core, ctx, reread(staged), tmp_path, min_ram=5)
    assert read_data(core, ctx, reread(staged)) == NEW
    assert Upper.runs == 1


def test_it_is_run_again_if_the_staging_area_is_away_too(steps, ctx, staged, reread, advance,
                                                         tmp_path, monkeypatch):
    core = steps(Upper)
    for store in core.layers.stores['cold'], core.layers.staging._store:
        failing_once(store.driver, contract.Unavailable('away'), monkeypatch)
    begin(core, ctx, staged, stores=['cold'])
    run(core)
    advance(100)
    run(core)

    check(core, ctx, reread(staged), tmp_path)
    assert Upper.runs == 2


def test_after_a_failure_the_image_and_the_staged_data_are_as_before(
        steps, ctx, staged, reread, tmp_path, monkeypatch):
    core = steps(Upper)
    failing_once(core.layers.stores['cold'].driver, contract.TooLarge('full'), monkeypatch)
    begin(core, ctx, staged, stores=['cold'])
    run(core)

    image = reread(staged)

    assert (image.status, image.disk_format, image.min_disk) == ('uploading', 'raw', 0)
    assert 'upper' not in image.properties
    assert [*map(b''.join, staged_data(core).values())] == [DATA]
    assert os.listdir(tmp_path / 'work') == []

    begin(core, ctx, image, stores=['cold'])
    run(core)
    check(core, ctx, reread(staged), tmp_path)


def test_after_a_failure_the_image_has_the_size_of_the_staged_data(
        steps, ctx, staged, reread, monkeypatch):
    core = steps(Longer)
    failing_once(core.layers.stores['cold'].driver, contract.TooLarge('full'), monkeypatch)
    begin(core, ctx, staged, stores=['cold'])
    run(core)

    assert (reread(staged).status, reread(staged).size) == ('uploading', len(DATA))


def test_the_image_is_as_it_was_written_if_the_answer_of_the_database_is_lost(
        steps, ctx, staged, reread, tmp_path, monkeypatch, writes):
    core = steps(Upper, Longer)
    records, lost = core.layers.database.images, []

    def update(image, changes, *, update=records.update, **named):
        written = update(image, changes, **named)
        if 'locations' in changes and not lost:
            lost.append(written)
            raise contract.Unavailable('away')
        return written
    monkeypatch.setattr(records, 'update', update)
    begin(core, ctx, staged, stores=['cold'])
    run(core)

    check(core, ctx, reread(staged), tmp_path, size=2 * len(NEW))
    assert lost
    assert writes == []


def test_a_file_over_the_quota_ends_the_import(steps, ctx, queued, reread, small_quota,
                                               tmp_path):
    class Long(Step):
        def run(self, job):
            with job.new_file() as target:
                pathlib.Path(target).write_bytes(b'12345')
                job.replace_by_file(target)

    core = steps(Long, quota=small_quota(steps(Long)).layers.quota)
    image = queued()
    core.layers.importers['fetched'].fetch = lambda job: job.append([b'1'])
    task = begin(core, ctx, image, 'fetched', stores=['cold'])
    run(core)

    assert task_of(core, task).message == 'The image is larger than the 4 bytes allowed.'
    assert (reread(image).status, rules.LOCK in reread(image).properties) == ('queued', False)
    assert os.listdir(tmp_path / 'work') == []


def test_a_wrong_change_ends_the_import(steps, ctx, staged, reread, tmp_path):
    class Wrong(Step):
        def run(self, job):
            with job.new_file() as target:
                pathlib.Path(target).write_bytes(b'12345')
                job.replace_by_file(target, properties={'os_glance_lock': 'x'})

    core = steps(Wrong)
    task = begin(core, ctx, staged, stores=['cold'])
    run(core)

    assert task_of(core, task).status == 'failure'
    assert reread(staged).status == 'uploading'
    assert [*map(b''.join, staged_data(core).values())] == [DATA]


def test_an_import_that_ends_leaves_no_file(steps, ctx, staged, tmp_path):
    class Cancelled(Step):
        def run(self, job):
            core.use_cases.tasks.cancel(ctx, task.id)
            core.use_cases.work.renew()
            job.check()

    core = steps(Upper, Cancelled)
    task = begin(core, ctx, staged, stores=['cold'])
    run(core)

    assert task_of(core, task).status == 'failure'
    assert os.listdir(tmp_path / 'work') == []


def test_an_import_that_is_cancelled_while_its_result_is_kept_ends_at_once(
        steps, ctx, staged, reread, tmp_path, monkeypatch):
    core = steps(Upper)
    failing_once(core.layers.stores['cold'].driver, contract.Unavailable('away'), monkeypatch)
    driver = core.layers.staging._store.driver

    def write(key, chunks, *, write=driver.write, **named):
        core.use_cases.tasks.cancel(ctx, task.id)
        core.use_cases.work.renew()
        return write(key, chunks, **named)
    monkeypatch.setattr(driver, 'write', write)
    task = begin(core, ctx, staged, stores=['cold'])
    run(core)

    assert task_of(core, task).status == 'failure'
    assert rules.LOCK not in reread(staged).properties
    assert os.listdir(tmp_path / 'work') == []


def test_the_step_is_run_again_if_its_file_is_gone(steps, ctx, staged, reread, advance,
                                                   tmp_path):
    class Losing(Step):
        def run(self, job):
            if Upper.runs == 1:
                shutil.rmtree(tmp_path / 'work')

    core = steps(Upper, Losing)
    begin(core, ctx, staged, stores=['cold'])
    run(core)
    advance(100)
    run(core)

    check(core, ctx, reread(staged), tmp_path)
    assert Upper.runs == 2
