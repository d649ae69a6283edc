"""The secrets of a request are kept no longer than the import can be tried again."""

import pytest

from glancelite import contract
from glancelite.contract import TaskQuery
from tests.services.conftest import raising
from tests.services.import_case import DATA, Fetched, begin, run, task_of


class Secret(Fetched):
    """Fails until ``repaired``."""

    SECRETS = frozenset({'password'})
    repaired = False

    def check(self, ctx, image, method):
        return {'uri': 'http://host/', 'password': 'hush'}

    def fetch(self, job):
        if not self.repaired:
            raise contract.Invalid('The server answers 404.')
        assert job.arguments['password'] == 'hush'
        super().fetch(job)


@pytest.fixture
def importing(exchange_importing, make_plugin):
    return exchange_importing(importers={
        'secret': make_plugin(Secret), 'fetched': make_plugin(Fetched)})


@pytest.fixture
def failed(importing, ctx, queued):
    """A failed task."""
    task = begin(importing, ctx, queued(), 'secret')
    run(importing)
    failed = task_of(importing, task)
    assert failed.status == 'failure'
    return failed


def kept(core, task):
    """Whether the record of a task has its secrets; the rest of it stays."""
    present = task_of(core, task)
    assert present.journal['arguments']['uri'] == 'http://host/'
    return 'hush' in str(present)


def test_a_failed_import_can_be_tried_again_with_its_secrets(importing, ctx, failed, reread):
    assert kept(importing, failed)
    importing.layers.importers['secret'].repaired = True

    importing.use_cases.tasks.retry(ctx, failed.id)
    run(importing)

    image = importing.layers.database.images.get(failed.image_id, viewer=None)
    assert (image.status, image.size) == ('active', len(DATA))
    assert 'hush' not in str(task_of(importing, failed))


def test_the_deletion_of_an_image_removes_them(importing, ctx, failed):
    importing.use_cases.images.delete(ctx, failed.image_id)

    assert not kept(importing, failed)
    assert task_of(importing, failed).message == failed.message


def test_the_deletion_of_an_image_that_is_imported_removes_them(importing, ctx, queued):
    task = begin(importing, ctx, queued(), 'secret')
    importing.use_cases.images.delete(ctx, task.image_id)
    assert kept(importing, task)
    run(importing)

    assert task_of(importing, task).status == 'failure'
    assert not kept(importing, task)


def test_a_deletion_while_the_import_fails_removes_them(importing, ctx, queued, monkeypatch):
    task = begin(importing, ctx, queued(), 'secret')

    def fetch(job):
        importing.use_cases.images.delete(ctx, task.image_id)
        raise contract.Invalid('The server answers 404.')
    monkeypatch.setattr(importing.layers.importers['secret'], 'fetch', fetch)
    run(importing)

    assert task_of(importing, task).status == 'failure'
    assert not kept(importing, task)


def test_a_cancelled_import_forgets_them_and_is_not_tried_again(importing, ctx, queued):
    task = begin(importing, ctx, queued(), 'secret')
    importing.use_cases.tasks.cancel(ctx, task.id)
    run(importing)

    assert not kept(importing, task)
    with pytest.raises(contract.Conflict, match='are not kept any more'):
        importing.use_cases.tasks.retry(ctx, task.id)


def test_an_image_that_has_its_data_needs_them_no_more(importing, ctx, failed, reread):
    image = importing.layers.database.images.get(failed.image_id, viewer=None)

    begin(importing, ctx, image, 'fetched')
    run(importing)

    assert reread(image).status == 'active'
    assert not kept(importing, failed)


@pytest.mark.parametrize('call', ['list', 'redact'])
def test_a_deletion_succeeds_if_they_cannot_be_removed(importing, ctx, failed, monkeypatch,
                                                       caplog, call):
    monkeypatch.setattr(importing.layers.database.tasks, call,
                        raising(contract.Unavailable('away')))

    importing.use_cases.images.delete(ctx, failed.image_id)

    with pytest.raises(contract.NotFound):
        importing.layers.database.images.get(failed.image_id, viewer=None)
    assert 'expire' in caplog.text


def test_an_import_without_secrets_is_tried_again_after_it_was_cancelled(importing, ctx, queued):
    task = begin(importing, ctx, queued(), 'fetched')
    importing.use_cases.tasks.cancel(ctx, task.id)
    run(importing)

    importing.use_cases.tasks.retry(ctx, task.id)
    run(importing)

    assert task_of(importing, task).status == 'success'
    assert importing.layers.database.tasks.list(TaskQuery(
        importing.layers.host.now(), types=('api_image_import',),
        equal={'status': 'failure'})).items == ()
