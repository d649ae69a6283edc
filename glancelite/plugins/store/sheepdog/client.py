"""Runs Sheepdog's command line, one process per command."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from typing import BinaryIO, TypeVar

from glancelite import contract
from glancelite.plugins.store.sheepdog import process as processes
from glancelite.plugins.store.sheepdog.download import Download
from glancelite.plugins.store.sheepdog.errors import CommandFailed

LOG = logging.getLogger(__name__)

#: ``dog`` was called ``collie`` before Sheepdog 0.7
PROGRAMS = ('dog', 'collie')
#: attribute of an image while it is being written
UNFINISHED = 'glancelite.unfinished'

_Result = TypeVar('_Result')


class Client:
    """The images (VDIs) of one cluster.

    A command goes to the daemon that answered last.  If that cannot be reached, the others are
    tried in turn.  After a timeout the command may have been executed, so only the next command
    goes to another daemon.

    Methods raise ``CommandFailed`` if the command fails, and ``Unavailable`` if the cluster
    does not answer within ``timeout`` seconds.

    :param addresses: host and port of each daemon, the first one to be tried in front.
    :raises Misconfigured: the program is not installed.
    """

    def __init__(self, addresses: Iterable[tuple[str, int]], timeout: float):
        self._program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if self._program is None:
            raise contract.Misconfigured('the sheepdog store needs the program dog of Sheepdog '
                                         'on the PATH of the service')
        self._daemons: tuple[tuple[str, ...], ...] = tuple(
            ('-a', host, '-p', str(port)) for host, port in addresses)
        self._timeout = timeout

    def status(self) -> str:
        """Return the status of the cluster, such as ``running, auto-recovery enabled``."""
        first = self._run('cluster', 'info').partition('\n')[0]
        return first.rpartition('Cluster status: ')[2].strip()

    def create(self, name: str) -> None:
        """Create an empty image."""
        self._vdi('create', name, '0')

    def resize(self, name: str, size: int) -> None:
        """Enlarge an image; it cannot shrink."""
        self._vdi('resize', name, str(size))

    def delete(self, name: str) -> None:
        self._vdi('delete', name)

    def size(self, name: str) -> int:
        """Return the size of an image.

        Sheepdog looks at all images of the cluster, so this is slow where there are many.
        """
        for line in self._vdi('list', name, options=('-r',)).splitlines():
            fields = line.split(' ')
            # "=" marks an image, "c" one that was a clone; the other lines are snapshots
            if len(fields) > 3 and fields[0] in ('=', 'c') and fields[1] == name:
                return int(fields[3])
        raise CommandFailed('No VDI found')

    def mark_unfinished(self, name: str) -> None:
        self._vdi('setattr', name, UNFINISHED, 'yes')

    def mark_finished(self, name: str) -> None:
        """Remove the mark of an unfinished image, if it has one."""
        try:
            self._vdi('setattr', name, UNFINISHED, options=('-d',))
        except CommandFailed as failure:
            if not failure.contains('not found'):
                raise

    def is_unfinished(self, name: str) -> bool:
        try:
            self._vdi('getattr', name, UNFINISHED)
        except CommandFailed:      # other failures are reported by the next command
            return False
        return True

    def write(self, name: str, offset: int, data: BinaryIO, length: int) -> None:
        """Write ``length`` bytes from the start of a file; the image must be large enough.

        The program reads the file itself, so its position shows the progress. A large piece
        may take longer than ``timeout`` as long as there is progress.
        """
        self._try_each(lambda daemon: self._write(daemon, name, offset, data, length))

    def _write(self, daemon: tuple[str, ...], name: str, offset: int, data: BinaryIO,
               length: int) -> None:
        data.seek(0)
        process = self._start(daemon, 'vdi', 'write', name, str(offset), str(length), stdin=data)
        with processes.ended(process):
            position = 0
            while True:
                try:
                    output, errors = process.communicate(timeout=self._timeout)
                    processes.check_result(process, 'write', output, errors)
                    break
                except subprocess.TimeoutExpired:
                    before, position = position, data.tell()
                    if position == before:
                        raise self._timed_out(daemon, 'write') from None
        # the program fills missing input with zeros and reports success
        if data.tell() != length:
            raise CommandFailed('vdi write: the input was not read to its end')

    def read(self, name: str, offset: int, length: int | None) -> Download:
        """Read an image from ``offset`` on; the first bytes have arrived when this returns."""
        part = (str(offset),) if length is None else (str(offset), str(length))
        return self._try_each(lambda daemon: Download(
            self._start(daemon, 'vdi', 'read', name, *part), self._timeout,
            lambda verb: self._timed_out(daemon, verb)))

    def _vdi(self, verb: str, name: str, *rest: str, options: tuple[str, ...] = ()) -> str:
        return self._run('vdi', verb, *options, name, *rest)

    def _run(self, noun: str, verb: str, *rest: str) -> str:
        """Run a command and return its output."""
        def run(daemon: tuple[str, ...]) -> str:
            process = self._start(daemon, noun, verb, *rest)
            with processes.ended(process):
                try:
                    output, errors = process.communicate(timeout=self._timeout)
                except subprocess.TimeoutExpired:
                    raise self._timed_out(daemon, verb) from None
                return processes.check_result(process, verb, output, errors)

        return self._try_each(run)

    def _try_each(self, command: Callable[[tuple[str, ...]], _Result]) -> _Result:
        """Call ``command`` with the options of one daemon after the other until one answers."""
        *others, last = self._daemons
        for daemon in others:
            try:
                return command(daemon)
            except CommandFailed as failure:
                if not failure.unreachable:
                    raise
                self._try_last(daemon)
        return command(last)

    def _try_last(self, daemon: tuple[str, ...]) -> None:
        """Try all other daemons before this one from now on."""
        if daemon == self._daemons[-1]:
            return
        LOG.warning('the Sheepdog daemon at %s:%s does not answer; another one is used',
                    daemon[1], daemon[3])
        self._daemons = (*(each for each in self._daemons if each != daemon), daemon)

    def _start(self, daemon: tuple[str, ...], noun: str, verb: str, *rest: str,
               stdin: int | BinaryIO = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        assert self._program is not None
        try:
            return subprocess.Popen(  # noqa: S603  no shell, and the names were checked
                [self._program, noun, verb, *daemon, *rest], stdin=stdin,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                env={**os.environ, 'LC_ALL': 'C'})
        except OSError as error:
            LOG.error('cannot run %s: %s', self._program, error)
            raise contract.Unavailable('The store cannot be used now.') from error

    def _timed_out(self, daemon: tuple[str, ...], verb: str) -> contract.Unavailable:
        LOG.error('%s vdi %s: no answer from %s for %s s', self._program, verb,
                  daemon[1], self._timeout)
        self._try_last(daemon)
        return contract.Unavailable('The store does not answer.')
