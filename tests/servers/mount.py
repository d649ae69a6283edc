"""A mounted directory that can be made to hang, as if its file server were down."""

import contextlib
import os
import pathlib
import signal
import subprocess

from tests.servers import process


class Fuse:
    """A FUSE file system whose process can be stopped, so that calls hang in the kernel."""

    env = {}

    def __init__(self, path, daemon):
        self.path = path
        self._daemon = daemon

    def silence(self):
        self._daemon.send_signal(signal.SIGSTOP)

    def answer(self):
        self._daemon.send_signal(signal.SIGCONT)


class Interposed:
    """A plain directory in which calls of the module ``os`` can be made to hang.

    Unlike a real mount, it does not show how the kernel ends a process with hung threads.
    """

    def __init__(self, path):
        self.path = path
        self._flag = path.with_name(f'{path.name}.silent')
        self.env = {'PYTHONPATH': str(pathlib.Path(__file__).with_name('silent')),
                    'GLANCELITE_TESTS_SILENT': str(path)}

    def silence(self):
        self._flag.touch()

    def answer(self):
        self._flag.unlink(missing_ok=True)


@contextlib.contextmanager
def mounted(bindfs, folder):
    """Mount a file system in ``folder``, or use the stand-in if mounting is not permitted.

    :param bindfs: path of the program.
    """
    with contextlib.ExitStack() as undo:
        try:
            instance = undo.enter_context(fuse(bindfs, folder))
        except process.DidNotStart:
            instance = undo.enter_context(interposed(folder))
        yield instance


@contextlib.contextmanager
def fuse(bindfs, folder):
    """:raises DidNotStart: mounting is not permitted."""
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
    instance = Interposed(path)
    try:
        yield instance
    finally:
        instance.answer()
