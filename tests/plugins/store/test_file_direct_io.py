"""Large files are written past the page cache, with the same content."""

import errno
import fcntl
import mmap
import os
import threading

import pytest

from glancelite.plugins.store.file import direct_io, partial_file

MIB = 1 << 20


@pytest.fixture(autouse=True)
def low_limit(monkeypatch):
    """Write directly from the third MiB on, so that tests are fast."""
    monkeypatch.setattr(partial_file, 'CACHE_LIMIT', 2 * MIB)
    monkeypatch.setattr(partial_file, 'CACHE_LIMIT_UNKNOWN_SIZE', 2 * MIB)


def store(root, data, piece, kind=bytes, **options):
    """Return the stored bytes, and whether the file was written directly."""
    with partial_file.PartialFile(str(root), 65536, **options) as file:
        for start in range(0, len(data), piece):
            file.write(kind(data[start:start + piece]))
        direct = file._direct is not None
        path = file.publish('key')
    with open(path, 'rb') as published:
        return published.read(), direct


@pytest.mark.parametrize('piece', [1000, 65536, 100_003, MIB, 3 * MIB + 1])
@pytest.mark.parametrize('size', [2 * MIB + 200_000, 4 * MIB, 4 * MIB + 1, 5 * MIB - 4096,
                                  7 * MIB + 12345])
def test_a_large_file_holds_what_was_written(tmp_path, size, piece):
    data = os.urandom(size)

    content, direct = store(tmp_path, data, piece)

    assert hash(content) == hash(data)
    assert direct


@pytest.mark.parametrize('options', [{'bypass_cache': False}, {'thin': True}])
def test_the_cache_is_used_if_direct_io_is_off_or_with_thin_provisioning(tmp_path, options):
    data = os.urandom(4 * MIB)

    content, direct = store(tmp_path, data, MIB, **options)

    assert hash(content) == hash(data)
    assert not direct


def test_a_small_file_goes_through_the_cache(tmp_path):
    assert not store(tmp_path, os.urandom(MIB), 65536)[1]


@pytest.mark.parametrize(('size', 'announced', 'direct'), [
    (MIB, 3 * MIB, True), (MIB, MIB, False), (3 * MIB, None, True), (3 * MIB, MIB, True),
    (100, 3 * MIB, False), (0, 3 * MIB, False)])
def test_the_announced_size_decides_how_the_start_is_written(tmp_path, size, announced, direct):
    data = os.urandom(size)

    assert store(tmp_path, data, 65536, size=announced) == (data, direct)


class BlockedWrite:
    """``os.write``; direct writes block until ``allowed`` is released."""

    def __init__(self):
        self.started, self.allowed = threading.Semaphore(0), threading.Semaphore(0)
        self.real, self.done = os.write, 0

    def __call__(self, fd, data):
        if not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            return self.real(fd, data)
        self.started.release()
        assert self.allowed.acquire(timeout=10)
        self.done += 1
        return self.real(fd, data)


@pytest.fixture
def blocked_write(monkeypatch):
    writes = BlockedWrite()
    monkeypatch.setattr(direct_io.os, 'write', writes)
    return writes


def test_one_piece_is_accepted_while_another_is_written(tmp_path, blocked_write):
    data = os.urandom(6 * MIB)
    pieces = [in_pages(data[start:start + MIB]) for start in range(0, len(data), MIB)]
    accepted = []

    def write(file, pieces):
        for piece in pieces:
            file.write(piece)
            accepted.append(piece)

    with partial_file.PartialFile(str(tmp_path), 65536, size=len(data)) as file:
        write(file, pieces[:2])
        assert blocked_write.started.acquire(timeout=10)
        writer = threading.Thread(target=write, args=(file, pieces[2:]))
        writer.start()
        assert not blocked_write.started.acquire(timeout=0.2)
        assert writer.is_alive()
        assert len(accepted) == 2
        blocked_write.allowed.release(6)
        writer.join()
        path = file.publish('key')

    with open(path, 'rb') as published:
        assert hash(published.read()) == hash(data)


class BlockedSync:
    """``os.fdatasync``, which blocks until ``allowed`` is set, and then may fail."""

    def __init__(self, failure=None):
        self.failure, self.calls, self.allowed = failure, 0, threading.Event()

    def __call__(self, fd):
        self.calls += 1
        assert self.allowed.wait(10)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def make_blocked_sync(monkeypatch):
    def make(failure=None):
        sync = BlockedSync(failure)
        monkeypatch.setattr(direct_io, 'SYNC_INTERVAL', 2 * MIB)
        monkeypatch.setattr(direct_io.os, 'fdatasync', sync)
        return sync

    return make


def test_data_is_synced_while_more_is_written(tmp_path, make_blocked_sync):
    sync = make_blocked_sync()
    data = os.urandom(9 * MIB)

    with partial_file.PartialFile(str(tmp_path), 65536, size=len(data)) as file:
        for start in range(0, len(data), MIB):      # does not wait for the sync
            file.write(in_pages(data[start:start + MIB]))
        sync.allowed.set()
        path = file.publish('key')

    with open(path, 'rb') as published:
        assert hash(published.read()) == hash(data)
    assert sync.calls >= 1
    assert writers() == []


def test_a_failed_sync_fails_the_upload(tmp_path, make_blocked_sync):
    make_blocked_sync(OSError(errno.EIO, 'Input/output error')).allowed.set()

    with pytest.raises(OSError, match='Input/output'):
        store(tmp_path, os.urandom(5 * MIB), MIB, kind=in_pages, size=5 * MIB)

    assert list(tmp_path.iterdir()) == []
    assert writers() == []


def test_a_cancelled_upload_waits_for_the_sync(tmp_path, make_blocked_sync):
    sync = make_blocked_sync()

    def cancelled_upload():
        with partial_file.PartialFile(str(tmp_path), 65536, size=9 * MIB) as file:
            for _ in range(5):
                file.write(in_pages(bytes(MIB)))

    thread = threading.Thread(target=cancelled_upload)
    thread.start()
    thread.join(0.3)

    assert thread.is_alive()   # its descriptor must stay open
    sync.allowed.set()
    thread.join()
    assert sync.calls == 1
    assert writers() == []


def test_a_cancelled_upload_waits_for_the_running_write_only(tmp_path, blocked_write):
    def cancelled_upload():
        with partial_file.PartialFile(str(tmp_path), 65536, size=9 * MIB) as file:
            file.write(in_pages(bytes(MIB)))
            assert blocked_write.started.acquire(timeout=10)

    thread = threading.Thread(target=cancelled_upload)
    thread.start()
    thread.join(0.2)

    assert thread.is_alive()   # its descriptor must stay open
    blocked_write.allowed.release()
    thread.join()
    assert blocked_write.done == 1
    assert list(tmp_path.iterdir()) == []
    assert writers() == []


def writers():
    return [thread for thread in threading.enumerate()
            if thread.name in ('glancelite-write', 'glancelite-sync')]


def test_large_pieces_are_written_without_splitting_them(tmp_path, monkeypatch):
    real, sizes = os.write, []

    def writes(fd, data):
        done = real(fd, data)
        sizes.append(done // MIB)
        return done

    monkeypatch.setattr(direct_io.os, 'write', writes)
    data = unaligned(os.urandom(18 * MIB))

    with partial_file.PartialFile(str(tmp_path), 65536, size=len(data)) as file:
        file.write(data[:MIB // 2])
        file.write(data[MIB // 2:5 * MIB // 2])
        file.write(data[5 * MIB // 2:])
        path = file.publish('key')

    with open(path, 'rb') as published:
        assert published.read() == data
    assert sizes == [2, 4, 4, 4, 4]


@pytest.mark.parametrize('tail', [0, 1, 4096, 70_001])
def test_whole_pages_are_written_without_a_copy(tmp_path, monkeypatch, tail):
    real, written = os.write, []

    def writes(fd, data):
        written.append(getattr(data, 'obj', data))
        return real(fd, data)

    monkeypatch.setattr(direct_io.os, 'write', writes)
    pages = in_pages(os.urandom(2 * MIB))
    end = os.urandom(tail)

    with partial_file.PartialFile(str(tmp_path), 65536, size=3 * MIB) as file:
        file.write(pages)
        file.write(pages)
        if end:
            file.write(in_pages(end))
        path = file.publish('key')

    with open(path, 'rb') as published:
        assert published.read() == bytes(pages) * 2 + end
    assert written[:2] == [pages.obj, pages.obj]


def in_pages(data):
    """Return the data in page-aligned memory, as a server receives it."""
    pages = mmap.mmap(-1, len(data), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages[:] = data
    return memoryview(pages).toreadonly()


def unaligned(data):
    """Return the data in unaligned memory."""
    return in_pages(b'x' + data)[1:]


def test_a_file_system_without_o_direct_is_written_through_the_cache(tmp_path, monkeypatch):
    real = fcntl.fcntl

    def refuses(fd, command, value=0):
        if command == fcntl.F_SETFL and value & os.O_DIRECT:
            raise OSError(errno.EINVAL, 'not supported')
        return real(fd, command, value)

    monkeypatch.setattr(direct_io.fcntl, 'fcntl', refuses)
    data = os.urandom(5 * MIB)

    content, direct = store(tmp_path, data, 100_000)

    assert hash(content) == hash(data)
    assert not direct


@pytest.mark.parametrize('kind', [unaligned, in_pages])
@pytest.mark.parametrize('written', [None, 0, 4096, 70_000])
def test_a_failed_or_short_direct_write_is_completed_through_the_cache(
        tmp_path, monkeypatch, written, kind):
    """``written``: bytes of the second direct write that are written; None: it fails."""
    real, calls = os.write, []

    def writes(fd, data):
        if (len(data) == direct_io.BUFFER_SIZE
                and isinstance(getattr(data, 'obj', data), mmap.mmap)
                and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT):
            calls.append(fd)
            if len(calls) == 2:
                if written is None:
                    raise OSError(errno.EINVAL, 'unaligned')
                fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_DIRECT)
                return real(fd, bytes(data)[:written])
        return real(fd, data)

    monkeypatch.setattr(direct_io.os, 'write', writes)
    data = os.urandom(7 * MIB + 5)

    content, _ = store(tmp_path, data, MIB, kind=kind)

    assert hash(content) == hash(data)
    # after a failure, whole pages are copied to the buffer as other data is
    assert len(calls) == (7 if kind is in_pages and written is None else 2)


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    real = os.write

    def writes(fd, data):
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT or os.lseek(fd, 0, os.SEEK_CUR) > 3 * MIB:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return real(fd, data)

    monkeypatch.setattr(direct_io.os, 'write', writes)

    with pytest.raises(OSError, match='No space'):
        store(tmp_path, os.urandom(7 * MIB), MIB)

    assert list(tmp_path.iterdir()) == []
    assert writers() == []
