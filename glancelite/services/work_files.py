"""Working files of imports; those that a process leaves when it dies are removed by the next."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator

LOG = logging.getLogger(__name__)

PREFIX = 'glancelite-import-'
#: held while the folder is used
_LOCK = '.lock'
#: seconds after which a new folder certainly has its lock; less than the lease of a task, so
#: that the process that takes one over removes the files of the process before
_NEW = 10
#: seconds in which a process looks once for folders of processes that have died
_INTERVAL = 60.0


class WorkFiles:
    """
    :param parent: the directory; None for that of temporary files.
    """

    def __init__(self, parent: str | None):
        self._parent = parent
        self._next_look = 0.0

    @contextlib.contextmanager
    def folder(self, task_id: str) -> Iterator[str]:
        """Make a folder, which is removed in the end.

        :raises OSError: it cannot be made.
        """
        if self._parent is not None:
            os.makedirs(self._parent, mode=0o700, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=self._parent, prefix=f'{PREFIX}{task_id}-')
        with folder as path, _locked(path):
            yield path

    def clean(self, *, now: bool = False) -> None:
        """Remove the folders of processes that have died.

        A call within a minute after another one does nothing: a directory of temporary files
        may have many entries.

        :param now: remove them also then.
        """
        if time.monotonic() < self._next_look and not now:
            return
        self._next_look = time.monotonic() + _INTERVAL
        try:
            with os.scandir(self._parent or tempfile.gettempdir()) as entries:
                found = [entry.path for entry in entries if _is_old(entry)]
        except FileNotFoundError:
            return
        except OSError as error:
            LOG.warning('the working files of imports cannot be looked at: %s', error)
            return
        for path in found:
            try:
                with _locked(path):
                    shutil.rmtree(path)
                LOG.info('removed %s, which a process has left that died', path)
            except BlockingIOError:
                pass        # its process lives
            except OSError as error:
                LOG.warning('%s cannot be removed: %s', path, error)


def _is_old(entry: os.DirEntry[str]) -> bool:
    if not entry.name.startswith(PREFIX):
        return False
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:       # its process has just removed it
        return False
    return (entry.is_dir(follow_symlinks=False) and status.st_uid == os.geteuid()
            and time.time() - status.st_mtime > _NEW)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold the lock of a folder; the system ends it with the process.

    :raises BlockingIOError: another process holds it.
    """
    lock = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
