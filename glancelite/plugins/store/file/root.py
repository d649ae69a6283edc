"""Finds out whether a data directory is away, such as the one of a share that is not mounted."""

from __future__ import annotations

import errno
import os
import stat

from glancelite.plugins.store.file import mounts, partial_file


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
    * an empty directory in the place of the one that was seen first;
    * for a file that should be there: an empty directory that was never seen in use.

    Hidden files, such as ``.keep``, and ``lost+found`` do not count as entries.

    A directory is in use when it has entries, when it has changed, or when this process has
    written into it.  The methods make calls into the directory, so its watchdog calls them.
    """

    def __init__(self, path: str):
        self.path = path
        self._mount_point: str | None = None
        self._known: os.stat_result | None = None   # the directory as it was accepted last
        self._in_use = False

    def check_missing(self) -> None:
        """Check that a file which is not in the directory is missing.

        :raises OSError: the directory is away.
        """
        self.check_usable()
        if not self._in_use:
            raise DirectoryAway(self.path, 'the directory is empty and was never in use: is its '
                                           'file system mounted?')

    def check_usable(self) -> None:
        """Check that the directory is not away, for a new file or for a key without a URL.

        :raises OSError: the directory is away.
        """
        status, known = os.stat(self.path), self._known
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self.path)
        is_same = known is not None and os.path.samestat(status, known)
        if is_same and self._in_use:
            return
        is_mounted_anew = self._check_mount()
        if ((is_same and known is not None and status.st_mtime_ns != known.st_mtime_ns)
                or not _is_empty(self.path)):
            self._in_use = True
        elif is_mounted_anew:
            self._in_use = False
        elif known is not None and not is_same:
            raise DirectoryAway(self.path, 'there is another directory, which is empty; if that '
                                           'is intended, restart the service')
        self._known = status

    def mark_used(self) -> None:
        """Report that this process has begun to write a file."""
        self._known, self._in_use = os.stat(self.path), True

    def _check_mount(self) -> bool:
        """Return whether something was mounted on the path since the last call.

        :raises DirectoryAway: the mount has ended.
        """
        real_path = os.path.realpath(self.path)
        mount = mounts.find_mount(real_path)
        if mount == mounts.UNKNOWN:
            return False
        before, self._mount_point = self._mount_point, mount.mount_point
        if before is None or mount.mount_point == before:
            return False
        if len(mount.mount_point) < len(before) and f'{real_path}/'.startswith(f'{before}/'):
            self._mount_point = before
            raise DirectoryAway(self.path, f'nothing is mounted on {before} any more')
        return True


def _is_empty(path: str) -> bool:
    """Return whether there are no files of a store; a mount point may have a few of others."""
    with os.scandir(path) as entries:
        return not any(
            entry.name.startswith(partial_file.PREFIX)
            or (entry.name != 'lost+found' and not entry.name.startswith('.'))
            for entry in entries)
