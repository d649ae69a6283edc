"""The store ``file`` when a data directory stops answering during its operations.

The fixture ``silence`` lets single calls of the ``os`` module hang;
tests/crash/test_hung_mount.py tests a whole service with a hung mount.
"""

import contextlib
import os
import threading
import time

import pytest

from glancelite import contract
from glancelite.plugins.store.file import download, partial_file
from glancelite.plugins.store.file import store as file_module
from glancelite.plugins.store.file import watchdog as watchdog_module
from glancelite.plugins.store.file.mounts import Mount
from glancelite.plugins.store.file.watchdog import Watchdog
from glancelite.testing.contracts.store.failures import BrokenBackendContract

MIB = 1 << 20
TIMEOUT = 0.4      # seconds per call
SLACK = 5          # seconds that a busy machine may add; the calls hang for longer


@pytest.fixture
def store(make_store):
    return make_store(timeout=TIMEOUT)


@pytest.fixture
def pair(make_store, tmp_path):
    """A store with two directories of which ``b`` is preferred."""
    return make_store(datadirs=[f'{tmp_path}/a:1', f'{tmp_path}/b:2'], timeout=TIMEOUT)


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def seconds(act):
    """Return the duration of a call that raises ``Unavailable``."""
    started = time.monotonic()
    with pytest.raises(contract.Unavailable):
        act()
    return time.monotonic() - started


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def opened(tmp_path):
    """Return the open files below the directory."""
    paths = []
    for number in os.listdir('/proc/self/fd'):
        with contextlib.suppress(FileNotFoundError):    # that of listdir itself
            paths.append(os.readlink(f'/proc/self/fd/{number}'))
    return [path for path in paths if path.startswith(f'{tmp_path}/')]


OPERATIONS = {
    'read': lambda store, url: store.read(url),
    'size': lambda store, url: store.size(url),
    'delete': lambda store, url: store.delete(url),
    'write': lambda store, url: store.write('other', iter([b'1'])),
    'discard': lambda store, url: store.discard('other'),
    'health': lambda store, url: store.health(),
}


@pytest.mark.parametrize('operation', OPERATIONS.values(), ids=OPERATIONS)
def test_operations_fail_in_time_and_then_immediately(store, silence, tmp_path, operation):
    url = store.write('key', iter([b'12345'])).url
    silence.begin(tmp_path)

    first = seconds(lambda: operation(store, url))
    seconds(lambda: store.size(url))
    again = min(seconds(lambda: operation(store, url)) for _ in range(3))

    assert first < TIMEOUT + SLACK
    assert again < (1.2 if operation is OPERATIONS['health'] else 0.1)
    silence.end()
    wait_until(lambda: store._watchdogs[str(tmp_path)]._hung_since is None)
    assert b''.join(store.read(store.write('new', iter([b'12345'])).url)) == b'12345'
    wait_until(lambda: not opened(tmp_path))
    assert set(names(tmp_path)) <= {'key', 'new'}


def test_health_names_the_directory_that_does_not_answer(pair, silence, tmp_path):
    assert pair.health().endswith('GiB free')
    silence.begin(tmp_path / 'b')

    with pytest.raises(contract.Unavailable) as failure:
        pair.health()

    assert str(failure.value) == f'{tmp_path}/b: the directory does not answer'


def source_with_silence(silence, *call):
    """Yield data; the directory stops answering after the first megabyte."""
    yield b'x' * MIB
    silence.begin(*call)
    yield b'y' * MIB


@pytest.mark.parametrize('call', ['write', 'fsync', 'link'])
def test_an_upload_that_hangs_leaves_nothing_when_its_call_returns(store, silence, tmp_path, call):
    """A file that is published late is withdrawn as well."""
    source = source_with_silence(silence, tmp_path, call, 'statvfs')

    assert seconds(lambda: store.write('key', source)) < TIMEOUT + SLACK

    silence.end()
    wait_until(lambda: not opened(tmp_path))
    wait_until(lambda: names(tmp_path) == [])
    wait_until(lambda: store._watchdogs[str(tmp_path)]._hung_since is None)
    assert store.write('key', iter([b'1'])).size == 1


def test_an_upload_that_cannot_begin_leaves_nothing(store, silence, tmp_path):
    silence.begin(tmp_path, 'open')

    assert seconds(lambda: store.write('key', iter([b'1']))) < TIMEOUT + SLACK

    silence.end()
    wait_until(lambda: names(tmp_path) == [])
    wait_until(lambda: not opened(tmp_path))


def test_a_complete_upload_does_not_fail_if_the_cleanup_hangs(store, silence, tmp_path):
    source = source_with_silence(silence, tmp_path, 'unlink')

    assert store.write('key', source).size == 2 * MIB

    silence.end()
    wait_until(lambda: names(tmp_path) == ['key'])


def test_an_upload_of_a_disconnected_client_is_cleaned_up_later(store, silence, tmp_path):
    def source():
        yield b'x' * MIB
        silence.begin(tmp_path)
        seconds(lambda: store.size(f'file://{tmp_path}/other'))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.write('key', source())
    assert len(names_of(tmp_path, silence)) == 1

    silence.end()
    wait_until(lambda: names(tmp_path) == [])
    wait_until(lambda: not opened(tmp_path))


def names_of(path, silence):
    """Return the names in a directory that does not answer."""
    root, silence._root = silence._root, None
    try:
        return names(path)
    finally:
        silence._root = root


def test_a_download_that_hangs_fails_in_time(store, silence, tmp_path):
    url = store.write('key', iter([b'x' * 3 * MIB])).url
    chunks = store.read(url)
    assert len(next(chunks)) == download.READ_SIZE
    silence.begin(tmp_path)

    waited = seconds(lambda: next(chunks))
    chunks.close()

    assert waited < TIMEOUT + SLACK
    silence.end()
    wait_until(lambda: not opened(tmp_path))
    wait_until(lambda: store._watchdogs[str(tmp_path)]._hung_since is None)
    assert len(b''.join(store.read(url))) == 3 * MIB


def test_closing_a_download_of_a_hung_directory_leaves_no_file_open(store, silence, tmp_path):
    url = store.write('key', iter([b'x' * 3 * MIB])).url
    chunks = store.read(url)
    silence.begin(tmp_path)
    seconds(lambda: store.size(url))

    chunks.close()

    assert opened(tmp_path)
    silence.end()
    wait_until(lambda: not opened(tmp_path))


class TestSilentDirectory(BrokenBackendContract):
    """The contract suite for a backend that does not answer."""

    @pytest.fixture
    def broken(self, store, silence, tmp_path):
        silence.begin(tmp_path)
        return store

    @pytest.fixture
    def broken_url(self, tmp_path):
        return f'file://{tmp_path}/key'

    @pytest.fixture
    def patience(self):
        return 2


# --- one of several directories

def test_the_other_directories_stay_usable(pair, silence, tmp_path):
    there = pair.write('there', iter([b'there'])).url
    silence.begin(tmp_path / 'b')
    (tmp_path / 'a' / 'here').write_bytes(b'12345')
    here = f'file://{tmp_path}/a/here'
    assert there == f'file://{tmp_path}/b/there'
    assert seconds(lambda: pair.read(there)) < TIMEOUT + SLACK

    times = []
    for number in range(5):
        started = time.monotonic()
        read = b''.join(pair.read(here))
        written = pair.write(f'new-{number}', iter([b'1'])).url
        pair.delete(written)
        times.append(time.monotonic() - started)
        assert read == b'12345'
        assert written == f'file://{tmp_path}/a/new-{number}'

    assert min(times) < TIMEOUT / 2    # a busy machine delays some


def test_discard_fails_if_one_directory_does_not_answer(pair, silence, tmp_path):
    (tmp_path / 'a' / 'key').touch()
    (tmp_path / 'b' / 'key').touch()
    silence.begin(tmp_path / 'b')

    with pytest.raises(contract.Unavailable):
        pair.discard('key')

    assert names(tmp_path / 'a') == []
    silence.end()
    wait_until(lambda: pair._watchdogs[f'{tmp_path}/b']._hung_since is None)
    pair.discard('key')
    assert names(tmp_path / 'b') == []


# --- the start

@pytest.mark.parametrize('timeout', [None, 0, TIMEOUT])
def test_a_silent_directory_does_not_prevent_the_start(make_store, silence, tmp_path, timeout,
                                                    monkeypatch, caplog):
    monkeypatch.setattr(file_module, 'CHECK_TIMEOUT', TIMEOUT)
    (tmp_path / f'{partial_file.PREFIX}1-dead').touch()
    silence.begin(tmp_path)
    started = time.monotonic()

    store = make_store(timeout=timeout)
    took = time.monotonic() - started
    with pytest.raises(contract.Unavailable):
        store.health()

    assert took < TIMEOUT + SLACK
    assert 'is not usable yet' in caplog.text
    silence.end()
    wait_until(lambda: names(tmp_path) == [])    # swept after the recovery
    assert store.write('key', iter([b'1'])).size == 1
    assert store.health().endswith('GiB free')


def test_a_timeout_of_zero_means_no_limit(make_store, silence, tmp_path):
    store = make_store(timeout=0)
    url = store.write('key', iter([b'12345'])).url
    silence.begin(tmp_path)
    read = []
    reader = threading.Thread(target=lambda: read.append(b''.join(store.read(url))))

    reader.start()
    reader.join(0.5)
    assert reader.is_alive()
    silence.end()
    reader.join()

    assert read == [b'12345']


# --- threads and calls

def test_a_local_file_is_opened_inline_and_sent_by_the_kernel(make_store, monkeypatch, tmp_path):
    monkeypatch.setattr(watchdog_module.mounts, 'find_mount', lambda path: Mount(1, 'ext4'))
    store = make_store()
    url = store.write('key', iter([b'12345'])).url
    openers = []
    real = os.open
    monkeypatch.setattr(os, 'open', lambda *how: openers.append(threading.get_ident())
                        or real(*how))

    part = store.read(url)

    assert isinstance(part, contract.FileExtent)
    assert openers == [threading.get_ident()]
    part.close()


def test_a_remote_file_is_opened_and_read_with_one_limited_call(make_store, monkeypatch):
    monkeypatch.setattr(watchdog_module.mounts, 'find_mount', lambda path: Mount(1, 'nfs4'))
    store = make_store()
    url = store.write('key', iter([b'12345'])).url
    calls, real = [], Watchdog.call_with_timeout
    monkeypatch.setattr(Watchdog, 'call_with_timeout', lambda self, function, *args, **named:
                        calls.append(function) or real(self, function, *args, **named))

    assert b''.join(store.read(url, offset=1, length=3)) == b'234'

    assert len(calls) == 1
