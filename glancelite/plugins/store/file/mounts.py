"""Which file system is mounted where, learned without touching any."""

from __future__ import annotations

import re
from typing import NamedTuple

#: what does not wait for another machine
LOCAL = frozenset((
    'aufs', 'bcachefs', 'btrfs', 'exfat', 'ext2', 'ext3', 'ext4', 'f2fs', 'jfs', 'nilfs2', 'ntfs',
    'ntfs3', 'overlay', 'ramfs', 'reiserfs', 'rootfs', 'tmpfs', 'vfat', 'xfs', 'zfs'))

_OCTAL = re.compile(r'\\([0-7]{3})')


class Mount(NamedTuple):
    """What is mounted; ``number`` is another one after each mounting."""

    number: int
    kind: str

    @property
    def local(self) -> bool:
        return self.kind in LOCAL


UNKNOWN = Mount(0, '')


def of(path: str, table: str = '/proc/self/mountinfo') -> Mount:
    """The mount that holds ``path``, which is absolute and without symbolic links."""
    longest, found = -1, UNKNOWN
    try:
        with open(table, encoding='utf-8', errors='surrogateescape') as lines:
            for line in lines:
                before, _, after = line.partition(' - ')
                fields = before.split(' ')
                where = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]).rstrip('/')
                # of those at one place, the last one covers the others
                if len(where) >= longest and f'{path}/'.startswith(f'{where}/'):
                    longest, found = len(where), Mount(int(fields[0]), after.split(' ')[0])
    except (OSError, ValueError, IndexError):   # no Linux, or no /proc
        return UNKNOWN
    return found
