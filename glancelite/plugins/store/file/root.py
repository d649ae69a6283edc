"""Finds out whether a data directory is away, such as the one of a share that is not mounted."""

from __future__ import annotations

import errno
import os
import re
import stat

from glancelite.plugins.store.file import mounts, partial_file

#: names that a store gives to files, as Glance does: the key of an image begins with its id
_IMAGE = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', re.IGNORECASE)
_EMPTY, _FOREIGN, _IMAGES = range(3)


class DirectoryAway(OSError):
    """What is at the path now is not the data directory."""

    def __init__(self, path: str, reason: str):
        super().__init__(errno.ENODEV, reason, path)


class Root:
    """One data directory, and what this process has seen of it.

    A missing file means nothing without its directory.  Of a share that is not mounted, the
    mount point remains: a directory that is empty, or has files of others.  So these count as
    away:

    * a path that leads to no directory;
    * a directory whose mount has ended since it was first seen;
    * a directory without images in the place of the one that was seen first;
    * for a file that should be there: a directory that was never seen in use.

    A directory is in use when it has a file that is named like an image, when it is empty and
    has changed, or when this process has written into it.  A marker in the directory would
    prove no more: those that Glance made have none.  Hidden files, such as ``.keep``, and
    ``lost+found`` are in empty directories, too.  The methods make calls into the
    directory, so its watchdog calls them.
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
            raise DirectoryAway(self.path, 'no image is in the directory, and none was: is its '
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
        content = _content(self.path)
        has_changed = (is_same and known is not None
                       and status.st_mtime_ns != known.st_mtime_ns)
        if content == _IMAGES or (content == _EMPTY and has_changed):
            self._in_use = True
        elif is_mounted_anew:
            self._in_use = False
        elif known is not None and not is_same:
            raise DirectoryAway(self.path, 'there is another directory, without images; if that '
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


def _content(path: str) -> int:
    """Return whether there are files of a store, files of others, or none that count."""
    content = _EMPTY
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(partial_file.PREFIX) or _IMAGE.match(entry.name):
                return _IMAGES
            if entry.name != 'lost+found' and not entry.name.startswith('.'):
                content = _FOREIGN
    return content
