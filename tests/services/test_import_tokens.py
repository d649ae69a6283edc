"""Imports that need the token of the caller run in the process that has it."""

import pytest

from glancelite import contract
from glancelite.domain import imports as rules
from glancelite.services.import_options import ImportOptions
from glancelite.services.use_cases import Options
from glancelite.testing import service
from tests.services.conftest import raising, read_data
from tests.services.import_case import (
    DATA,
    Fetched,
    Waiting,
    begin,
    run,
    staged_data,
    task_of,
)


class WithToken(Fetched):
    """Fetches ``CONTENT``; ``before`` is called first."""

    NEEDS_TOKEN = True
    before = staticmethod(lambda: None)

    def fetch(self, job):
        if not job.ctx.token:
            raise contract.Conflict('no token')
        self.before()
        super().fetch(job)


@pytest.fixture
def importer(make_plugin):
    return make_plugin(WithToken)


@pytest.fixture
def processes(core, importer, make_plugin):
    """Two processes of one service."""
    return [service.exchange(
        core, importers={'with-token': importer}, executor=make_plugin(Waiting), steps=(),
        options=Options(imports=ImportOptions(retries=3, retry_pause=0.01)))
        for _ in range(2)]


@pytest.fixture
def caller(context):
    return context('owner', token='secret')


@pytest.fixture
def accepted(processes, caller, queued):
    """An image whose import the first process has accepted, and its task."""
    image = queued()
    return image, begin(processes[0], caller, image, 'with-token')


def test_no_other_process_claims_an_import_that_needs_the_token(
        core, ctx, processes, accepted, reread):
    first, second = processes
    image, task = accepted
    assert (task.status, task.attempt, task.node) == ('processing', 1, None)
    assert [each.id for each in first.use_cases.work.waiting()] == [task.id]
    assert second.use_cases.work.run() is False
    assert second.use_cases.work.run(task.id) is False

    assert first.use_cases.work.run() is True

    assert (task_of(core, task).status, reread(image).status) == ('success', 'active')
    assert read_data(first, ctx, image) == DATA
    assert first.use_cases.work.run() is False
    assert list(first.use_cases.work.waiting()) == []


def test_the_lease_of_an_accepted_import_is_renewed(core, processes, accepted, advance):
    first, second = processes
    for _ in range(3):
        advance(20)
        first.use_cases.work.renew()
        assert second.use_cases.work.run() is False

    run(first)

    assert task_of(core, accepted[1]).status == 'success'


@pytest.mark.parametrize('end', ['closed', 'killed'])
def test_without_its_process_the_import_ends_with_a_reason(
        core, processes, accepted, advance, reread, end):
    first, second = processes
    image, task = accepted
    if end == 'closed':
        first.use_cases.work.close()
    else:
        advance(100)
    run(second)

    assert (task_of(core, task).status, task_of(core, task).message) == ('failure', 'no token')
    assert reread(image).status == 'queued'
    run(first)      # it changes nothing any more
    assert task_of(core, task).attempt == 2
    assert (reread(image).status, staged_data(core)) == ('queued', {})


def test_an_import_whose_process_died_before_it_claimed_it_ends_with_a_reason(
        core, processes, caller, queued, advance, reread, monkeypatch):
    first, second = processes
    image = queued()
    with monkeypatch.context() as patch:
        patch.setattr(first.use_cases.work, 'claim', raising(KeyboardInterrupt))
        patch.setattr(first.use_cases.imports, '_unlock', lambda *args: None)
        with pytest.raises(KeyboardInterrupt):
            begin(first, caller, image, 'with-token')
    task_id = rules.lock_of(reread(image).properties)
    assert second.use_cases.work.run() is False
    second.use_cases.recovery.sweep_parts()
    assert second.use_cases.work.run() is False

    advance(100)
    second.use_cases.recovery.sweep_parts()
    run(second)

    task = core.layers.database.tasks.get(task_id)
    assert (task.status, task.message) == ('failure', 'no token')
    assert (reread(image).status, rules.lock_of(reread(image).properties)) == ('queued', None)


def test_the_same_process_tries_it_again(core, processes, accepted, importer):
    first, second = processes
    failures = [contract.Unavailable('away'), contract.Unavailable('away')]

    def before():
        assert second.use_cases.work.run() is False
        if failures:
            raise failures.pop()
    importer.before = before

    assert first.use_cases.work.run() is True

    task = task_of(core, accepted[1])
    assert (task.status, task.message, task.attempt) == ('success', '', 1)
    assert failures == []


def test_a_server_that_stays_away_ends_the_import(core, processes, accepted, importer, reread):
    calls = []

    def before():
        calls.append(1)
        raise contract.Unavailable('away')
    importer.before = before

    run(processes[0])

    assert len(calls) == 3
    assert (task_of(core, accepted[1]).status, task_of(core, accepted[1]).message) == (
        'failure', 'away')
    assert reread(accepted[0]).status == 'queued'


def test_a_cancelled_import_ends_while_it_waits_for_another_try(
        core, caller, processes, queued, importer):
    patient = service.exchange(processes[0], options=Options(imports=ImportOptions(
        retry_pause=3600)))
    task = begin(patient, caller, queued(), 'with-token')

    def before():
        patient.use_cases.tasks.cancel(caller, task.id)
        patient.use_cases.work.renew()
        raise contract.Unavailable('away')
    importer.before = before

    run(patient)

    assert task_of(core, task).message == 'The task was cancelled.'


def test_a_failed_import_is_retried_with_the_token_of_the_new_caller(
        core, caller, processes, accepted, importer, reread):
    first, second = processes
    image, task = accepted

    def before():
        raise contract.Invalid('wrong')
    importer.before = before
    run(first)
    assert task_of(core, task).status == 'failure'
    importer.before = WithToken.before

    second.use_cases.tasks.retry(caller, task.id)

    assert first.use_cases.work.run() is False
    run(second)
    assert (task_of(core, task).status, reread(image).status) == ('success', 'active')
