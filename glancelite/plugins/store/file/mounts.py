"""Finds the file system type of a path from /proc, without accessing the mount."""

from __future__ import annotations

import re
from typing import NamedTuple

#: file systems that do not depend on another machine
LOCAL_TYPES = frozenset((
    'aufs', 'bcachefs', 'btrfs', 'exfat', 'ext2', 'ext3', 'ext4', 'f2fs', 'jfs', 'nilfs2', 'ntfs',
    'ntfs3', 'overlay', 'ramfs', 'reiserfs', 'rootfs', 'tmpfs', 'vfat', 'xfs', 'zfs'))

_OCTAL = re.compile(r'\\([0-7]{3})')


class Mount(NamedTuple):
    """A mounted file system; ``mount_id`` changes with each mount.

    ``mount_point`` has no slash at its end.
    """

    mount_id: int
    fs_type: str
    mount_point: str = ''

    @property
    def is_local(self) -> bool:
        return self.fs_type in LOCAL_TYPES


UNKNOWN = Mount(0, '')


def find_mount(path: str, table: str = '/proc/self/mountinfo') -> Mount:
    """Return the mount that contains ``path``, or ``UNKNOWN`` if the table is not readable.

    :param path: absolute and without symbolic links.
    """
    longest, mount = -1, UNKNOWN
    try:
        with open(table, encoding='utf-8', errors='surrogateescape') as lines:
            for line in lines:
                before, _, after = line.partition(' - ')
                fields = before.split(' ')
                mount_point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]).rstrip('/')
                # the last mount on a mount point hides the earlier ones
                if len(mount_point) >= longest and f'{path}/'.startswith(f'{mount_point}/'):
                    longest = len(mount_point)
                    mount = Mount(int(fields[0]), after.split(' ')[0], mount_point)
    except (OSError, ValueError, IndexError):
        return UNKNOWN
    return mount
