"""The suite for databases finds faults that need two processes or a race."""

import dataclasses
import time

import pytest

from glancelite import contract
from glancelite.plugins.database.memory import (
    MemoryDatabase,
    MemoryImages,
    MemoryMetadefs,
    MemoryTasks,
)
from glancelite.plugins.database.sql import engine  # noqa: F401 - cannot be imported twice
from glancelite.testing import conformance
from glancelite.testing.contracts.database.values import clear
from glancelite.testing.subject import Settings, Subject


class ForgetsUndeclared(MemoryDatabase):
    VOLATILE = False


class _Exchanged(MemoryDatabase):
    """Has another class of image records on the same data."""

    IMAGES: type[MemoryImages]

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._images.__class__ = self.IMAGES


class CompletesLiveImages(_Exchanged):
    class IMAGES(MemoryImages):
        def complete_delete(self, image):
            try:
                self.delete(image, pending=False)
            except contract.NotFound:
                super().complete_delete(image)


class ReadsBeforeItWrites(_Exchanged):
    class IMAGES(MemoryImages):
        def update(self, image, changes, *, status=None):
            present = self.get(image.id, viewer=None)
            if present.revision != image.revision:
                raise contract.Conflict('changed', status=present.status,
                                        revision=present.revision)
            time.sleep(0.005)   # a write at this moment is lost
            while True:
                try:
                    return super().update(present, changes, status=status)
                except contract.Conflict as lost:
                    if lost.details['revision'] == present.revision:
                        raise
                    present = dataclasses.replace(present, revision=lost.details['revision'])


class _ExchangedTasks(MemoryDatabase):
    """Has another class of task records on the same data."""

    TASKS: type[MemoryTasks]

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._tasks.__class__ = self.TASKS


class ClaimsWhatOthersClaim(_ExchangedTasks):
    class TASKS(MemoryTasks):
        def claim(self, *, task_id=None, **named):
            before = dict(self._records.tasks)
            found = super().claim(task_id=task_id, **named)
            if found is not None:   # another process sees the task as it was
                self._records.tasks[found.id] = before[found.id]
                time.sleep(0.005)
                self._records.tasks[found.id] = found
            return found


class ForgetsTheFence(_ExchangedTasks):
    class TASKS(MemoryTasks):
        def update(self, task, changes, **options):
            return super().update(self.get(task.id), changes, **options)


class _ExchangedMetadefs(MemoryDatabase):
    """Has another class of metadata definitions on the same data."""

    METADEFS: type[MemoryMetadefs]

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._metadefs.__class__ = self.METADEFS


class KeepsHalfADefinition(_ExchangedMetadefs):
    class METADEFS(MemoryMetadefs):
        def add(self, definition, *, seeded=False):
            super().add(contract.Definition(definition.namespace), seeded=seeded)
            return self.merge(definition, prefer_new=True, seeded=seeded)


class LooksBeforeItAddsItems(_ExchangedMetadefs):
    class METADEFS(MemoryMetadefs):
        def add_items(self, namespace, items, *, replace=False):
            known = list(self.items(namespace, items[0].KIND))
            for item in items:
                if item.name in {each.name for each in known} and not replace:
                    raise contract.Conflict(f'{item.KIND}: {item.name} already exists')
            time.sleep(0.005)   # what others add at this moment is lost
            kept = [] if replace else known
            added = super().add_items(namespace, [*kept, *items], replace=True)
            return added[len(kept):]


class ForgetsTheProtection(_ExchangedMetadefs):
    class METADEFS(MemoryMetadefs):
        def remove_items(self, namespace, kind):
            with self._records.lock:
                self.update(self.get(namespace), {'protected': False})
                return super().remove_items(namespace, kind)


BAD = {
    KeepsHalfADefinition: 'nothing_is_left_of_a_definition_that_has_an_item_twice',
    LooksBeforeItAddsItems: 'of_many_who_add_an_item_one_does',
    ForgetsTheProtection: 'nothing_of_a_protected_namespace_is_removed',
    ForgetsUndeclared: 'another_instance_has_the_same_images_unless_it_is_volatile',
    CompletesLiveImages: 'only_pending_deletes_are_completed',
    ReadsBeforeItWrites: 'one_of_many_writers_wins',
    ClaimsWhatOthersClaim: 'one_of_many_claims_a_task',
    ForgetsTheFence: 'a_process_that_lost_its_task_changes_nothing',
}
SUITE = '''
import pytest
from glancelite.testing.contracts import DatabaseContract
from tests.testing.test_database_contract import {kind}


class TestDatabase(DatabaseContract):

    @pytest.fixture
    def database(self, make_plugin):
        return make_plugin({kind})
'''


pytest_plugins = ['pytester']


@pytest.fixture
def run(pytester):
    """Runs pytest in this process; returns its ``RunResult``."""
    return lambda *arguments: pytester.runpytest_inprocess(
        '-q', '--tb=no', '-p', 'no:cacheprovider', '-p', 'no:hypothesispytest', *arguments)


@pytest.mark.parametrize('kind', BAD, ids=lambda kind: kind.__name__)
def test_a_bad_database_is_found(pytester, run, kind):
    pytester.makepyfile(test_suite=SUITE.format(kind=kind.__name__))

    ended = run('-k', BAD[kind])

    assert ended.ret == pytest.ExitCode.TESTS_FAILED
    assert f'FAILED test_suite.py::TestDatabase::test_{BAD[kind]}' in ended.stdout.str()


def test_a_database_that_all_tests_share_must_be_empty_and_is_left_empty(run, tmp_path):
    config = tmp_path / 'shared.conf'
    config.write_text(f'[database]\nconnection = sqlite:///{tmp_path}/shared.sqlite\n')
    command = ['--pyargs', conformance.__name__, '--layer', 'database', '--driver', 'sql',
               '--config', str(config), '-k', 'members_come or dead_server or empty or exactly']

    assert [run(*command).ret for _ in range(2)] == [0, 0]

    settings = Settings(layer='database', driver='sql', config=str(config))
    subject = Subject(settings)
    with subject.instance() as database:
        database.images.add(contract.Image('of-another-service'))
    refused = run(*command)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert 'there are images, tasks or metadata definitions in' in refused.stderr.str()
    with subject.instance() as database:
        clear(database)
        database.tasks.add(contract.Task('of-another-service', 'import'))
    assert run(*command).ret == pytest.ExitCode.USAGE_ERROR
    with subject.instance() as database:
        clear(database)
        database.metadefs.add(contract.Definition(contract.Namespace('of-another-service')))
    assert run(*command).ret == pytest.ExitCode.USAGE_ERROR
