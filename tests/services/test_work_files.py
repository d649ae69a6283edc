"""Working files of imports are removed, also those of processes that have died."""

import os
import signal
import subprocess
import sys
import time

import pytest

from glancelite.services import work_files
from glancelite.services.import_options import ImportOptions
from glancelite.services.use_cases import Options
from glancelite.services.work_files import PREFIX, WorkFiles
from glancelite.testing import service
from tests.services.conftest import read_data
from tests.services.import_case import begin, run

#: a process that has a folder until it is killed
PROCESS = """
import sys
from glancelite.services.work_files import WorkFiles

with WorkFiles(sys.argv[1]).folder('task') as folder:
    open(f'{folder}/data', 'w').close()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def files(tmp_path):
    return WorkFiles(str(tmp_path / 'work'))


@pytest.fixture
def process(tmp_path):
    """A process that has a folder, and this folder, which is old."""
    with subprocess.Popen([sys.executable, '-c', PROCESS, tmp_path / 'work'], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        folder = started.stdout.readline().strip()
        os.utime(folder, (0, 0))
        yield started, folder
        started.kill()


def test_a_folder_is_removed_in_the_end(files, tmp_path):
    with files.folder('task') as folder:
        assert os.path.dirname(folder) == str(tmp_path / 'work')
        assert os.path.basename(folder).startswith(f'{PREFIX}task-')

    assert os.listdir(tmp_path / 'work') == []


def test_the_folder_of_a_process_that_lives_stays(files, process):
    _, folder = process

    files.clean()

    assert os.listdir(folder) != []


def test_the_folder_of_a_process_that_was_killed_is_removed(files, process, tmp_path):
    started, folder = process
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert os.path.exists(folder)

    files.clean()

    assert os.listdir(tmp_path / 'work') == []


def test_a_process_looks_once_a_minute(files, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(work_files.time, 'monotonic', lambda: now[0])
    folder = tmp_path / 'work' / f'{PREFIX}task-1'
    found = []
    for now[0] in (1000.0, 1059.0, 1061.0):
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder, (0, 0))
        files.clean()
        found.append(folder.exists())

    assert found == [False, True, False]


def test_the_process_that_takes_a_task_over_removes_the_folder(files, process, tmp_path):
    started, folder = process
    files.clean()
    started.send_signal(signal.SIGKILL)
    started.wait()
    death = time.time() - 30        # seconds of a lease
    os.utime(folder, (death, death))

    files.clean(now=True)

    assert os.listdir(tmp_path / 'work') == []


def test_a_new_folder_that_has_no_lock_yet_stays(files, tmp_path):
    new = tmp_path / 'work' / f'{PREFIX}task-1'
    new.mkdir(parents=True)

    files.clean()

    assert new.exists()


def test_nothing_else_is_removed(files, tmp_path):
    kept = tmp_path / 'work' / 'glancelite-other'
    (kept / 'folder').mkdir(parents=True)
    link = tmp_path / 'work' / f'{PREFIX}link'
    link.symlink_to(kept)
    for path in kept, link:
        os.utime(path, (0, 0), follow_symlinks=False)

    files.clean()

    assert sorted(os.listdir(tmp_path / 'work')) == sorted([kept.name, link.name])
    assert (kept / 'folder').exists()


def test_a_missing_directory_has_nothing_to_clean(files, tmp_path):
    files.clean()

    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('moment', ['start', 'import'])
def test_a_node_removes_what_its_processes_have_left(importing, ctx, staged, tmp_path, moment):
    left = tmp_path / 'work' / f'{PREFIX}task-1'
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    core = service.exchange(importing, options=Options(
        imports=ImportOptions(work_dir=str(tmp_path / 'work'))))

    if moment == 'start':
        core.start()
        core.use_cases.close()
    else:
        begin(core, ctx, staged)
        run(core)
        assert read_data(core, ctx, staged)

    assert not left.exists()
