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
from glancelite.contract import store_rules
from glancelite.plugins.store.file import guarded_io, upload
from glancelite.plugins.store.file.watchdog import Guard, NoAnswer

LOG = logging.getLogger(__name__)

DEFAULT_DATADIR = '/var/lib/glance/images'
#: seconds between two looks for what died processes have left
SWEEP_EVERY = 900
#: seconds that a directory may take before the start, or who asks about health, goes on
PATIENCE = 5

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
        cfg.IntOpt('filesystem_store_timeout', min=0,
                   sample_default='30 for all but local file systems',
                   help='Seconds that a call into a data directory may take before the request '
                        'is answered with 503. A directory that answers nothing at all is left '
                        'alone, at once and by everybody, until it answers again. If this is '
                        'not set, local file systems are trusted with the bytes of images. 0 '
                        'lets requests wait, as Glance does by default.'),
        cfg.IntOpt('filesystem_store_thread_pool_size', default=10, min=1,
                   help='Calls with such a limit that may be under way at once, for each data '
                        'directory; as many threads at most can get stuck in a dead one.'),
        cfg.IntOpt('filesystem_store_threadpool_threshold', default=75, min=0, max=100,
                   help='A warning is logged when this percentage of them is under way.'),
    )
    CAPABILITIES = frozenset({'write', 'range'})
    ACCEPTS_MEMORYVIEW = True
    SCHEMES = ('file', 'filesystem')

    @classmethod
    def reserved_defaults(cls, name, options):
        if options.filesystem_store_datadir or options.filesystem_store_datadirs:
            return contract.EMPTY
        return {'filesystem_store_datadir': f'/var/lib/glance/{name}'}

    def __init__(self, options, host, *, name='file', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        self._roots = _roots(options.filesystem_store_datadir, options.filesystem_store_datadirs)
        self._mode = _mode(options.filesystem_store_file_perm)
        self._mountpoints = _mountpoints(options.filesystem_store_metadata_file)
        self._chunk = options.filesystem_store_chunk_size
        self._thin = options.filesystem_thin_provisioning
        self._guards = {root: self._guard(root) for root in self._roots}
        self._real = {root: root for root in self._roots}
        self._unready = dict.fromkeys(self._roots)
        for root, guard in self._guards.items():
            try:
                guard.ask(self._make_ready, root, deadline=min(PATIENCE, guard.deadline))
            except OSError as error:
                LOG.warning('store %s: %s is not usable yet: %s', name, root, error.strerror)
        self._sweep(lambda guard, *call: guard.ask(*call, deadline=min(PATIENCE, guard.deadline)))

    def _guard(self, root):
        options = self.options
        return Guard(root, timeout=options.filesystem_store_timeout,
                     threads=options.filesystem_store_thread_pool_size,
                     busy=options.filesystem_store_threadpool_threshold,
                     returned=lambda: self._welcome(root))

    def close(self):
        for guard in self._guards.values():
            guard.close()

    # what the service asks

    def write(self, key, chunks, *, size=None, ctx=None):
        if not upload.KEY.fullmatch(key):
            raise contract.Invalid('This cannot be the name of an image file.')
        try:
            if time.monotonic() > self._sweep_at:
                self._sweep()
            root = self._choose(key, size or 0)
            file = guarded_io.Upload(self._guards[root], lambda: upload.Partial(
                root, self._chunk, self._mode, thin=self._thin,
                past_cache=self.options.filesystem_store_direct_io, size=size))
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
        return contract.WriteResult(f'file://{path}', file.size, self._metadata(path))

    def read(self, url, *, offset=0, length=None, ctx=None):
        guard, path = self._find(url)
        ahead = 0
        if guard.strict:
            ahead = guarded_io.PIECE if length is None else min(length, guarded_io.PIECE)
        try:
            file, size, first = guard.call(_open, path, offset, ahead, late=_close)
        except OSError as error:
            raise self._reading(error) from error
        rest = size - offset
        length = rest if length is None else min(length, rest)
        if ahead and rest >= 0:
            return guarded_io.Extent(guard, file, offset, length, first)
        if rest < 0:
            guard.background(file.close) if ahead else file.close()
            raise store_rules.beyond_end(size)
        return contract.FileExtent(file, offset, length, self._chunk)

    def size(self, url, *, ctx=None):
        return self._stat(*self._find(url)).st_size

    def delete(self, url, *, ctx=None):
        guard, path = self._find(url)
        self._stat(guard, path)
        try:
            guard.move(os.unlink, path)
        except FileNotFoundError:
            raise store_rules.no_data() from None
        except NoAnswer as error:
            raise self._meaning(error) from error
        except OSError as error:
            LOG.error('store %s cannot remove %s: %s', self.name, path, error.strerror)
            if error.errno in _REFUSED:
                raise contract.Forbidden('The data may not be removed.') from error
            raise contract.Unavailable('The data cannot be removed now.') from error

    def discard(self, key, *, ctx=None):
        if not upload.KEY.fullmatch(key):
            raise contract.Invalid('This cannot be the name of an image file.')
        failure = None
        for root, guard in self._guards.items():
            try:
                guard.move(upload.remove, os.path.join(root, key))
            except OSError as error:
                failure = failure or error
        self._sweep()
        if failure is not None:
            raise self._meaning(failure) from failure

    def owns(self, url):
        return self._locate(url) is not None

    def properties(self):
        roots = list(self._roots)
        return {'data_dir': roots if len(roots) > 1 else roots[0],
                'chunk_size': self._chunk,
                'thin_provisioning': self._thin}

    def exclusive_resources(self):
        return set(self._real.values())

    def health(self):
        room, problems = 0, []
        for root, guard in self._guards.items():
            try:
                guard.ping(min(PATIENCE, guard.deadline))
                room += guard.ask(self._usable, root, deadline=min(PATIENCE, guard.deadline))
            except OSError as error:
                problems.append(f'{root}: {error.strerror}')
        if problems:
            raise contract.Unavailable('; '.join(problems))
        return f'{room / (1 << 30):.1f} GiB free'

    # directories; what gets a ``root`` is called by its guard

    def _usable(self, root):
        self._make_ready(root)
        if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, 'the directory is not writable', root)
        return _room(root)

    def _make_ready(self, root):
        """Make the directory; again and again until it works once."""
        if root not in self._unready:
            return
        os.makedirs(root, exist_ok=True)
        self._real[root] = os.path.realpath(root)
        self._guards[root].found(self._real[root])
        if self._mode and self._mode & 0o077:
            have = stat.S_IMODE(os.stat(root).st_mode)
            want = have | (0o010 if self._mode & 0o070 else 0) | (0o001 if self._mode & 7 else 0)
            try:
                if want != have:
                    os.chmod(root, want)
            except OSError as error:
                LOG.warning('others cannot enter %s: %s', root, error.strerror)
        self._unready.pop(root, None)

    def _survey(self, root, key):
        """Room for an image; raises if there is one of this name already."""
        if os.path.lexists(os.path.join(root, key)):
            raise self._taken()
        self._make_ready(root)
        return _room(root)

    def _choose(self, key, size):
        """The directory for a new image of ``size`` bytes."""
        best = None
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        failure = None
        for root, priority in self._roots.items():
            try:
                room = self._guards[root].call(self._survey, root, key)
            except OSError as error:  # the others may do
                failure = failure or error
                continue
            failure = full
            if room >= size and (best is None or (priority, room) > best[:2]):
                best = (priority, room, root)
        if best is None:
            raise failure
        return best[2]

    def _sweep(self, call=lambda guard, *call: guard.move(*call, patience=guarded_io.PATIENCE)):
        self._sweep_at = time.monotonic() + SWEEP_EVERY
        for root, guard in self._guards.items():
            try:
                call(guard, upload.sweep, root)
            except NoAnswer:
                pass    # it is swept when it answers
            except OSError as error:
                LOG.warning('cannot look for left-overs in %s: %s', root, error.strerror)

    def _welcome(self, root):
        """The directory is here again."""
        self._make_ready(root)
        upload.sweep(root)

    def _settle(self, key, path):
        """Take ``path`` back if another writer has used another directory meanwhile."""
        for root, guard in self._guards.items():
            other = os.path.join(root, key)
            try:
                if other == path or not guard.call(os.path.lexists, other):
                    continue
            except NoAnswer:    # the core uses no key twice, and uploads must go on
                continue
            try:
                self._guards[os.path.dirname(path)].move(upload.remove, path)
            except OSError as error:
                raise self._meaning(error) from error
            raise self._taken()

    def _metadata(self, path):
        for entry in self._mountpoints:
            if path.startswith(entry['mountpoint'].rstrip('/') + '/'):
                return dict(entry)      # the caller adds to it
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
        if root in self._roots and upload.KEY.fullmatch(name):
            return path
        return None

    def _find(self, url):
        """The guard of its directory, and the path."""
        path = self._locate(url)
        if path is None:
            raise store_rules.foreign_url()
        return self._guards[path.rpartition('/')[0]], path

    def _stat(self, guard, path):
        try:
            found = guard.call(os.lstat, path)
        except OSError as error:
            raise self._reading(error) from error
        if not stat.S_ISREG(found.st_mode):
            raise store_rules.no_data()
        return found

    # failures

    def _taken(self):
        return store_rules.key_in_use()

    def _reading(self, error):
        if error.errno in _ABSENT:
            return store_rules.no_data()
        return self._meaning(error)

    def _meaning(self, error):
        """What a failure of the operating system means; its details are for the log."""
        if not isinstance(error, NoAnswer):     # that was told once
            LOG.error('store %s: %s', self.name, error)
        if error.errno in _FULL:
            return contract.TooLarge('The store is full.')
        return contract.Unavailable('The store cannot be used now.')


def _open(path, offset, ahead):
    """An image file, its size, and up to ``ahead`` bytes from ``offset`` on."""
    # a pipe or a symbolic link that somebody put there must neither hang nor lead us
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(errno.ENOENT, 'no regular file', path)
        first = os.pread(fd, ahead, offset) if ahead else b''
        return os.fdopen(fd, 'rb', buffering=0), found.st_size, first
    except BaseException:
        os.close(fd)
        raise


def _close(opened):
    if opened is not None:
        opened[0].close()


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
        if path in roots:
            LOG.warning('filesystem_store_datadirs names %s twice', path)
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
    # the nearest one first, where one lies within another
    return tuple(sorted(entries, key=lambda entry: -len(entry['mountpoint'].rstrip('/'))))
