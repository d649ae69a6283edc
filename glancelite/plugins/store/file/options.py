"""The options of the file store."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Mapping, Sequence

from oslo_config import cfg

from glancelite import contract

LOG = logging.getLogger(__name__)

DEFAULT_DATADIR = '/var/lib/glance/images'

OPTS = (
    cfg.StrOpt('filesystem_store_datadir', sample_default=DEFAULT_DATADIR,
               help='Directory for image files; created if it is missing. Defaults to '
                    f'{DEFAULT_DATADIR} if filesystem_store_datadirs is not set either.'),
    cfg.MultiStrOpt('filesystem_store_datadirs',
                    help='Several directories, each "path" or "path:priority". An image is '
                         'stored in the directory with the highest priority that has room for '
                         'it; of equal ones, in that with the most free space. Cannot be '
                         'combined with filesystem_store_datadir.'),
    cfg.StrOpt('filesystem_store_metadata_file',
               help='JSON file with an object, or a list of objects, with "id" and '
                    '"mountpoint". The object whose mountpoint contains a new image becomes '
                    'metadata of its location.'),
    cfg.IntOpt('filesystem_store_file_perm', default=0,
               help='Permissions of new image files, as octal digits such as 640; '
                    '0 for those of the umask. The owner must be able to read.'),
    cfg.IntOpt('filesystem_store_chunk_size', default=65536, min=1,
               help='Bytes per read, minimum bytes per write, and size of the holes of thin '
                    'provisioning.'),
    cfg.BoolOpt('filesystem_thin_provisioning', default=False,
                help='Leave holes in the file for chunks of zeros.'),
    cfg.BoolOpt('filesystem_store_direct_io', default=True,
                help='Write large images with O_DIRECT if the file system supports it. This '
                     'takes less CPU time, and uploads do not displace other images in the '
                     'page cache. The first download is then read from the disk.'),
    cfg.IntOpt('filesystem_store_timeout', min=0,
               sample_default='30 for all but local file systems',
               help='Seconds that a call into a data directory may take before the request '
                    'fails with 503. While a directory does not answer at all, requests fail '
                    'immediately. If this is not set, transfers of data from and to local file '
                    'systems are not limited. 0 means no limit, as in Glance by default.'),
    cfg.IntOpt('filesystem_store_thread_pool_size', default=10, min=1,
               help='Maximum number of concurrent calls with such a limit into each data '
                    'directory, and so of threads that can hang there.'),
    cfg.IntOpt('filesystem_store_threadpool_threshold', default=75, min=0, max=100,
               help='Percentage of these threads in use at which a warning is logged.'),
)


def parse_directories(single: str | None, several: Sequence[str] | None) -> dict[str, int]:
    """Return the priorities of the data directories by path.

    :raises Misconfigured: both options are set, or a value is invalid.
    """
    if single and several:
        raise contract.Misconfigured('set either filesystem_store_datadir or '
                                     'filesystem_store_datadirs, not both')
    directories: dict[str, int] = {}
    for value in several or [single or DEFAULT_DATADIR]:
        path, colon, priority = value.strip().rpartition(':') if several else (value, '', '0')
        if not colon:
            path, priority = value.strip(), '0'
        if not (priority.strip().isdecimal() and os.path.isabs(path)):
            raise contract.Misconfigured('filesystem_store_datadir and each of '
                                         'filesystem_store_datadirs must be an absolute path, the '
                                         f'latter optionally with :priority, not {value!r}')
        path = os.path.normpath(path)
        if path in directories:
            LOG.warning('filesystem_store_datadirs lists %s twice', path)
        if directories.setdefault(path, int(priority)) != int(priority):
            raise contract.Misconfigured(f'filesystem_store_datadirs gives {path} '
                                         'two priorities')
    return directories


def parse_file_mode(permissions: int) -> int:
    """Return a file mode from octal digits that were read as a decimal number.

    :returns: 0 for the permissions of the umask.
    :raises Misconfigured: the value is invalid.
    """
    if permissions <= 0:
        return 0
    try:
        mode = int(str(permissions), 8)
    except ValueError:
        mode = 0
    if not mode & stat.S_IRUSR or mode > 0o7777:
        raise contract.Misconfigured('filesystem_store_file_perm must be octal digits that let '
                                     f'the owner read, such as 640, not {permissions}')
    return mode


def load_mountpoints(path: str | None) -> Sequence[Mapping[str, str]]:
    """Read ``filesystem_store_metadata_file``; the most specific mountpoint comes first.

    :raises Misconfigured: the file is unreadable or malformed.
    """
    if not path:
        return ()
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        raise contract.Misconfigured(f'filesystem_store_metadata_file {path} cannot be '
                                     f'read: {error}') from error
    entries = content if isinstance(content, list) else [content]
    for entry in entries:
        if not (isinstance(entry, dict) and isinstance(entry.get('id'), str)
                and isinstance(entry.get('mountpoint'), str)):
            raise contract.Misconfigured(f'filesystem_store_metadata_file {path} must contain '
                                         'objects with the strings "id" and "mountpoint"')
    return tuple(sorted(entries, key=lambda entry: -len(entry['mountpoint'].rstrip('/'))))
