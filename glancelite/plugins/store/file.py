"""Images as plain files, in the layout that Glance uses."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import time

from oslo_config import cfg

from glancelite import contract
from glancelite.plugins.store import partial

LOG = logging.getLogger(__name__)

DEFAULT_DATADIR = '/var/lib/glance/images'
#: seconds between two looks for what died processes have left
SWEEP_EVERY = 900

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR,
           errno.ENAMETOOLONG}


class FileStore(contract.Store):
    """One file per image, named by its key, directly in a data directory.

    Data is written beside its final name and published by a link, so that a
    file under its final name is always whole, on disk, and never overwritten.
    """

    OPTS = (
        cfg.StrOpt('filesystem_store_datadir', sample_default=DEFAULT_DATADIR,
                   help='Directory that holds the image files; made if it is missing. '
                        f'{DEFAULT_DATADIR} if filesystem_store_datadirs is not set either.'),
        cfg.MultiStrOpt('filesystem_store_datadirs',
                        help='Several directories, each "path" or "path:priority"; the one with '
                             'the highest priority and then with the most room takes an image. '
                             'Instead of filesystem_store_datadir.'),
        cfg.StrOpt('filesystem_store_metadata_file',
                   help='JSON file with an object, or a list of objects, of "id" and '
                        '"mountpoint"; the one whose mountpoint holds a new image becomes '
                        'metadata of its location.'),
        cfg.IntOpt('filesystem_store_file_perm', default=0,
                   help='Permissions of new image files, as octal digits such as 640; '
                        '0 leaves them to the umask. The owner must be able to read.'),
        cfg.IntOpt('filesystem_store_chunk_size', default=65536, min=1,
                   help='Bytes per read, the least bytes per write, and the size of the holes '
                        'of thin provisioning.'),
        cfg.BoolOpt('filesystem_thin_provisioning', default=False,
                    help='Leave holes in the file where a whole chunk is zero.'),
        cfg.BoolOpt('filesystem_store_direct_io', default=True,
                    help='Write what is large past the page cache where the file system can: '
                         'for less work, and so that uploads push no other images out of '
                         'memory. Their first readers then read from the disk.'),
    )
    CAPABILITIES = frozenset({'write', 'range'})
    SCHEMES = ('file', 'filesystem')

    def __init__(self, options, host, *, name='file', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        self._roots = _roots(options.filesystem_store_datadir, options.filesystem_store_datadirs)
        self._mode = _mode(options.filesystem_store_file_perm)
        self._mountpoints = _mountpoints(options.filesystem_store_metadata_file)
        self._chunk = options.filesystem_store_chunk_size
        self._thin = options.filesystem_thin_provisioning
        self._unready = dict.fromkeys(self._roots)
        for root in self._roots:
            try:
                self._make_ready(root)
            except OSError as error:
                LOG.warning('store %s: %s is not usable yet: %s', name, root, error.strerror)
        self._sweep()

    # what the service asks

    def write(self, key, chunks, *, size=None, ctx=None):
        if not partial.KEY.fullmatch(key):
            raise contract.Invalid('This cannot be the name of an image file.')
        try:
            if time.monotonic() > self._sweep_at:
                self._sweep()
            self._refuse_if_taken(key)
            root = self._choose(size or 0)
            file = partial.Partial(root, self._chunk, self._mode, thin=self._thin,
                                   past_cache=self.options.filesystem_store_direct_io)
        except OSError as error:
            raise self._meaning(error) from error
        with file:
            put = file.write
            for chunk in chunks:
                try:
                    put(chunk)
                except OSError as error:
                    raise self._meaning(error) from error
            try:
                path = file.publish(key)
            except FileExistsError:
                raise self._taken() from None
            except OSError as error:
                raise self._meaning(error) from error
        if len(self._roots) > 1:
            self._settle(key, path)
        return contract.Written(f'file://{path}', file.size, self._metadata(path))

    def read(self, url, *, offset=0, length=None, ctx=None):
        path = self._path(url)
        try:
            # a pipe or a symbolic link that somebody put there must neither hang nor lead us
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise self._reading(error) from error
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise contract.NotFound('There is no data at this location.')
        file = os.fdopen(fd, 'rb', buffering=0)
        size = found.st_size
        if offset > size:
            file.close()
            raise contract.RangeNotSatisfiable('The data is shorter than that.', size=size)
        rest = size - offset
        return contract.FileExtent(file, offset, rest if length is None else min(length, rest),
                                   self._chunk)

    def size(self, url, *, ctx=None):
        return self._stat(self._path(url)).st_size

    def delete(self, url, *, ctx=None):
        path = self._path(url)
        self._stat(path)
        try:
            os.unlink(path)
        except FileNotFoundError:
            raise contract.NotFound('There is no data at this location.') from None
        except OSError as error:
            LOG.error('store %s cannot remove %s: %s', self.name, path, error.strerror)
            if error.errno in _REFUSED:
                raise contract.Forbidden('The data may not be removed.') from error
            raise contract.Unavailable('The data cannot be removed now.') from error

    def discard(self, key, *, ctx=None):
        if not partial.KEY.fullmatch(key):
            raise contract.Invalid('This cannot be the name of an image file.')
        try:
            for root in self._roots:
                partial.remove(os.path.join(root, key))
        except OSError as error:
            raise self._meaning(error) from error
        self._sweep()

    def owns(self, url):
        return self._locate(url) is not None

    def properties(self):
        roots = list(self._roots)
        return {'data_dir': roots if len(roots) > 1 else roots[0],
                'chunk_size': self._chunk,
                'thin_provisioning': self._thin}

    def health(self):
        room = 0
        for root in self._roots:
            try:
                self._make_ready(root)
                room += _room(root)
            except OSError as error:
                raise contract.Unavailable(f'{root}: {error.strerror}') from error
            if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
                raise contract.Unavailable(f'{root} is not writable')
        return f'{room / (1 << 30):.1f} GiB free'

    # directories

    def _make_ready(self, root):
        """Make the directory; again and again until it works once."""
        if root not in self._unready:
            return
        os.makedirs(root, exist_ok=True)
        if self._mode and self._mode & 0o077:
            have = stat.S_IMODE(os.stat(root).st_mode)
            want = have | (0o010 if self._mode & 0o070 else 0) | (0o001 if self._mode & 7 else 0)
            try:
                if want != have:
                    os.chmod(root, want)
            except OSError as error:
                LOG.warning('others cannot enter %s: %s', root, error.strerror)
        self._unready.pop(root, None)

    def _choose(self, size):
        """The directory for a new image of ``size`` bytes."""
        best = None
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        failure = None
        for root, priority in self._roots.items():
            try:
                self._make_ready(root)
                room = _room(root)
            except OSError as error:  # the others may do
                failure = failure or error
                continue
            failure = full
            if room >= size and (best is None or (priority, room) > best[:2]):
                best = (priority, room, root)
        if best is None:
            raise failure
        return best[2]

    def _sweep(self):
        self._sweep_at = time.monotonic() + SWEEP_EVERY
        for root in self._roots:
            try:
                partial.sweep(root)
            except OSError as error:
                LOG.warning('cannot look for left-overs in %s: %s', root, error.strerror)

    def _refuse_if_taken(self, key):
        for root in self._roots:
            if os.path.lexists(os.path.join(root, key)):
                raise self._taken()

    def _settle(self, key, path):
        """Take ``path`` back if another writer has used another directory meanwhile."""
        for root in self._roots:
            other = os.path.join(root, key)
            if other != path and os.path.lexists(other):
                try:
                    partial.remove(path)
                except OSError as error:
                    raise self._meaning(error) from error
                raise self._taken()

    def _metadata(self, path):
        for entry in self._mountpoints:
            if path.startswith(entry['mountpoint'].rstrip('/') + '/'):
                return dict(entry)
        if self._mountpoints:
            LOG.warning('no mountpoint of filesystem_store_metadata_file holds %s', path)
        return {}

    # locations

    def _locate(self, url):
        """The path that ``url`` means; None if it is none of ours."""
        scheme, found, path = url.partition('://')
        if not found or scheme not in self.SCHEMES:
            return None
        root, _, name = path.rpartition('/')
        # only names that we could have given: no dots in front, no sub-directories
        if root in self._roots and partial.KEY.fullmatch(name):
            return path
        return None

    def _path(self, url):
        path = self._locate(url)
        if path is None:
            raise contract.Invalid('This location belongs to another store.')
        return path

    def _stat(self, path):
        try:
            found = os.lstat(path)
        except OSError as error:
            raise self._reading(error) from error
        if not stat.S_ISREG(found.st_mode):
            raise contract.NotFound('There is no data at this location.')
        return found

    # failures

    def _taken(self):
        return contract.Conflict('There is data under this key already.')

    def _reading(self, error):
        if error.errno in _ABSENT:
            return contract.NotFound('There is no data at this location.')
        return self._meaning(error)

    def _meaning(self, error):
        """What a failure of the operating system means; its details are for the log."""
        LOG.error('store %s: %s', self.name, error)
        if error.errno in _FULL:
            return contract.TooLarge('The store is full.')
        return contract.Unavailable('The store cannot be used now.')


def _room(root):
    """Bytes that we may still write below ``root``."""
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize


def _roots(single, several):
    """Directory -> priority, as configured.

    :raises Misconfigured: both are set, or they contradict themselves.
    """
    if single and several:
        raise contract.Misconfigured('set either filesystem_store_datadir or '
                                     'filesystem_store_datadirs, not both')
    roots = {}
    for given in several or [single or DEFAULT_DATADIR]:
        path, colon, priority = given.strip().rpartition(':') if several else (given, '', '0')
        if not colon:
            path, priority = given.strip(), '0'
        if not (priority.strip().isdecimal() and os.path.isabs(path)):
            raise contract.Misconfigured('a data directory is an absolute path, in '
                                         'filesystem_store_datadirs perhaps with :priority, '
                                         f'but not {given!r}')
        path = os.path.normpath(path)
        if roots.setdefault(path, int(priority)) != int(priority):
            raise contract.Misconfigured(f'filesystem_store_datadirs gives {path} '
                                         'two priorities')
    return roots


def _mode(permissions):
    """Octal digits that were read as a decimal number -> a file mode; 0 for the umask's."""
    if permissions <= 0:
        return 0
    try:
        mode = int(str(permissions), 8)
    except ValueError:
        mode = 0
    if not mode & stat.S_IRUSR or mode > 0o7777:
        raise contract.Misconfigured('filesystem_store_file_perm must be octal digits that let '
                                     f'the owner read, such as 640, but not {permissions}')
    return mode


def _mountpoints(path):
    if not path:
        return ()
    try:
        with open(path, encoding='utf-8') as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise contract.Misconfigured(f'filesystem_store_metadata_file {path} cannot be '
                                     f'read: {error}') from error
    entries = found if isinstance(found, list) else [found]
    for entry in entries:
        if not (isinstance(entry, dict) and isinstance(entry.get('id'), str)
                and isinstance(entry.get('mountpoint'), str)):
            raise contract.Misconfigured(f'filesystem_store_metadata_file {path} must hold '
                                         'objects with the texts "id" and "mountpoint"')
    return tuple(entries)
