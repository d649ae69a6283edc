"""Images as files, in the layout of Glance."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.file import download, partial_file, upload
from glancelite.plugins.store.file.errors import (
    is_missing,
    not_our_file,
    translate_delete_error,
    translate_error,
)
from glancelite.plugins.store.file.options import (
    OPTS,
    load_mountpoints,
    parse_directories,
    parse_file_mode,
)
from glancelite.plugins.store.file.root import Root
from glancelite.plugins.store.file.watchdog import DirectoryTimeout, Watchdog

LOG = logging.getLogger(__name__)

#: seconds between two sweeps for partial files of dead processes
SWEEP_INTERVAL = 900
#: seconds that a directory may take at the start and for a health check
CHECK_TIMEOUT = 5


class FileStore(contract.Store):
    """One file per image, named by its key, directly in a data directory.

    Data is written to a temporary name and then linked to the final one. A file under its
    final name is always complete and on disk, and is never overwritten.
    """

    OPTS = OPTS
    CAPABILITIES = frozenset({'write', 'range'})
    ACCEPTS_MEMORYVIEW = True
    NODE_LOCAL = True
    SCHEMES = ('file', 'filesystem')

    @classmethod
    def reserved_defaults(cls, name: str, options: Any) -> Mapping[str, object]:
        if options.filesystem_store_datadir or options.filesystem_store_datadirs:
            return contract.EMPTY
        return {'filesystem_store_datadir': f'/var/lib/glance/{name}'}

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'file',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        self._directories = parse_directories(options.filesystem_store_datadir,
                                              options.filesystem_store_datadirs)
        self._mode = parse_file_mode(options.filesystem_store_file_perm)
        self._mountpoints = load_mountpoints(options.filesystem_store_metadata_file)
        self._chunk_size = options.filesystem_store_chunk_size
        self._thin = options.filesystem_thin_provisioning
        self._watchdogs = {each: self._watchdog(each) for each in self._directories}
        self._roots = {each: Root(each) for each in self._directories}
        self._real_paths = {each: each for each in self._directories}
        self._unprepared = dict.fromkeys(self._directories)
        for directory, watchdog in self._watchdogs.items():
            try:
                _check(watchdog, self._prepare, directory)
            except OSError as error:
                LOG.warning('store %s: %s is not usable yet: %s', name, directory, error.strerror)
        if not host.looks_only:
            self._sweep(_check)

    def _watchdog(self, directory: str) -> Watchdog:
        options = self.options
        return Watchdog(directory, timeout=options.filesystem_store_timeout,
                        threads=options.filesystem_store_thread_pool_size,
                        warn_percent=options.filesystem_store_threadpool_threshold,
                        on_recovery=lambda: self._recover(directory))

    def close(self) -> None:
        for watchdog in self._watchdogs.values():
            watchdog.close()

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: contract.Context | None = None) -> contract.WriteResult:
        store_rules.check_key(key)
        try:
            if time.monotonic() > self._next_sweep:
                self._sweep()
            directory = self._choose(key, size or 0)
            file = upload.Upload(self._watchdogs[directory],
                                 lambda: self._new_file(directory, size))
        except OSError as error:
            raise translate_error(self.name, error) from error
        with file:
            write = file.write
            for chunk in chunks:
                try:
                    write(chunk)
                except OSError as error:
                    raise translate_error(self.name, error) from error
            try:
                path = file.publish(key)
            except FileExistsError:
                raise store_rules.key_in_use() from None
            except OSError as error:
                raise translate_error(self.name, error) from error
        if len(self._directories) > 1:
            self._withdraw_duplicate(key, path)
        return contract.WriteResult(f'file://{path}', file.size, self._metadata(path))

    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: contract.Context | None = None) -> Iterator[bytes]:
        watchdog, path = self._find(url)
        ahead = 0
        if watchdog.strict:
            ahead = download.READ_SIZE if length is None else min(length, download.READ_SIZE)
        try:
            file, size, first = watchdog.call(download.open_file, path, offset, ahead,
                                              on_late_result=download.close_file)
        except OSError as error:
            raise self._read_error(watchdog.path, error) from error
        available = size - offset
        length = available if length is None else min(length, available)
        if ahead and available >= 0:
            return download.Extent(watchdog, file, offset, length, first)
        if available < 0:
            watchdog.call_in_background(file.close) if ahead else file.close()
            raise store_rules.beyond_end(size)
        return contract.FileExtent(file, offset, length, self._chunk_size, path=path)

    def size(self, url: str, *, ctx: contract.Context | None = None) -> int:
        status = self._stat(*self._find(url))
        if not stat.S_ISREG(status.st_mode):
            raise store_rules.no_data()
        return status.st_size

    def delete(self, url: str, *, ctx: contract.Context | None = None) -> None:
        watchdog, path = self._find(url)
        if not stat.S_ISREG(self._stat(watchdog, path).st_mode):
            raise not_our_file(self.name, path)
        try:
            watchdog.transfer(os.unlink, path)
        except FileNotFoundError as error:
            raise self._read_error(watchdog.path, error) from error
        except OSError as error:
            raise translate_delete_error(self.name, error, path) from error

    def discard(self, key: str, *, ctx: contract.Context | None = None) -> None:
        store_rules.check_key(key)
        failure = None
        for directory, watchdog in self._watchdogs.items():
            try:
                watchdog.transfer(self._discard_in, directory, key)
            except OSError as error:
                failure = failure or error
        self._sweep()
        if failure is not None:
            raise translate_error(self.name, failure) from failure

    def owns(self, url: str) -> bool:
        return self._path(url) is not None

    def properties(self) -> Mapping[str, object]:
        directories = list(self._directories)
        return {'data_dir': directories if len(directories) > 1 else directories[0],
                'chunk_size': self._chunk_size,
                'thin_provisioning': self._thin}

    def exclusive_resources(self) -> Collection[str]:
        return set(self._real_paths.values())

    def health(self) -> str:
        free, problems = 0, []
        for directory, watchdog in self._watchdogs.items():
            try:
                watchdog.ping(min(CHECK_TIMEOUT, watchdog.timeout))
                free += _check(watchdog, self._usable_space, directory)
            except OSError as error:
                problems.append(f'{directory}: {error.strerror}')
        if problems:
            raise contract.Unavailable('; '.join(problems))
        text = f'{free / (1 << 30):.1f} GiB free'
        return f'{text}; the start creates {", ".join(self._unprepared)}' if (
            self._unprepared) else text

    # data directories; functions that take a ``directory`` are called by its watchdog

    def _usable_space(self, directory: str) -> int:
        """Return the free bytes; raise ``OSError`` if the directory is not usable."""
        self._prepare(directory)
        if directory in self._unprepared:
            return _free_space(_parent(directory))
        self._roots[directory].check_usable()
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, 'the directory is not writable', directory)
        return _free_space(directory)

    def _prepare(self, directory: str) -> None:
        """Create the directory and set its permissions, unless that has succeeded before.

        A tool that only looks leaves it as it is.
        """
        if directory not in self._unprepared:
            return
        if self.host.looks_only and not os.path.lexists(directory):
            return
        if not os.path.isdir(directory):
            os.makedirs(directory, exist_ok=True)
            LOG.info('store %s: created the directory %s', self.name, directory)
        self._real_paths[directory] = os.path.realpath(directory)
        self._watchdogs[directory].set_real_path(self._real_paths[directory])
        self._roots[directory].check_usable()
        if self._mode and self._mode & 0o077 and not self.host.looks_only:
            current = stat.S_IMODE(os.stat(directory).st_mode)
            wanted = (current | (0o010 if self._mode & 0o070 else 0)
                      | (0o001 if self._mode & 7 else 0))
            try:
                if wanted != current:
                    os.chmod(directory, wanted)
            except OSError as error:
                LOG.warning('cannot let other users enter %s: %s', directory, error.strerror)
        self._unprepared.pop(directory, None)

    def _space_for(self, directory: str, key: str) -> int:
        """Return the free bytes.

        :raises Conflict: the directory contains the key.
        """
        if os.path.lexists(os.path.join(directory, key)):
            raise store_rules.key_in_use()
        self._prepare(directory)
        self._roots[directory].check_usable()
        return _free_space(directory)

    def _new_file(self, directory: str, size: int | None) -> partial_file.PartialFile:
        file = partial_file.PartialFile(
            directory, self._chunk_size, self._mode, thin=self._thin,
            bypass_cache=self.options.filesystem_store_direct_io, size=size)
        self._roots[directory].mark_used()
        return file

    def _discard_in(self, directory: str, key: str) -> None:
        if not partial_file.remove_data(os.path.join(directory, key)):
            self._roots[directory].check_usable()

    def _choose(self, key: str, size: int) -> str:
        """Return the directory for a new image of ``size`` bytes.

        :raises OSError: no directory is usable, or all are full.
        """
        best: tuple[int, int, str] | None = None
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        failure: OSError | None = None
        for directory, priority in self._directories.items():
            try:
                free = self._watchdogs[directory].call(self._space_for, directory, key)
            except OSError as error:  # another directory may be usable
                failure = failure or error
                continue
            failure = full
            if free >= size and (best is None or (priority, free) > best[:2]):
                best = (priority, free, directory)
        if best is None:
            raise failure or full
        return best[2]

    def _sweep(self, call: Callable[[Watchdog, Callable, str], Any] | None = None) -> None:
        """Remove partial files of dead writers from all directories."""
        self._next_sweep = time.monotonic() + SWEEP_INTERVAL
        for directory, watchdog in self._watchdogs.items():
            try:
                (call or _transfer)(watchdog, partial_file.sweep, directory)
            except DirectoryTimeout:
                pass    # the directory is swept when it has recovered
            except OSError as error:
                LOG.warning('partial files in %s cannot be removed: %s', directory, error.strerror)

    def _recover(self, directory: str) -> None:
        self._prepare(directory)
        partial_file.sweep(directory)

    def _withdraw_duplicate(self, key: str, path: str) -> None:
        """Remove ``path`` if another writer has stored the key in another directory.

        :raises Conflict: it has.
        """
        for directory, watchdog in self._watchdogs.items():
            other = os.path.join(directory, key)
            try:
                if other == path or not watchdog.call(os.path.lexists, other):
                    continue
            except DirectoryTimeout:    # uploads must succeed; the core uses no key twice
                continue
            try:
                self._watchdogs[os.path.dirname(path)].transfer(partial_file.remove, path)
            except OSError as error:
                raise translate_error(self.name, error) from error
            raise store_rules.key_in_use()

    def _metadata(self, path: str) -> dict[str, object]:
        for entry in self._mountpoints:
            if path.startswith(entry['mountpoint'].rstrip('/') + '/'):
                return dict(entry)      # the caller adds to it
        if self._mountpoints:
            LOG.warning('no mountpoint of filesystem_store_metadata_file contains %s', path)
        return {}

    # locations

    def _path(self, url: str) -> str | None:
        """Return the path of ``url``, or None if the store does not own it."""
        scheme, separator, path = url.partition('://')
        if not separator or scheme not in self.SCHEMES:
            return None
        directory, _, key = path.rpartition('/')
        # only keys: no leading dots, no sub-directories
        if directory in self._directories and store_rules.KEY.fullmatch(key):
            return path
        return None

    def _find(self, url: str) -> tuple[Watchdog, str]:
        """Return the path of ``url`` and the watchdog of its directory.

        :raises Invalid: the store does not own the URL.
        """
        path = self._path(url)
        if path is None:
            raise store_rules.foreign_url()
        return self._watchdogs[path.rpartition('/')[0]], path

    def _stat(self, watchdog: Watchdog, path: str) -> os.stat_result:
        try:
            status: os.stat_result = watchdog.call(os.lstat, path)
        except OSError as error:
            raise self._read_error(watchdog.path, error) from error
        return status

    def _read_error(self, directory: str, error: OSError) -> contract.Error:
        """Translate an error of an operation on existing data."""
        if not is_missing(error):
            return translate_error(self.name, error)
        try:
            self._watchdogs[directory].call(self._roots[directory].check_missing)
        except OSError as away:
            return translate_error(self.name, away)
        return store_rules.no_data()


def _check(watchdog: Watchdog, function: Callable[[str], Any], directory: str) -> Any:
    """Call a function at the start or for a health check."""
    return watchdog.call_with_timeout(function, directory,
                                      timeout=min(CHECK_TIMEOUT, watchdog.timeout))


def _transfer(watchdog: Watchdog, function: Callable[[str], Any], directory: str) -> Any:
    return watchdog.transfer(function, directory,
                             timeout_factor=upload.PUBLISH_TIMEOUT_FACTOR)


def _parent(directory: str) -> str:
    """Return the directory in which a missing one is going to be created.

    :raises OSError: it cannot be.
    """
    parent = os.path.dirname(directory)
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not (os.path.isdir(parent) and os.access(parent, os.W_OK | os.X_OK)):
        raise PermissionError(errno.EACCES, f'it is missing, and cannot be created in {parent}',
                              directory)
    return parent


def _free_space(directory: str) -> int:
    """Return the bytes that may still be written to a directory."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize
