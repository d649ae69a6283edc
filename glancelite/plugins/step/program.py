"""Runs a program on data of users, with limits and without a shell."""

from __future__ import annotations

import dataclasses
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from glancelite import contract

#: seconds between two calls of ``watch``
PAUSE = 1.0
#: bytes of each output that are kept
KEPT = 1 << 20
#: how messages of the programs begin that set the limits
STARTERS = ('setpriv: ', 'prlimit: ')


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a program may use.

    :param memory: bytes of address space.
    :param cpu_time: seconds.
    :param file_size: bytes of each file that it writes; None for no limit.
    """

    memory: int
    cpu_time: int
    file_size: int | None = None

    def command(self) -> list[str]:
        """Return the command that sets the limits and becomes the program.

        Programs of util-linux do it, since code between fork and exec may block in a process
        with threads.  ``setpriv`` ends the program with the thread that started it, so that
        none is left if the service is killed.  Beyond the CPU time a program gets SIGXCPU, and
        five seconds later SIGKILL.
        """
        size = [] if self.file_size is None else [f'--fsize={self.file_size}']
        return ['setpriv', '--pdeathsig', 'KILL', 'prlimit', f'--as={self.memory}',
                f'--cpu={self.cpu_time}:{self.cpu_time + 5}', '--core=0', *size]


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a program ended; ``status`` is negative for a signal."""

    status: int
    out: bytes
    err: str

    @property
    def signal(self) -> int:
        return -self.status if self.status < 0 else 0


def require(*programs: str) -> None:
    """Check that programs are installed.

    :raises Unavailable: one is missing on this node; another node may have it.
    """
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        raise contract.Unavailable(f'There is no program {" and no ".join(missing)} on this node.')


def run(command: Sequence[str], limits: Limits, watch: Callable[[], None],
        on_output: Callable[[bytes], None] = lambda data: None) -> Ended:
    """Run a program until it ends.

    :param watch: is called once a second; if it raises, the program is killed.
    :param on_output: gets the standard output as it comes.
    :raises Unavailable: the program is missing on this node, or cannot be started.
    """
    require(command[0], 'setpriv', 'prlimit')
    watch()
    process = subprocess.Popen(     # noqa: S603  no shell, and no argument of a user
        [*limits.command(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, cwd='/', start_new_session=True,
        # messages in English, and no secrets of the service
        env={'PATH': os.environ.get('PATH', os.defpath), 'LC_ALL': 'C'})
    try:
        out, err = _collect(process, watch, on_output)
        while True:
            try:
                status = process.wait(PAUSE)
            except subprocess.TimeoutExpired:
                watch()
            else:
                return _ended(command[0], status, out, err.decode(errors='replace'))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _ended(name: str, status: int, out: bytes, err: str) -> Ended:
    """
    :raises Unavailable: the program did not begin, for example since a filter of system calls
        does not let its limits be set.
    """
    if status > 0 and err.startswith(STARTERS):
        raise contract.Unavailable(
            f'{name} cannot be started on this node: {err.splitlines()[0]}')
    return Ended(status, out, err)


def _collect(process: subprocess.Popen[bytes], watch: Callable[[], None],
             on_output: Callable[[bytes], None]) -> tuple[bytes, bytes]:
    """Return the outputs of the process, which are closed when it ends."""
    kept: dict[Any, bytes] = {process.stdout: b'', process.stderr: b''}
    due = time.monotonic() + PAUSE
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(PAUSE):
                data = os.read(key.fd, KEPT)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    on_output(data)
                kept[key.fileobj] = (kept[key.fileobj] + data)[:KEPT]
            if time.monotonic() >= due:
                watch()
                due = time.monotonic() + PAUSE
    return kept[process.stdout], kept[process.stderr]
