"""The store ``file`` loses no data and leaves no files when something fails."""

import errno
import fcntl
import os
import resource
import stat
import subprocess
import sys
import textwrap

import pytest

from glancelite import contract
from glancelite.plugins.store.file import partial_file
from glancelite.plugins.store.file import store as file_module
from glancelite.testing.fakes import broken_source

MIB = 1 << 20
#: a program that writes an image, and prints a line in the middle of it
WRITER = textwrap.dedent('''
    import sys
    from glancelite.loader import Options
    from glancelite.plugins.store.file import FileStore
    from glancelite.testing.fakes import FakeHost

    def source():
        yield b'x' * 100_000
        print('writing', flush=True)
        sys.stdin.readline()
        yield b'y'

    store = FileStore(Options.of(FileStore, filesystem_store_datadir=sys.argv[1]), FakeHost())
    print(store.write('slow', source()).url, flush=True)
''')


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def start_writer(tmp_path):
    """Start a writer in another process; return the process."""
    running = []

    def start():
        process = subprocess.Popen([sys.executable, '-c', WRITER, str(tmp_path)], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout.readline() == 'writing\n'
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def names(path):
    return sorted(entry.name for entry in path.iterdir())


# --- dead writers

def test_partial_files_of_a_killed_writer_are_swept(store, tmp_path, start_writer):
    writer = start_writer()
    assert [name.startswith(partial_file.PREFIX) for name in names(tmp_path)] == [True]

    store.discard('other')
    assert len(names(tmp_path)) == 1    # the writer lives
    writer.kill()
    writer.wait()
    store.discard('slow')

    assert names(tmp_path) == []


def test_a_sweep_does_not_disturb_a_living_writer(make_store, tmp_path, start_writer):
    writer = start_writer()

    make_store().discard('slow')
    output, _ = writer.communicate('go on\n')

    assert output.strip() == f'file://{tmp_path}/slow'
    assert names(tmp_path) == ['slow']
    assert (tmp_path / 'slow').stat().st_size == 100_001


def test_sweeps_at_the_start_and_regularly(make_store, tmp_path, monkeypatch):
    left = tmp_path / f'{partial_file.PREFIX}1-dead'
    left.write_bytes(b'x')
    store = make_store()
    assert names(tmp_path) == []

    left.write_bytes(b'x')
    store.write('early', iter([b'1']))
    assert left.exists()
    monkeypatch.setattr(file_module.time, 'monotonic', lambda: 1e12)
    store.write('late', iter([b'1']))

    assert names(tmp_path) == ['early', 'late']


@pytest.mark.parametrize('state', ['locked', 'removed'])
def test_a_writer_survives_a_sweep_of_its_file_before_it_is_locked(
        store, tmp_path, monkeypatch, state):
    flock, seen = fcntl.flock, []

    def late(fd, how):
        if not seen:    # the writer has created the file, but not locked it
            seen.extend(names(tmp_path))
            if state == 'locked':
                raise BlockingIOError
            (tmp_path / seen[0]).unlink()
        flock(fd, how)
    monkeypatch.setattr(fcntl, 'flock', late)

    url = store.write('key', iter([b'12345'])).url
    monkeypatch.undo()
    store.discard('other')

    assert len(seen) == 1
    assert b''.join(store.read(url)) == b'12345'
    assert names(tmp_path) == ['key']


# --- system errors

def test_data_is_synced_before_it_is_published_and_then_the_directory_is_synced(
        store, tmp_path, monkeypatch):
    events = []

    def spy(module, name, describe):
        real = getattr(module, name)

        def call(*args):
            events.append(describe(*args))
            return real(*args)
        monkeypatch.setattr(module, name, call)

    spy(os, 'write', lambda fd, data: 'write')
    spy(os, 'fsync', lambda fd: 'sync directory' if stat.S_ISDIR(os.fstat(fd).st_mode)
        else 'sync file')
    spy(os, 'link', lambda source, target: 'link')
    store.write('key', iter([b'1']))

    assert events == ['write', 'sync file', 'link', 'sync directory']


@pytest.mark.parametrize('call', ['fsync', 'link', 'write', 'open', 'statvfs'])
@pytest.mark.parametrize(('code', 'expected'), [
    (errno.ENOSPC, contract.TooLarge), (errno.EDQUOT, contract.TooLarge),
    (errno.EFBIG, contract.TooLarge), (errno.EACCES, contract.Unavailable),
    (errno.EROFS, contract.Unavailable), (errno.EIO, contract.Unavailable),
    (errno.ESTALE, contract.Unavailable)])
def test_system_errors_are_translated_and_leave_no_files(
        store, tmp_path, monkeypatch, call, code, expected):
    def fail(*args):
        raise OSError(code, os.strerror(code), str(tmp_path))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        with pytest.raises(expected) as failure:
            store.write('key', iter([b'x' * MIB, b'y']))

    assert str(tmp_path) not in str(failure.value)
    assert names(tmp_path) == []
    assert store.write('key', iter([b'1'])).size == 1


def test_a_directory_that_cannot_be_synced_accepts_no_image(store, tmp_path, monkeypatch):
    fsync = os.fsync

    def fail(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, 'broken disk')
        fsync(fd)
    monkeypatch.setattr(os, 'fsync', fail)

    with pytest.raises(contract.Unavailable):
        store.write('key', iter([b'1']))

    assert names(tmp_path) == []


def test_a_file_beyond_the_limit_of_the_process_is_too_large(store, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))

    try:
        with pytest.raises(contract.TooLarge):
            store.write('key', iter([b'x' * MIB] * 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert names(tmp_path) == []


def test_an_image_that_is_too_large_is_refused_before_its_data_is_read(store):
    def source():
        raise AssertionError('the source must not be read')
        yield

    with pytest.raises(contract.TooLarge):
        store.write('key', source(), size=1 << 60)


def test_a_directory_may_become_usable_later(make_store, tmp_path):
    (tmp_path / 'mount').write_text('not a directory yet')
    store = make_store(datadir=str(tmp_path / 'mount' / 'images'))
    with pytest.raises(contract.Unavailable):
        store.health()
    with pytest.raises(contract.Unavailable):
        store.write('key', iter([b'1']))

    (tmp_path / 'mount').unlink()

    assert store.write('key', iter([b'1'])).size == 1
    assert store.health().endswith('GiB free')


def test_a_failed_write_does_not_touch_files_opened_later(store, tmp_path):
    with pytest.raises(ConnectionError):
        store.write('key', broken_source(b'x' * 100))
    other = tmp_path / 'other'

    with other.open('wb') as later:
        later.write(b'mine')

    assert other.read_bytes() == b'mine'
