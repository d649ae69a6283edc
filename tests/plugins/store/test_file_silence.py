"""A data directory that does not answer: a store in the middle of its work.

The directory falls silent in the ``os`` module of this process (see ``silence``), which lets
each call hang by itself; tests/crash/test_hung_mount.py does it to a whole service.
"""

import contextlib
import os
import threading
import time

import pytest

from glancelite import contract
from glancelite.plugins.store.file import guarded_io, upload
from glancelite.plugins.store.file import store as file_module
from glancelite.plugins.store.file import watchdog as guard_module
from glancelite.plugins.store.file.mounts import Mount
from glancelite.testing.contracts.store.trouble import BrokenBackendContract

MIB = 1 << 20
SOON = 0.4      # seconds, the timeout of these tests


@pytest.fixture
def store(make_store):
    return make_store(timeout=SOON)


@pytest.fixture
def pair(make_store, tmp_path):
    """A store with two directories of which ``b`` is preferred."""
    return make_store(datadirs=[f'{tmp_path}/a:1', f'{tmp_path}/b:2'], timeout=SOON)


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def seconds(act):
    """How long something took that said that the store is not available."""
    begun = time.monotonic()
    with pytest.raises(contract.Unavailable):
        act()
    return time.monotonic() - begun


def until(true):
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def opened(tmp_path):
    """Open files below the directory."""
    found = []
    for number in os.listdir('/proc/self/fd'):
        with contextlib.suppress(FileNotFoundError):    # that of listdir itself
            found.append(os.readlink(f'/proc/self/fd/{number}'))
    return [path for path in found if path.startswith(f'{tmp_path}/')]


ASKS = {
    'read': lambda store, url: store.read(url),
    'size': lambda store, url: store.size(url),
    'delete': lambda store, url: store.delete(url),
    'write': lambda store, url: store.write('other', iter([b'1'])),
    'discard': lambda store, url: store.discard('other'),
    'health': lambda store, url: store.health(),
}


@pytest.mark.parametrize('ask', ASKS.values(), ids=ASKS)
def test_whoever_asks_is_answered_in_time_and_then_at_once(store, silence, tmp_path, ask):
    url = store.write('key', iter([b'12345'])).url
    silence.begin(tmp_path)

    first = seconds(lambda: ask(store, url))
    seconds(lambda: store.size(url))
    again = seconds(lambda: ask(store, url))

    assert first < SOON + 0.6
    assert again < (1.2 if ask is ASKS['health'] else 0.1)
    silence.end()
    until(lambda: store._guards[str(tmp_path)]._hung is None)
    assert b''.join(store.read(store.write('new', iter([b'12345'])).url)) == b'12345'
    until(lambda: not opened(tmp_path))
    assert set(names(tmp_path)) <= {'key', 'new'}


def test_health_says_which_directory_it_is_and_how_the_others_are(pair, silence, tmp_path):
    assert pair.health().endswith('GiB free')
    silence.begin(tmp_path / 'b')

    with pytest.raises(contract.Unavailable) as told:
        pair.health()

    assert str(told.value) == f'{tmp_path}/b: the directory does not answer'


def falls_silent(silence, *call):
    """A source after whose first megabyte there is silence."""
    yield b'x' * MIB
    silence.begin(*call)
    yield b'y' * MIB


@pytest.mark.parametrize('call', ['write', 'fsync', 'link'])
def test_an_upload_that_gets_stuck_leaves_nothing_when_it_comes_loose(store, silence, tmp_path,
                                                                      call):
    """What the call brings late is taken back, a file under its final name with it."""
    source = falls_silent(silence, tmp_path, call, 'statvfs')

    assert seconds(lambda: store.write('key', source)) < SOON + 0.6

    silence.end()
    until(lambda: not opened(tmp_path))
    until(lambda: names(tmp_path) == [])
    until(lambda: store._guards[str(tmp_path)]._hung is None)
    assert store.write('key', iter([b'1'])).size == 1


def test_an_upload_that_cannot_begin_leaves_nothing(store, silence, tmp_path):
    silence.begin(tmp_path, 'open')

    assert seconds(lambda: store.write('key', iter([b'1']))) < SOON + 0.6

    silence.end()
    until(lambda: names(tmp_path) == [])
    until(lambda: not opened(tmp_path))


def test_an_upload_that_is_done_does_not_fail_because_of_what_is_left_to_do(store, silence,
                                                                            tmp_path):
    source = falls_silent(silence, tmp_path, 'unlink')

    assert store.write('key', source).size == 2 * MIB

    silence.end()
    until(lambda: names(tmp_path) == ['key'])


def test_an_upload_of_a_client_that_leaves_is_cleaned_up_later(store, silence, tmp_path):
    def source():
        yield b'x' * MIB
        silence.begin(tmp_path)
        seconds(lambda: store.size(f'file://{tmp_path}/other'))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        store.write('key', source())
    assert len(names_of(tmp_path, silence)) == 1

    silence.end()
    until(lambda: names(tmp_path) == [])
    until(lambda: not opened(tmp_path))


def names_of(path, silence):
    """Names in a directory, for those whom the silence does not concern."""
    root, silence._root = silence._root, None
    try:
        return names(path)
    finally:
        silence._root = root


def test_a_download_that_gets_stuck_ends_in_time(store, silence, tmp_path):
    url = store.write('key', iter([b'x' * 3 * MIB])).url
    chunks = store.read(url)
    assert len(next(chunks)) == guarded_io.PIECE
    silence.begin(tmp_path)

    waited = seconds(lambda: next(chunks))
    chunks.close()

    assert waited < SOON + 0.6
    silence.end()
    until(lambda: not opened(tmp_path))
    until(lambda: store._guards[str(tmp_path)]._hung is None)
    assert len(b''.join(store.read(url))) == 3 * MIB


def test_a_reader_who_leaves_during_the_silence_keeps_no_file_open(store, silence, tmp_path):
    url = store.write('key', iter([b'x' * 3 * MIB])).url
    chunks = store.read(url)
    silence.begin(tmp_path)
    seconds(lambda: store.size(url))

    chunks.close()

    assert opened(tmp_path)
    silence.end()
    until(lambda: not opened(tmp_path))


class TestSilentDirectory(BrokenBackendContract):
    """The kit's own claims about a backend that does not answer."""

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

def test_the_others_do_not_notice(pair, silence, tmp_path):
    there = pair.write('there', iter([b'there'])).url
    silence.begin(tmp_path / 'b')
    (tmp_path / 'a' / 'here').write_bytes(b'12345')
    here = f'file://{tmp_path}/a/here'
    assert there == f'file://{tmp_path}/b/there'
    assert seconds(lambda: pair.read(there)) < SOON + 0.6

    begun = time.monotonic()
    read = b''.join(pair.read(here))
    written = pair.write('new', iter([b'1'])).url
    pair.delete(written)
    took = time.monotonic() - begun

    assert read == b'12345'
    assert written == f'file://{tmp_path}/a/new'
    assert took < 0.2


def test_what_cannot_be_discarded_everywhere_is_not_discarded(pair, silence, tmp_path):
    (tmp_path / 'a' / 'key').touch()
    (tmp_path / 'b' / 'key').touch()
    silence.begin(tmp_path / 'b')

    with pytest.raises(contract.Unavailable):
        pair.discard('key')

    assert names(tmp_path / 'a') == []
    silence.end()
    until(lambda: pair._guards[f'{tmp_path}/b']._hung is None)
    pair.discard('key')
    assert names(tmp_path / 'b') == []


# --- the start

@pytest.mark.parametrize('timeout', [None, 0, SOON])
def test_a_silent_directory_does_not_stop_the_start(make_store, silence, tmp_path, timeout,
                                                    monkeypatch, caplog):
    monkeypatch.setattr(file_module, 'PATIENCE', SOON)
    (tmp_path / f'{upload.PREFIX}1-dead').touch()
    silence.begin(tmp_path)
    begun = time.monotonic()

    store = make_store(timeout=timeout)
    took = time.monotonic() - begun
    with pytest.raises(contract.Unavailable):
        store.health()

    assert took < SOON + 0.6
    assert 'is not usable yet' in caplog.text
    silence.end()
    until(lambda: names(tmp_path) == [])    # swept as soon as it answers
    assert store.write('key', iter([b'1'])).size == 1
    assert store.health().endswith('GiB free')


def test_an_explicit_zero_waits(make_store, silence, tmp_path):
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


# --- what it costs

def test_a_local_file_is_opened_by_its_reader_and_sent_by_the_kernel(make_store, monkeypatch,
                                                                     tmp_path):
    monkeypatch.setattr(guard_module.mounts, 'of', lambda path: Mount(1, 'ext4'))
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


def test_a_remote_file_is_opened_and_begun_in_one_go_elsewhere(make_store, monkeypatch):
    monkeypatch.setattr(guard_module.mounts, 'of', lambda path: Mount(1, 'nfs4'))
    store = make_store()
    url = store.write('key', iter([b'12345'])).url
    asked, real = [], guard_module.Guard.ask
    monkeypatch.setattr(guard_module.Guard, 'ask', lambda guard, function, *arguments, **named:
                        asked.append(function) or real(guard, function, *arguments, **named))

    assert b''.join(store.read(url, offset=1, length=3)) == b'234'

    assert len(asked) == 1
