"""Writes a partial file under the watchdog of its directory."""

from __future__ import annotations

from collections.abc import Callable

from glancelite.plugins.store.file import partial_file
from glancelite.plugins.store.file.partial_file import PartialFile
from glancelite.plugins.store.file.watchdog import DirectoryTimeout, Watchdog

#: multiple of the timeout that publishing a file may take while the directory answers
PUBLISH_TIMEOUT_FACTOR = 10


class Upload:
    """A ``PartialFile`` that is always cleaned up, if necessary after a hung call returns.

    :param create: returns the partial file.
    """

    def __init__(self, watchdog: Watchdog, create: Callable[[], PartialFile]):
        self._watchdog = watchdog
        self._file: PartialFile = watchdog.call(create, on_late_result=_close)
        self._abandoned = False     # a hung call cleans up when it returns

    @property
    def size(self) -> int:
        return self._file.size

    def write(self, chunk: bytes) -> None:
        try:
            self._watchdog.transfer(self._file.write, chunk,
                                    on_late_result=lambda _: _close(self._file))
        except DirectoryTimeout as timeout:
            self._abandoned = timeout.running
            raise

    def publish(self, key: str) -> str:
        """As ``PartialFile.publish``."""
        def withdraw(path: str | None) -> None:
            _close(self._file)
            if path is not None:    # the caller has reported a failure
                partial_file.remove(path)
        try:
            return self._watchdog.transfer(self._file.publish, key, on_late_result=withdraw,
                                           timeout_factor=PUBLISH_TIMEOUT_FACTOR)
        except DirectoryTimeout as timeout:
            self._abandoned = timeout.running
            raise

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._abandoned:
            return
        try:
            self._watchdog.transfer(self._file.__exit__)
        except DirectoryTimeout as timeout:
            if not timeout.running:
                self._watchdog.call_in_background(self._file.__exit__)


def _close(file: PartialFile | None) -> None:
    if file is not None:
        file.__exit__()
