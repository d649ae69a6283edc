"""Reads image data from the output of ``dog vdi read``."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import subprocess
from collections.abc import Callable, Iterator

from glancelite import contract
from glancelite.plugins.store.sheepdog import process as processes
from glancelite.plugins.store.sheepdog.errors import CommandFailed

LOG = logging.getLogger(__name__)

CHUNK_SIZE = 1 << 20


class Download(Iterator[bytes]):
    """The output of a process; the caller closes it.

    :param timeout: seconds without output after which the process counts as hung.
    :param timed_out: takes the verb of the command, logs, and returns the error to raise.
    :raises CommandFailed: the process has failed before the first output; a later failure
        raises ``Unavailable``.
    """

    def __init__(self, process: subprocess.Popen[bytes], timeout: float,
                 timed_out: Callable[[str], contract.Unavailable]):
        assert process.stdout is not None
        self._process = process
        self._timeout = timeout
        self._timed_out = timed_out
        self._pipe = process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        with contextlib.suppress(OSError):      # the default size is 64 KiB
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, CHUNK_SIZE)
        self._first: bytes | None = self._read()

    def __next__(self) -> bytes:
        if self._first is not None:
            data, self._first = self._first, None
        else:
            try:
                data = self._read()
            except CommandFailed as failure:
                LOG.error('%s', failure)
                raise contract.Unavailable('The data cannot be read to its end now.') from failure
        if not data:
            raise StopIteration
        return data

    def close(self) -> None:
        processes.end(self._process)
        self._first = b''

    def __del__(self) -> None:
        processes.end(self._process)

    def _read(self) -> bytes:
        """Return the next bytes; empty at the end."""
        process = self._process
        if process.returncode is not None:
            return b''
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(processes.end, process)
            if not self._poll.poll(self._timeout * 1000):
                raise self._timed_out('read')
            data = os.read(self._pipe, CHUNK_SIZE)
            if not data:
                try:
                    _, errors = process.communicate(timeout=self._timeout)
                except subprocess.TimeoutExpired:
                    raise self._timed_out('read') from None
                processes.check_result(process, 'read', b'', errors)
            on_failure.pop_all()
        return data
