"""Finds out whether a data directory is away, such as the one of a share that is not mounted."""

from __future__ import annotations

import errno
import os
import stat

from glancelite.plugins.store.file import mounts


class DirectoryAway(OSError):
    """What is at the path now is not the data directory."""

    def __init__(self, path: str, reason: str):
        super().__init__(errno.ENODEV, reason, path)


class Root:
    """One data directory, and what this process has seen of it.

    A missing file means nothing without its directory.  Of a share that is not mounted, an
    empty directory remains: the mount point.  So these count as away:

    * a path that leads to no directory;
    * a directory whose mount has ended since it was first seen;
    * an empty directory in the place of one that was in use;
    * for a file that should be there: an empty directory that was never seen in use.

    A directory is in use when it has entries, when it has changed, or when this process has
    written into it.  The methods make calls into the directory, so its watchdog calls them.
    """

    def __init__(self, path: str):
        self.path = path
        self._mount_point = ''
        self._in_use: tuple[int, int] | None = None     # device and inode
        self._empty: os.stat_result | None = None

    def prepare(self, real_path: str) -> None:
        """Look at the directory for the first time.

        :param real_path: without symbolic links.
        """
        status = os.stat(self.path)
        self._mount_point = mounts.find_mount(real_path).mount_point
        if _is_empty(self.path):
            self._empty = status
        else:
            self._in_use = (status.st_dev, status.st_ino)

    def check_missing(self) -> None:
        """Check that a file which is not in the directory is missing.

        :raises OSError: the directory is away.
        """
        self._check()
        if self._in_use is None:
            raise DirectoryAway(self.path, 'the directory is empty and was never in use: is its '
                                           'file system mounted?')

    def check_usable(self) -> None:
        """Check that the directory is not away, for a new file or for a key without a URL.

        :raises OSError: the directory is away.
        """
        self._check()

    def mark_used(self) -> None:
        """Report that this process has begun to write a file."""
        status = os.stat(self.path)
        self._in_use = (status.st_dev, status.st_ino)

    def _check(self) -> os.stat_result:
        status = os.stat(self.path)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self.path)
        identity = (status.st_dev, status.st_ino)
        if identity == self._in_use:
            return status
        self._check_mount()
        if self._has_changed(status) or not _is_empty(self.path):
            self._in_use = identity
        elif self._in_use is not None:
            raise DirectoryAway(self.path, 'there is another directory, which is empty; if that '
                                           'is intended, restart the service')
        return status

    def _has_changed(self, status: os.stat_result) -> bool:
        """Return whether a directory that was empty at first has had entries since."""
        first = self._empty
        return (first is not None and os.path.samestat(status, first)
                and status.st_mtime_ns != first.st_mtime_ns)

    def _check_mount(self) -> None:
        real_path = os.path.realpath(self.path)
        mount = mounts.find_mount(real_path)
        if mount == mounts.UNKNOWN:
            return
        before = self._mount_point
        if len(mount.mount_point) < len(before) and f'{real_path}/'.startswith(f'{before}/'):
            raise DirectoryAway(self.path, f'nothing is mounted on {before} any more')
        self._mount_point = mount.mount_point


def _is_empty(path: str) -> bool:
    with os.scandir(path) as entries:
        return next(entries, None) is None
