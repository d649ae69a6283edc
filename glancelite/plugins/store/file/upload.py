"""A file that is invisible until it is whole and on disk, and then is there at once."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import secrets
import stat

from glancelite.plugins.store.file import direct_io

LOG = logging.getLogger(__name__)

#: what a published file may be called; never the name of a partial one
KEY = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,254}', re.ASCII)
PREFIX = '.partial-'
#: bytes between two hints to the kernel about what it may write and forget
STRIDE = 8 << 20
#: how far behind the writer pages are looked at once more, to be forgotten when they
#: have reached the disk
BEHIND = 64 << 20
#: bytes of a file that go through the page cache, where a small image stays for its readers
CACHED = 32 << 20
#: the same while nobody knows whether the image is small
CACHED_AT_FIRST = 8 << 20

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Partial:
    """A new file in ``root``; its name is removed at the end of the ``with`` block.

    It is locked while its writer lives, which is how ``sweep`` knows.
    All methods raise plain ``OSError``.

    :param chunk: smaller pieces are gathered to this many bytes.
    :param mode: permissions of the published file; 0 leaves them to the umask.
    :param thin: leave holes for chunks of zeros.
    :param past_cache: large files may be written past the cache.
    :param size: bytes to come, if somebody knows; they may be others.
    """

    def __init__(self, root: str, chunk: int, mode: int = 0, *, thin: bool = False,
                 past_cache: bool = True, size: int | None = None):
        self.size = 0
        self._root = root
        self._chunk = chunk
        self._mode = mode
        self._zeros = bytes(chunk) if thin else b''
        self._past_cache = past_cache
        self._may_be_direct = past_cache and not thin
        self._cached = CACHED_AT_FIRST if size is None else CACHED if size <= CACHED else 0
        self._direct: direct_io.Direct | None = None
        self._held: list[bytes] = []
        self._holds = 0
        self._position = 0
        self._told = 0
        self._fd, self._path = _create(root)

    def write(self, chunk: bytes) -> None:
        length = len(chunk)
        self.size += length
        if self._direct is not None:
            self._direct.write(chunk)
            return
        if self._holds + length < self._chunk:
            self._held.append(chunk)
            self._holds += length
            return
        if self._held:
            chunk = self._take(chunk)
        if self._zeros and (rest := len(chunk) % self._chunk):
            self._held.append(chunk[-rest:])
            self._holds = rest
            chunk = chunk[:-rest]
        if self._may_be_direct and self._position + len(chunk) >= self._cached:
            chunk = self._go_direct(chunk)
        self._put(chunk)
        if self._position - self._told >= STRIDE:
            self._hurry()

    def _go_direct(self, chunk: bytes) -> bytes:
        """Write past the cache from here on; returns what is still to be written."""
        self._may_be_direct = False
        head = -self._position % direct_io.ALIGNMENT
        self._put(chunk[:head])
        try:
            self._direct = direct_io.Direct(self._fd)
        except OSError:     # not here: the cache is as good as ever
            return chunk[head:]
        self._direct.write(chunk[head:])
        return b''

    def _take(self, *more: bytes) -> bytes:
        """What was gathered, and ``more``."""
        whole = b''.join([*self._held, *more])
        self._held.clear()
        self._holds = 0
        return whole

    def _put(self, data: bytes) -> None:
        if self._zeros:
            self._put_thin(memoryview(data))
            return
        if not data:    # nothing before, or nothing after the first direct write
            return
        done = os.write(self._fd, data)
        self._position += done
        if done < len(data):  # nearly full, or more than the kernel takes at once
            self._put(data[done:])

    def _put_thin(self, data: memoryview) -> None:
        """Write what is not a chunk of zeros; we are always at the start of a chunk."""
        while data:
            end = self._chunk
            if not self._is_zero(data[:end]):
                while end < len(data) and not self._is_zero(data[end:end + self._chunk]):
                    end += self._chunk
                end = os.pwrite(self._fd, data[:end], self._position)
            self._position += end
            data = data[end:]

    def _is_zero(self, data: memoryview) -> bool:
        """Is this a whole chunk, and all of it zero?"""
        # a look at three places answers nearly always, and spares the copy
        return (len(data) == self._chunk
                and not (data[0] or data[-1] or data[self._chunk // 2])
                and bytes(data) == self._zeros)

    def _hurry(self) -> None:
        """Let the disk work beside the upload, and memory go round in circles.

        On Linux this advice begins to write dirty pages and waits for none, so
        that ``fsync`` finds little to do.  Pages of a large file that are on the
        disk already leave the cache: where it cannot be written past, the same
        few pages are used again and again.
        """
        start = self._told
        if self._past_cache and self._position > CACHED:
            start = max(0, start - BEHIND)
        os.posix_fadvise(self._fd, start, self._position - start, os.POSIX_FADV_DONTNEED)
        self._told = self._position

    def publish(self, key: str) -> str:
        """Give the file its name, for good.

        :returns: its path.
        :raises FileExistsError: the name is taken; the owner of it is untouched.
        """
        target = os.path.join(self._root, key)
        if self._direct is not None:
            self._direct.finish()
        if self._held:
            self._put(self._take())
        if self._zeros:
            os.ftruncate(self._fd, self.size)
        if self._mode:
            try:
                os.fchmod(self._fd, self._mode)
            except OSError as error:
                LOG.warning('%s keeps its permissions: %s', target, error.strerror)
        os.fsync(self._fd)
        _name(self._path, target)
        try:
            _sync(self._root)
        except BaseException:
            remove(target)
            raise
        return target

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._direct is not None:
            self._direct.abandon()
        try:
            remove(self._path)
        except OSError as error:  # must not hide why we are here; the sweep will get it
            LOG.warning('%s is left behind: %s', self._path, error.strerror)
        finally:
            os.close(self._fd)


def _create(root: str) -> tuple[int, str]:
    while True:
        path = os.path.join(root, f'{PREFIX}{os.getpid()}-{secrets.token_hex(8)}')
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # a sweep was quicker and is about to remove it
            os.close(fd)
            continue
        except OSError:  # no locks here, so no sweep removes it either
            return fd, path
        if os.fstat(fd).st_nlink:
            return fd, path
        os.close(fd)


def _name(path: str, target: str) -> None:
    """``target`` becomes the file at ``path``, unless it exists."""
    try:
        os.link(path, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # without links: whoever makes the empty file owns the name
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            os.rename(path, target)
        except BaseException:
            remove(target)
            raise


def _sync(root: str) -> None:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove(path: str) -> None:
    """Remove a file, or find it gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def sweep(root: str) -> int:
    """Remove what writers that died have left in ``root``; returns how many.

    Works for writers on other hosts where the file system carries locks.
    """
    removed = 0
    with os.scandir(root) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(PREFIX)]
    for path in left:
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
            continue  # its writer lives, another sweep is here, or we may not
        finally:
            os.close(fd)
    if removed:
        LOG.info('removed %d left-overs from %s', removed, root)
    return removed
