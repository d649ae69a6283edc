"""``FileWatch`` reports each change of the files once, and checks them rarely."""

import os
import threading

import pytest

from glancelite.support.file_watch import FileWatch


@pytest.fixture
def changes():
    return []


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'file'
    path.write_text('a')
    return path


@pytest.fixture
def watch(tmp_path, file, changes):
    """Watches all files of a folder, without any delay."""
    return FileWatch(lambda: sorted(entry.path for entry in os.scandir(tmp_path)),
                     lambda: changes.append(1), interval=0)


def test_unchanged_files_are_not_reported(watch, changes):
    watch.check()
    watch.check()

    assert changes == []


@pytest.mark.parametrize('change', [
    lambda file: file.write_text('bb'), lambda file: os.utime(file, ns=(1, 1)),
    lambda file: file.unlink(), lambda file: file.with_name('other').touch()],
    ids=['content', 'time', 'removed', 'added'])
def test_a_change_is_reported_once(watch, file, changes, change):
    change(file)

    watch.check()
    watch.check()

    assert changes == [1]


def test_a_file_replaced_by_another_of_the_same_time_and_size_is_a_change(watch, file, changes):
    other = file.parent.parent / f'{file.parent.name}-other'
    other.write_text('b')
    status = file.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(file)

    watch.check()

    assert changes == [1]


def test_existing_files_are_listed(watch, file):
    assert watch.files == (str(file),)

    file.unlink()
    watch.check()

    assert watch.files == ()


def test_files_that_cannot_be_accessed_are_like_missing_files(file, changes):
    watch = FileWatch(lambda: [f'{file}/below', 'x' * 5000], lambda: changes.append(1), interval=0)

    watch.check()

    assert (watch.files, changes) == ((), [])


def test_files_are_checked_once_per_interval_only(changes):
    calls = []
    watch = FileWatch(lambda: calls.append(1) or [], lambda: changes.append(1), interval=60)

    for _ in range(100):
        watch.check()

    assert len(calls) == 1      # at the creation


def test_one_thread_at_a_time_is_called(file):
    running, release = threading.Event(), threading.Event()
    calls = []

    def on_change():
        calls.append(1)
        running.set()
        release.wait(10)

    watch = FileWatch(lambda: [str(file)], on_change, interval=0)
    file.write_text('first')
    thread = threading.Thread(target=watch.check)
    thread.start()
    assert running.wait(10)
    file.write_text('the second')
    watch.check()       # returns at once

    assert calls == [1]
    release.set()
    thread.join()
    watch.check()
    assert calls == [1, 1]


def test_an_error_of_the_callback_does_not_block_later_checks(file):
    def on_change():
        raise ValueError

    watch = FileWatch(lambda: [str(file)], on_change, interval=0)
    for text in ('one', 'three'):
        file.write_text(text)
        with pytest.raises(ValueError):
            watch.check()
