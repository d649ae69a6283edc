"""Large files are written past the page cache, and are the same files."""

import errno
import fcntl
import mmap
import os
import threading

import pytest

from glancelite.plugins.store.file import direct_io, upload

MIB = 1 << 20


@pytest.fixture(autouse=True)
def early(monkeypatch):
    """Past the cache from the third MiB on, so that tests are quick."""
    monkeypatch.setattr(upload, 'CACHED', 2 * MIB)
    monkeypatch.setattr(upload, 'CACHED_AT_FIRST', 2 * MIB)


def stored(root, data, piece, kind=bytes, **how):
    with upload.Partial(str(root), 65536, **how) as file:
        for start in range(0, len(data), piece):
            file.write(kind(data[start:start + piece]))
        went = file._direct is not None
        path = file.publish('key')
    with open(path, 'rb') as found:
        return found.read(), went


@pytest.mark.parametrize('piece', [1000, 65536, 100_003, MIB, 3 * MIB + 1])
@pytest.mark.parametrize('size', [2 * MIB + 200_000, 4 * MIB, 4 * MIB + 1, 5 * MIB - 4096,
                                  7 * MIB + 12345])
def test_a_large_file_holds_what_was_written(tmp_path, size, piece):
    data = os.urandom(size)

    found, went = stored(tmp_path, data, piece)

    assert hash(found) == hash(data)
    assert went


@pytest.mark.parametrize('how', [{'past_cache': False}, {'thin': True}])
def test_the_cache_is_used_where_that_is_wanted(tmp_path, how):
    data = os.urandom(4 * MIB)

    found, went = stored(tmp_path, data, MIB, **how)

    assert hash(found) == hash(data)
    assert not went


def test_a_small_file_goes_through_the_cache(tmp_path):
    assert not stored(tmp_path, os.urandom(MIB), 65536)[1]


@pytest.mark.parametrize(('size', 'announced', 'went'), [
    (MIB, 3 * MIB, True), (MIB, MIB, False), (3 * MIB, None, True), (3 * MIB, MIB, True),
    (100, 3 * MIB, False), (0, 3 * MIB, False)])
def test_an_announced_size_decides_where_the_beginning_goes(tmp_path, size, announced, went):
    data = os.urandom(size)

    assert stored(tmp_path, data, 65536, size=announced) == (data, went)


class Slow:
    """Writes of which each waits until it may go on."""

    def __init__(self):
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.real, self.done = os.write, 0

    def __call__(self, fd, data):
        if not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            return self.real(fd, data)
        self.begun.release()
        assert self.go.acquire(timeout=10)
        self.done += 1
        return self.real(fd, data)


@pytest.fixture
def slow(monkeypatch):
    writes = Slow()
    monkeypatch.setattr(direct_io.os, 'write', writes)
    return writes


def test_the_next_piece_may_come_while_one_is_written_and_no_more(tmp_path, slow):
    data = os.urandom(6 * MIB)
    pieces = [in_pages(data[start:start + MIB]) for start in range(0, len(data), MIB)]
    taken = []

    def write(file, pieces):
        for piece in pieces:
            file.write(piece)
            taken.append(piece)

    with upload.Partial(str(tmp_path), 65536, size=len(data)) as file:
        write(file, pieces[:2])
        assert slow.begun.acquire(timeout=10)
        writer = threading.Thread(target=write, args=(file, pieces[2:]))
        writer.start()
        assert not slow.begun.acquire(timeout=0.2)
        assert writer.is_alive()
        assert len(taken) == 2
        slow.go.release(6)
        writer.join()
        path = file.publish('key')

    with open(path, 'rb') as found:
        assert hash(found.read()) == hash(data)


class Keeper:
    """``os.fdatasync``, which waits until it may go on, and then works or fails."""

    def __init__(self, failure=None):
        self.failure, self.times, self.go = failure, 0, threading.Event()

    def __call__(self, fd):
        self.times += 1
        assert self.go.wait(10)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def keeps(monkeypatch):
    def with_failure(failure=None):
        keeper = Keeper(failure)
        monkeypatch.setattr(direct_io, 'KEPT', 2 * MIB)
        monkeypatch.setattr(direct_io.os, 'fdatasync', keeper)
        return keeper

    return with_failure


def test_the_disk_keeps_what_it_has_while_more_is_written(tmp_path, keeps):
    keeper = keeps()
    data = os.urandom(9 * MIB)

    with upload.Partial(str(tmp_path), 65536, size=len(data)) as file:
        for start in range(0, len(data), MIB):      # nobody waits for the keeper
            file.write(in_pages(data[start:start + MIB]))
        keeper.go.set()
        path = file.publish('key')

    with open(path, 'rb') as found:
        assert hash(found.read()) == hash(data)
    assert keeper.times >= 1
    assert writers() == []


def test_a_disk_that_cannot_keep_it_fails_the_upload(tmp_path, keeps):
    keeps(OSError(errno.EIO, 'Input/output error')).go.set()

    with pytest.raises(OSError, match='Input/output'):
        stored(tmp_path, os.urandom(5 * MIB), MIB, kind=in_pages, size=5 * MIB)

    assert list(tmp_path.iterdir()) == []
    assert writers() == []


def test_whoever_gives_up_waits_for_the_keeper(tmp_path, keeps):
    keeper = keeps()

    def gives_up():
        with upload.Partial(str(tmp_path), 65536, size=9 * MIB) as file:
            for _ in range(5):
                file.write(in_pages(bytes(MIB)))

    leaving = threading.Thread(target=gives_up)
    leaving.start()
    leaving.join(0.3)

    assert leaving.is_alive()   # or it would soon look after somebody else's file
    keeper.go.set()
    leaving.join()
    assert keeper.times == 1
    assert writers() == []


def test_whoever_gives_up_waits_for_the_write_under_way_and_starts_no_other(tmp_path, slow):
    def gives_up():
        with upload.Partial(str(tmp_path), 65536, size=9 * MIB) as file:
            file.write(in_pages(bytes(MIB)))
            assert slow.begun.acquire(timeout=10)

    leaving = threading.Thread(target=gives_up)
    leaving.start()
    leaving.join(0.2)

    assert leaving.is_alive()   # or its descriptor would be closed, and somebody else's soon
    slow.go.release()
    leaving.join()
    assert slow.done == 1
    assert list(tmp_path.iterdir()) == []
    assert writers() == []


def writers():
    return [thread for thread in threading.enumerate()
            if thread.name in ('glancelite-write', 'glancelite-keep')]


def test_large_pieces_are_written_as_they_come(tmp_path, monkeypatch):
    real, sizes = os.write, []

    def writes(fd, data):
        done = real(fd, data)
        sizes.append(done // MIB)
        return done

    monkeypatch.setattr(direct_io.os, 'write', writes)
    data = os.urandom(18 * MIB)

    with upload.Partial(str(tmp_path), 65536, size=len(data)) as file:
        file.write(data[:MIB // 2])
        file.write(data[MIB // 2:5 * MIB // 2])
        file.write(data[5 * MIB // 2:])
        path = file.publish('key')

    with open(path, 'rb') as found:
        assert found.read() == data
    assert sizes == [2, 4, 4, 4, 4]


@pytest.mark.parametrize('tail', [0, 1, 4096, 70_001])
def test_what_comes_in_whole_pages_is_written_from_there(tmp_path, monkeypatch, tail):
    real, written = os.write, []

    def writes(fd, data):
        written.append(getattr(data, 'obj', data))
        return real(fd, data)

    monkeypatch.setattr(direct_io.os, 'write', writes)
    pages = in_pages(os.urandom(2 * MIB))
    end = os.urandom(tail)

    with upload.Partial(str(tmp_path), 65536, size=3 * MIB) as file:
        file.write(pages)
        file.write(pages)
        if end:
            file.write(in_pages(end))
        path = file.publish('key')

    with open(path, 'rb') as found:
        assert found.read() == bytes(pages) * 2 + end
    assert written[:2] == [pages.obj, pages.obj]


def in_pages(data):
    """As a server receives it: in memory of whole pages."""
    pages = mmap.mmap(-1, len(data), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages[:] = data
    return memoryview(pages).toreadonly()


def crooked(data):
    """As no disk takes it."""
    return in_pages(b'x' + data)[1:]


def test_a_file_system_without_such_writes_gets_the_usual_ones(tmp_path, monkeypatch):
    real = fcntl.fcntl

    def refuses(fd, command, value=0):
        if command == fcntl.F_SETFL and value & os.O_DIRECT:
            raise OSError(errno.EINVAL, 'not here')
        return real(fd, command, value)

    monkeypatch.setattr(direct_io.fcntl, 'fcntl', refuses)
    data = os.urandom(5 * MIB)

    found, went = stored(tmp_path, data, 100_000)

    assert hash(found) == hash(data)
    assert not went


@pytest.mark.parametrize('kind', [crooked, in_pages])
@pytest.mark.parametrize('taken', [None, 0, 4096, 70_000])
def test_a_write_that_is_refused_or_short_is_completed_the_usual_way(
        tmp_path, monkeypatch, taken, kind):
    """``taken``: bytes of the second direct write that are written; None, it is refused."""
    real, calls = os.write, []

    def writes(fd, data):
        if (len(data) == direct_io.SIZE and isinstance(getattr(data, 'obj', data), mmap.mmap)
                and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT):
            calls.append(fd)
            if len(calls) == 2:
                if taken is None:
                    raise OSError(errno.EINVAL, 'not like this')
                fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_DIRECT)
                return real(fd, bytes(data)[:taken])
        return real(fd, data)

    monkeypatch.setattr(direct_io.os, 'write', writes)
    data = os.urandom(7 * MIB + 5)

    found, _ = stored(tmp_path, data, MIB, kind=kind)

    assert hash(found) == hash(data)
    # refused from where they were, pages are gathered as other bytes are
    assert len(calls) == (7 if kind is in_pages and taken is None else 2)


def test_a_full_disk_says_so(tmp_path, monkeypatch):
    real = os.write

    def writes(fd, data):
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT or os.lseek(fd, 0, os.SEEK_CUR) > 3 * MIB:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return real(fd, data)

    monkeypatch.setattr(direct_io.os, 'write', writes)

    with pytest.raises(OSError, match='No space'):
        stored(tmp_path, os.urandom(7 * MIB), MIB)

    assert list(tmp_path.iterdir()) == []
    assert writers() == []
