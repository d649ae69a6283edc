"""Detects changes of files, by their time, size and inode."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable


class FileWatch:
    """Calls a function when files were changed, added or removed.

    There is no thread: call ``check`` before each use of what was read from the files.
    Create the watch before reading them, so that no change is missed.

    :param paths: returns the files to watch; called again at each check, so it may list
        a folder.
    :param on_change: called by ``check``, by one thread at a time.  It should log errors
        of the files rather than raise them.
    :param interval: seconds between two checks.
    """

    def __init__(self, paths: Callable[[], Iterable[str]], on_change: Callable[[], object], *,
                 interval: float = 1.0):
        self._paths = paths
        self._on_change = on_change
        self._interval = interval
        self._lock = threading.Lock()
        self._next_check = time.monotonic() + interval
        self._state = self._read_state()

    @property
    def files(self) -> tuple[str, ...]:
        """The watched files that existed at the last check."""
        return tuple(path for path, *_ in self._state)

    def check(self) -> None:
        """Look for changes, unless the last check was less than an interval ago.

        While one thread checks, others return at once.
        """
        if time.monotonic() >= self._next_check and self._lock.acquire(blocking=False):
            try:
                self._next_check = time.monotonic() + self._interval
                state = self._read_state()
                if state != self._state:
                    self._state = state
                    self._on_change()
            finally:
                self._lock.release()

    def _read_state(self) -> list[tuple[str, int, int, int]]:
        state = []
        for path in self._paths():
            with contextlib.suppress(OSError):      # missing, or not accessible
                status = os.stat(path)
                state.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
        return state
