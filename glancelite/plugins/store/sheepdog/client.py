"""Sheepdog's command line, as one process per question."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from typing import BinaryIO

from glancelite import contract

LOG = logging.getLogger(__name__)

#: ``collie`` is what ``dog`` was called before Sheepdog 0.7
PROGRAMS = ('dog', 'collie')
#: an attribute that an image has as long as it is being written
UNFINISHED = 'glancelite.unfinished'
CHUNK = 1 << 20


class Failed(Exception):
    """The program has said that it could not do something; the text is what it said."""

    def __init__(self, said: str):
        super().__init__(said)
        #: nothing of that name is there
        self.missing = self.says('No VDI found', 'VDI not found')

    def says(self, *words: str) -> bool:
        return any(each in str(self) for each in words)


class Dog:
    """The images of one cluster.

    ``Failed`` stays inside this package. Everything else that a method raises is an error of
    the contract: ``Unavailable`` if the cluster is silent for ``timeout`` seconds.

    :raises Misconfigured: there is no such program.
    """

    def __init__(self, address: str, port: int, timeout: float):
        self._program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if self._program is None:
            raise contract.Misconfigured('this driver needs the program dog, which comes with '
                                         'Sheepdog, on the PATH of the service')
        self._cluster = ('-a', address, '-p', str(port))
        self._timeout = timeout

    def status(self) -> str:
        """What the cluster says of itself, such as ``running, auto-recovery enabled``."""
        first = self._run('cluster', 'info').partition('\n')[0]
        return first.rpartition('Cluster status: ')[2].strip()

    def create(self, name: str) -> None:
        """A new, empty image."""
        self._vdi('create', name, '0')

    def resize(self, name: str, size: int) -> None:
        """Larger, that is: it cannot be done in the other direction."""
        self._vdi('resize', name, str(size))

    def delete(self, name: str) -> None:
        self._vdi('delete', name)

    def size(self, name: str) -> int:
        """Looks at all images of the cluster, so it is slow where there are many.

        :raises Failed: there is no such image.
        """
        for line in self._vdi('list', name, options=('-r',)).splitlines():
            fields = line.split(' ')
            # = for an image, c for one that began as a clone; the others are snapshots
            if len(fields) > 3 and fields[0] in ('=', 'c') and fields[1] == name:
                return int(fields[3])
        raise Failed('No VDI found')

    def mark(self, name: str) -> None:
        self._vdi('setattr', name, UNFINISHED, 'yes')

    def unmark(self, name: str) -> None:
        """Take the mark away; it may be gone already."""
        try:
            self._vdi('setattr', name, UNFINISHED, options=('-d',))
        except Failed as failure:
            if not failure.says('not found'):
                raise

    def marked(self, name: str) -> bool:
        try:
            self._vdi('getattr', name, UNFINISHED)
        except Failed:      # what else there is to say, others will say
            return False
        return True

    def write(self, name: str, offset: int, data: BinaryIO, length: int) -> None:
        """Put ``length`` bytes of a file, from its beginning, where the image has room for them.

        The program reads the file itself, which shows us how far it is: a large piece may
        take longer than ``timeout``, as long as it goes on.
        """
        data.seek(0)
        process = self._start('vdi', 'write', name, str(offset), str(length), stdin=data)
        with _ended(process):
            done = 0
            while True:
                try:
                    _judged(process, 'write', *process.communicate(timeout=self._timeout))
                    break
                except subprocess.TimeoutExpired:
                    before, done = done, data.tell()
                    if done == before:
                        raise self._silent('write') from None
        # a short input would be filled with zeros, and called a success
        if data.tell() != length:
            raise Failed('vdi write: the input was not read to its end')

    def read(self, name: str, offset: int, length: int | None) -> Reading:
        """What is there from ``offset`` on; the first bytes have come when this returns."""
        part = (str(offset),) if length is None else (str(offset), str(length))
        return Reading(self._start('vdi', 'read', name, *part), self._timeout, self._silent)

    def _vdi(self, verb: str, name: str, *rest: str, options: tuple[str, ...] = ()) -> str:
        return self._run('vdi', verb, *options, name, *rest)

    def _run(self, *words: str) -> str:
        process = self._start(*words)
        with _ended(process):
            return self._finish(process, words[1])

    def _start(self, noun: str, verb: str, *rest: str, stdin: int | BinaryIO = subprocess.DEVNULL
               ) -> subprocess.Popen[bytes]:
        assert self._program is not None
        try:
            return subprocess.Popen(  # noqa: S603  no shell, and names that were checked
                [self._program, noun, verb, *self._cluster, *rest], stdin=stdin,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                env={**os.environ, 'LC_ALL': 'C'})
        except OSError as error:
            LOG.error('%s cannot be run: %s', self._program, error)
            raise contract.Unavailable('The store cannot be used now.') from error

    def _finish(self, process: subprocess.Popen[bytes], verb: str) -> str:
        """Wait for the end; returns the output.

        :raises Failed: by its exit code, or for want of a better one by what it says.
        """
        try:
            output, said = process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired:
            raise self._silent(verb) from None
        return _judged(process, verb, output, said)

    def _silent(self, verb: str) -> contract.Unavailable:
        LOG.error('%s vdi %s: no answer from %s for %s s', self._program, verb,
                  self._cluster[1], self._timeout)
        return contract.Unavailable('The store does not answer.')


class Reading(Iterator[bytes]):
    """The output of a process; ``close`` it.

    :raises Failed: from the constructor only, if nothing comes at all.
    """

    def __init__(self, process: subprocess.Popen[bytes], timeout: float, silent):
        assert process.stdout is not None
        self._process = process
        self._timeout = timeout
        self._silent = silent
        self._pipe = process.stdout.fileno()
        self._ready = select.poll()
        self._ready.register(self._pipe, select.POLLIN)
        _widen(self._pipe)
        self._first: bytes | None = self._more()

    def __next__(self) -> bytes:
        if self._first is not None:
            data, self._first = self._first, None
        else:
            try:
                data = self._more()
            except Failed as failure:
                LOG.error('%s', failure)
                raise contract.Unavailable('The data cannot be read to its end now.') from failure
        if not data:
            raise StopIteration
        return data

    def close(self) -> None:
        _end(self._process)
        self._first = b''

    def __del__(self) -> None:
        _end(self._process)

    def _more(self) -> bytes:
        """The next bytes; none at the end."""
        process = self._process
        if process.returncode is not None:
            return b''
        try:
            if not self._ready.poll(self._timeout * 1000):
                raise self._silent('read')
            data = os.read(self._pipe, CHUNK)
            if not data:
                try:
                    _, said = process.communicate(timeout=self._timeout)
                except subprocess.TimeoutExpired:
                    raise self._silent('read') from None
                _judged(process, 'read', b'', said)
            return data
        except BaseException:
            _end(process)
            raise


def _judged(process: subprocess.Popen[bytes], verb: str, output: bytes, said: bytes) -> str:
    """The output of a process that has ended well, as far as it lets us see."""
    code = process.returncode
    words = said.decode(errors='replace').strip()
    # a delete that has failed ends with 0
    if code or (verb == 'delete' and words):
        raise Failed(f'vdi {verb}: {words or f"exit code {code}"}')
    return output.decode(errors='replace')


def _widen(pipe: int) -> None:
    """Let a pipe hold more than 64 KiB at once."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]):
    try:
        yield
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it if it lives, and let go of its pipes."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
