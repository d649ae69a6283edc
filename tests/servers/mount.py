"""A mounted directory that can stop answering, as one does whose file server is gone."""

import contextlib
import os
import pathlib
import signal
import subprocess

from tests.servers import process


class Fuse:
    """A file system in user space, whose process is stopped: calls hang in the kernel."""

    env = {}

    def __init__(self, path, daemon):
        self.path = path
        self._daemon = daemon

    def silence(self):
        self._daemon.send_signal(signal.SIGSTOP)

    def answer(self):
        self._daemon.send_signal(signal.SIGCONT)


class Interposed:
    """A plain directory below which Python's own calls hang: the next best thing.

    What it cannot show is how the kernel ends a process whose threads wait in it.
    """

    def __init__(self, path):
        self.path = path
        self._sign = path.with_name(f'{path.name}.silent')
        self.env = {'PYTHONPATH': str(pathlib.Path(__file__).with_name('silent')),
                    'GLANCELITE_TESTS_SILENT': str(path)}

    def silence(self):
        self._sign.touch()

    def answer(self):
        self._sign.unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(bindfs, folder):
    """Mount something in ``folder``; containers that let nobody mount get the stand-in.

    :param bindfs: path of the program.
    """
    with contextlib.ExitStack() as undo:
        try:
            found = undo.enter_context(fuse(bindfs, folder))
        except process.DidNotStart:
            found = undo.enter_context(interposed(folder))
        yield found


@contextlib.contextmanager
def fuse(bindfs, folder):
    """:raises DidNotStart: nobody may mount anything here."""
    source, path = folder / 'source', folder / 'mount'
    source.mkdir()
    path.mkdir()
    with process.running([bindfs, '-f', source, path], answers=lambda: os.path.ismount(path),
                         log=folder / 'bindfs.log', cwd=folder, timeout=10) as daemon:
        try:
            yield Fuse(path, daemon)
        finally:
            daemon.send_signal(signal.SIGCONT)
            subprocess.run(['umount', '-l', path], check=True)


@contextlib.contextmanager
def interposed(folder):
    path = folder / 'plain'
    path.mkdir()
    found = Interposed(path)
    try:
        yield found
    finally:
        found.answer()
