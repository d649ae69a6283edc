"""New files that are invisible until they are complete and on disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import stat
from collections.abc import Iterator

from glancelite.plugins.store.file import direct_io

LOG = logging.getLogger(__name__)

#: names of partial files begin with this; no key does
PREFIX = '.partial-'
#: bytes between two hints to the kernel about which pages to write and drop
ADVICE_INTERVAL = 8 << 20
#: distance behind the writer at which pages are dropped from the cache; they are on disk then
DROP_DISTANCE = 64 << 20
#: larger files are written past the page cache; smaller ones stay there for their readers
CACHE_LIMIT = 32 << 20
#: the same if the size is not known in advance
CACHE_LIMIT_UNKNOWN_SIZE = 8 << 20

_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class PartialFile:
    """A new file in ``directory``, under a temporary name until it is published.

    The file is locked while its writer lives, so that ``sweep`` can tell abandoned files.
    The temporary name is removed at the end of the ``with`` block. All methods raise
    ``OSError``.

    :param chunk_size: smaller pieces are collected to this many bytes.
    :param mode: permissions of the published file; 0 for those of the umask.
    :param thin: leave holes for chunks of zeros.
    :param bypass_cache: large files may be written past the page cache.
    :param size: expected number of bytes, if known; it may be wrong.
    """

    def __init__(self, directory: str, chunk_size: int, mode: int = 0, *, thin: bool = False,
                 bypass_cache: bool = True, size: int | None = None):
        self.size = 0
        self._directory = directory
        self._chunk_size = chunk_size
        self._mode = mode
        self._zeros = bytes(chunk_size) if thin else b''
        self._bypass_cache = bypass_cache
        self._may_be_direct = bypass_cache and not thin
        self._cache_limit = (CACHE_LIMIT_UNKNOWN_SIZE if size is None
                             else CACHE_LIMIT if size <= CACHE_LIMIT else 0)
        self._direct: direct_io.DirectWriter | None = None
        self._buffered: list[bytes] = []
        self._buffered_size = 0
        self._position = 0
        self._advised = 0
        self._fd, self._path = _create(directory)

    def write(self, chunk: bytes) -> None:
        length = len(chunk)
        self.size += length
        if self._direct is not None:
            self._direct.write(chunk)
            return
        if self._buffered_size + length < self._chunk_size:
            self._buffered.append(chunk)
            self._buffered_size += length
            return
        if self._buffered:
            chunk = self._take_buffered(chunk)
        if self._zeros and (rest := len(chunk) % self._chunk_size):
            self._buffered.append(chunk[-rest:])
            self._buffered_size = rest
            chunk = chunk[:-rest]
        if self._may_be_direct and self._position + len(chunk) >= self._cache_limit:
            chunk = self._start_direct(chunk)
        self._write_all(chunk)
        if self._position - self._advised >= ADVICE_INTERVAL:
            self._advise_kernel()

    def _start_direct(self, chunk: bytes) -> bytes:
        """Write past the cache from now on; return what is still to be written."""
        self._may_be_direct = False
        head = -self._position % direct_io.ALIGNMENT
        self._write_all(chunk[:head])
        try:
            self._direct = direct_io.DirectWriter(self._fd)
        except OSError:     # not supported: continue through the cache
            return chunk[head:]
        self._direct.write(chunk[head:])
        return b''

    def _take_buffered(self, *more: bytes) -> bytes:
        """Return the buffered bytes followed by ``more``, and empty the buffer."""
        data = b''.join([*self._buffered, *more])
        self._buffered.clear()
        self._buffered_size = 0
        return data

    def _write_all(self, data: bytes) -> None:
        if self._zeros:
            self._write_thin(memoryview(data))
            return
        if not data:
            return
        count = os.write(self._fd, data)
        self._position += count
        if count < len(data):  # disk nearly full, or more than the kernel takes at once
            self._write_all(data[count:])

    def _write_thin(self, data: memoryview) -> None:
        """Write all but chunks of zeros; ``data`` starts at the start of a chunk."""
        while data:
            end = self._chunk_size
            if not self._is_zero(data[:end]):
                while end < len(data) and not self._is_zero(data[end:end + self._chunk_size]):
                    end += self._chunk_size
                end = os.pwrite(self._fd, data[:end], self._position)
            self._position += end
            data = data[end:]

    def _is_zero(self, data: memoryview) -> bool:
        """Return whether this is a whole chunk of zeros."""
        # three bytes decide in nearly all cases, which saves the copy
        return (len(data) == self._chunk_size
                and not (data[0] or data[-1] or data[self._chunk_size // 2])
                and bytes(data) == self._zeros)

    def _advise_kernel(self) -> None:
        """Start writing dirty pages, and drop pages of a large file that are on disk.

        On Linux this advice starts the writes and does not wait for them, so ``fsync`` has
        little left to do. Where O_DIRECT is not supported, a large file occupies only a few
        pages of the cache.
        """
        start = self._advised
        if self._bypass_cache and self._position > CACHE_LIMIT:
            start = max(0, start - DROP_DISTANCE)
        os.posix_fadvise(self._fd, start, self._position - start, os.POSIX_FADV_DONTNEED)
        self._advised = self._position

    def publish(self, key: str) -> str:
        """Make the file durable and visible under the name ``key``; return its path.

        :raises FileExistsError: the name exists; its file is unchanged.
        """
        target = os.path.join(self._directory, key)
        if self._direct is not None:
            self._direct.finish()
        if self._buffered:
            self._write_all(self._take_buffered())
        if self._zeros:
            os.ftruncate(self._fd, self.size)
        if self._mode:
            try:
                os.fchmod(self._fd, self._mode)
            except OSError as error:
                LOG.warning('cannot set the permissions of %s: %s', target, error.strerror)
        os.fsync(self._fd)
        _link(self._path, target)
        with _removed_on_failure(target):
            _sync_directory(self._directory)
        return target

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._direct is not None:
            self._direct.cancel()
        try:
            remove(self._path)
        except OSError as error:  # must not replace an earlier exception; a sweep removes it
            LOG.warning('cannot remove %s: %s', self._path, error.strerror)
        finally:
            os.close(self._fd)


def _create(directory: str) -> tuple[int, str]:
    """Create and lock a file with a temporary name; return its descriptor and path."""
    while True:
        path = os.path.join(directory, f'{PREFIX}{os.getpid()}-{secrets.token_hex(8)}')
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # a sweep has locked it and will remove it
            os.close(fd)
            continue
        except OSError:  # no locks on this file system, so no sweep removes it
            return fd, path
        if os.fstat(fd).st_nlink:
            return fd, path
        os.close(fd)


def _link(path: str, target: str) -> None:
    """Give the file at ``path`` the name ``target``.

    :raises FileExistsError: ``target`` exists.
    """
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # without hard links, the exclusive creation of an empty file reserves the name
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        with _removed_on_failure(target):
            os.rename(path, target)


@contextlib.contextmanager
def _removed_on_failure(path: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        remove(path)
        raise


def _sync_directory(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove(path: str) -> None:
    """Remove a file if it exists."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def remove_data(path: str) -> bool:
    """Remove the data file at ``path``; leave links, pipes and directories alone.

    :returns: whether there is anything at ``path``, before or after.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    if stat.S_ISREG(status.st_mode):
        remove(path)
    else:
        LOG.error('%s is not a file of this service and stays', path)
    return True


def sweep(directory: str) -> int:
    """Remove partial files whose writer is dead; return their number.

    Works for writers on other nodes if the file system supports locks across nodes.
    """
    removed = 0
    with os.scandir(directory) as entries:
        paths = [entry.path for entry in entries if entry.name.startswith(PREFIX)]
    for path in paths:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stat.S_ISREG(os.fstat(fd).st_mode):
                os.unlink(path)
                removed += 1
        except OSError:
            continue  # the writer lives, another sweep is running, or permission is denied
        finally:
            os.close(fd)
    if removed:
        LOG.info('removed %d partial files from %s', removed, directory)
    return removed
