"""Images that Glance has locked or staged, and then left."""

import pytest

from glancelite import contract
from glancelite.contract import Task
from glancelite.domain import imports as rules
from glancelite.services.imports import ImportRequest
from glancelite.testing import service
from tests.services.conftest import raising, read_data

TASK = 'c2a4b0d6-0f5f-4f0e-9d2c-1f4c3b0f7a11'
WEB = {'name': 'web-download', 'uri': 'http://192.0.2.1/image'}
DIRECT = {'name': 'glance-direct'}


@pytest.fixture
def folder(tmp_path):
    """The staging area."""
    folder = tmp_path / 'staging'
    folder.mkdir()
    return folder


@pytest.fixture
def core(tmp_path, folder):
    core = service.build(tmp_path, service.MEMORY.replace(
        'driver = memory', f'driver = file\nfilesystem_store_datadir = {folder}'))
    yield core
    core.close()


@pytest.fixture
def locked(core, queued):
    """An image that a task of Glance has locked."""
    def make(status):
        if status is not None:
            core.layers.database.tasks.add(Task(TASK, 'api_image_import', status=status))
        return core.layers.database.images.update(
            queued(), {'properties': {rules.LOCK: TASK, rules.FAILED: 'fast'}})
    return make


@pytest.mark.parametrize(('status', 'minutes'), [
    ('processing', 61), ('pending', 121), ('failure', 0), ('success', 0), (None, 2)])
def test_a_lock_that_glance_has_left_is_broken(core, ctx, locked, advance, reread, status,
                                               minutes):
    image = locked(status)
    advance(60 * minutes)

    task = core.use_cases.imports.begin(ctx, image.id, ImportRequest(WEB))

    assert rules.lock_of(reread(image).properties) == task.id


@pytest.mark.parametrize(('status', 'minutes'), [
    ('processing', 59), ('pending', 119), (None, 0)])
def test_a_lock_that_glance_may_still_use_is_kept(core, ctx, locked, advance, reread, status,
                                                  minutes):
    image = locked(status)
    advance(60 * minutes)

    with pytest.raises(contract.Conflict, match=TASK):
        core.use_cases.imports.begin(ctx, image.id, ImportRequest(WEB))

    assert rules.lock_of(reread(image).properties) == TASK


# --- staged data

@pytest.fixture
def staged(core, queued, folder):
    """An image for which Glance has staged a file of 4 bytes."""
    def make(size=4):
        image = core.layers.database.images.update(queued(), {
            'status': 'uploading', 'size': size,
            'properties': {rules.STAGE_HOST: 'http://glance-1.example:9292', 'other': '1'}})
        (folder / image.id).write_bytes(b'data')
        return image
    return make


def begin(core, ctx, image):
    return core.use_cases.imports.begin(ctx, image.id, ImportRequest(DIRECT))


def test_a_staged_file_is_imported_and_removed(core, ctx, staged, folder, reread):
    image = staged()

    task = begin(core, ctx, image)
    assert core.use_cases.work.run(task.id)

    image = reread(image)
    assert (image.status, read_data(core, ctx, image)) == ('active', b'data')
    assert image.properties == {'other': '1', rules.TO_STORES: '', rules.FAILED: ''}
    assert task.node == core.layers.host.node
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize('size', [5, None])
def test_a_file_that_glance_has_not_completed_is_refused(core, ctx, staged, reread, folder,
                                                         size):
    image = staged(size)

    with pytest.raises(contract.Conflict, match=r'not on this node\. Delete the image'):
        begin(core, ctx, image)

    assert reread(image) == image
    assert (folder / image.id).exists()


def test_the_file_is_removed_with_the_image(core, ctx, staged, folder):
    core.use_cases.images.delete(ctx, staged().id)

    assert list(folder.iterdir()) == []


def test_an_image_is_deleted_while_the_staging_area_cannot_be_used(core, ctx, staged,
                                                                   monkeypatch):
    image = staged()
    monkeypatch.setattr(core.layers.staging._store, 'reader', raising(contract.Unavailable('')))

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.layers.database.images.get(image.id, viewer=None)


def test_a_staging_area_without_directories_has_nothing_of_glance(tmp_path, ctx):
    core = service.build(tmp_path)

    assert core.layers.staging.of_glance(TASK) is None

    core.close()
