"""The suite for databases finds what only two processes, or a race, would notice."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import time

import pytest

from glancelite import contract
from glancelite.plugins.database.memory import MemoryDatabase, MemoryImages
from glancelite.testing.subject import Subject, Wishes


class ForgetsUndeclared(MemoryDatabase):
    VOLATILE = False


class _Exchanged(MemoryDatabase):
    """Has other image records on the same data."""

    IMAGES: type[MemoryImages]

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._images.__class__ = self.IMAGES


class FinishesWhatLives(_Exchanged):
    class IMAGES(MemoryImages):
        def complete_delete(self, image):
            try:
                self.delete(image, pending=False)
            except contract.NotFound:
                super().complete_delete(image)


class LooksBeforeItWrites(_Exchanged):
    class IMAGES(MemoryImages):
        def update(self, image, changes, *, status=None):
            present = self.get(image.id, viewer=None)
            if present.revision != image.revision:
                raise contract.Conflict('changed', status=present.status,
                                        revision=present.revision)
            time.sleep(0.005)   # somebody writes just here, and is overwritten
            while True:
                try:
                    return super().update(present, changes, status=status)
                except contract.Conflict as lost:
                    if lost.details['revision'] == present.revision:
                        raise
                    present = dataclasses.replace(present, revision=lost.details['revision'])


BAD = {
    ForgetsUndeclared: 'another_process_has_the_same_unless_it_is_volatile',
    FinishesWhatLives: 'only_what_is_pending_is_finished',
    LooksBeforeItWrites: 'one_of_many_writers_wins',
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


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '--tb=no', '-p', 'no:cacheprovider', *arguments],
        env={**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[2])}, cwd=folder,
        text=True, capture_output=True)


@pytest.mark.parametrize('kind', BAD, ids=lambda kind: kind.__name__)
def test_a_bad_database_is_found(tmp_path, kind):
    (tmp_path / 'test_suite.py').write_text(SUITE.format(kind=kind.__name__))

    found = run(tmp_path, '-k', BAD[kind])

    assert found.returncode == 1
    assert f'FAILED test_suite.py::TestDatabase::test_{BAD[kind]}' in found.stdout


def test_a_database_that_all_tests_share_is_proved_and_left_empty_or_refused(tmp_path):
    config = tmp_path / 'shared.conf'
    config.write_text(f'[database]\nconnection = sqlite:///{tmp_path}/shared.sqlite\n')
    command = ['--pyargs', 'glancelite.testing.conformance', '--layer', 'database',
               '--driver', 'sql', '--config', str(config)]

    some = [*command, '-k', 'order or dead_server or empty or exactly']
    assert [run(tmp_path, *some).returncode for _ in range(2)] == [0, 0]

    wishes = Wishes(layer='database', driver='sql', config=str(config))
    with Subject(wishes).living() as database:
        database.images.add(contract.Image('of-somebody'))
    refused = run(tmp_path, *some)
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert 'there are images in this database' in refused.stderr
