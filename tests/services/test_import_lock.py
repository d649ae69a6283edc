"""The lock of an image: what it refuses, and when it is broken."""

import pytest

from glancelite import contract
from glancelite.domain import imports as rules
from tests.services.import_case import CONTENT, DATA, begin, lists, run, task_of


@pytest.fixture
def forgotten(importing, queued):
    """A queued image that was locked by a process which died before it recorded the task."""
    image = queued()
    return importing.layers.database.images.update(
        image, {'properties': rules.locked(image.properties, 'gone')})


def test_of_two_imports_at_once_the_second_is_refused(importing, ctx, queued, reread, monkeypatch):
    image, tasks, tasks_at_once = queued(), importing.layers.database.tasks, []

    def add(*args, add=tasks.add_and_update):
        monkeypatch.undo()
        tasks_at_once.append(begin(importing, ctx, image, 'fetched'))
        return add(*args)
    monkeypatch.setattr(tasks, 'add_and_update', add)
    with pytest.raises(contract.Conflict, match='being imported'):
        begin(importing, ctx, image, 'fetched')
    task, = tasks_at_once
    run(importing)

    assert (reread(image).status, task_of(importing, task).status) == ('active', 'success')


def test_an_image_that_waits_for_its_import_gets_no_other_data(
        importing, adopting_core, existing_url, ctx, admin, queued, reread):
    image, use_cases = queued(), importing.use_cases
    begin(importing, ctx, image, 'fetched')
    locked = reread(image)
    for way in (lambda: use_cases.uploads.receive(ctx, image.id, iter([b'other'])),
                lambda: use_cases.stages.receive(ctx, image.id, iter([b'other'])),
                lambda: use_cases.locations.add(admin, image.id, existing_url)):
        with pytest.raises(contract.Conflict, match='being imported'):
            way()
    assert reread(image) == locked

    run(importing)

    assert (reread(image).status, reread(image).size) == ('active', len(DATA))


def test_a_lock_without_a_task_is_broken_after_a_minute(importing, ctx, forgotten, reread,
                                                        advance):
    with pytest.raises(contract.Conflict, match='being imported'):
        begin(importing, ctx, forgotten, 'fetched')
    advance(61)
    begin(importing, ctx, forgotten, 'fetched')
    run(importing)

    assert reread(forgotten).status == 'active'


def test_data_is_staged_after_a_broken_lock(importing, ctx, forgotten, reread, advance):
    advance(61)
    importing.use_cases.stages.receive(ctx, forgotten.id, iter(CONTENT))

    assert (reread(forgotten).status, lists(reread(forgotten))[2]) == ('uploading', None)


def test_data_is_uploaded_after_a_broken_lock(importing, ctx, forgotten, reread, advance):
    advance(61)
    importing.use_cases.uploads.receive(ctx, forgotten.id, iter(CONTENT))

    assert (reread(forgotten).status, lists(reread(forgotten))[2]) == ('active', None)
