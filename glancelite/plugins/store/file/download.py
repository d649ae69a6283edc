"""Opens and reads image files, with and without the watchdog of their directory."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from glancelite import contract
from glancelite.plugins.store.file.watchdog import DirectoryTimeout, Watchdog

#: bytes per read under the watchdog; each read costs two thread switches
READ_SIZE = 1 << 20


def open_file(path: str, offset: int, ahead: int) -> tuple[BinaryIO, int, bytes]:
    """Open a regular file; return it, its size, and up to ``ahead`` bytes from ``offset`` on.

    :raises FileNotFoundError: ``path`` is not a regular file.
    """
    # do not follow a symbolic link and do not block on a named pipe
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(os.close, fd)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, 'not a regular file', path)
        first = os.pread(fd, ahead, offset) if ahead else b''
        file = os.fdopen(fd, 'rb', buffering=0)
        on_failure.pop_all()
    return file, status.st_size, first


def close_file(opened: tuple[BinaryIO, int, bytes] | None) -> None:
    """Close the result of ``open_file``, if any."""
    if opened is not None:
        opened[0].close()


class Extent(Iterator[bytes]):
    """A part of a file, read under the watchdog.

    ``sendfile`` would need fewer copies, but it cannot be abandoned when it hangs.

    :param first: the data that was read from ``offset`` on when the file was opened.
    """

    def __init__(self, watchdog: Watchdog, file: BinaryIO, offset: int, length: int,
                 first: bytes):
        self._watchdog = watchdog
        self._file: BinaryIO | None = file
        self._next = first[:length]
        self._offset = offset
        self._end = offset + length

    def __next__(self) -> bytes:
        wanted = min(READ_SIZE, self._end - self._offset)
        if not wanted or self._file is None:
            self.close()
            raise StopIteration
        data, self._next = self._next, b''
        if not data:
            data = self._read(self._file, wanted)
        if not data:
            raise OSError('the file was truncated')
        self._offset += len(data)
        return data

    def _read(self, file: BinaryIO, wanted: int) -> bytes:
        try:
            return self._watchdog.call_with_timeout(
                os.pread, file.fileno(), wanted, self._offset,
                on_late_result=lambda _: file.close())
        except DirectoryTimeout as timeout:
            if timeout.running:
                self._file = None
            raise contract.Unavailable('The store does not answer.') from timeout

    def close(self) -> None:
        if self._file is not None:
            self._watchdog.call_in_background(self._file.close)
            self._file = None
