"""The result of a step of an import, until it is durable."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from glancelite import contract


class Result:
    """A working file that replaces the staged data.

    It is lost when the process dies.  So what belongs to it is recorded together with it.

    :ivar size: bytes of the file.
    :ivar changes: attributes of the image that change with the data.
    :ivar phases: the phases that are done with it.
    :param files: closed with it.
    """

    def __init__(self, path: str, changes: dict[str, Any], phases: list[str],
                 files: contextlib.ExitStack):
        self.path = path
        self.size = os.path.getsize(path)
        self.changes = changes
        self.phases = phases
        self._files = files

    def open(self) -> contract.FileExtent:
        """
        :raises Unavailable: the file is gone.
        """
        try:
            return extent(self.path)
        except OSError as error:
            raise contract.Unavailable('The result of a step is gone.') from error

    def close(self) -> None:
        """Remove the file."""
        self._files.close()


def extent(path: str) -> contract.FileExtent:
    """Return all of a file."""
    file = open(path, 'rb', buffering=0)    # noqa: SIM115  the extent closes it
    return contract.FileExtent(file, 0, os.path.getsize(path))
