"""The database ``memory``: keeps all records in this process."""

from __future__ import annotations

from typing import Any

from glancelite import contract
from glancelite.plugins.database.memory.images import MemoryImages
from glancelite.plugins.database.memory.members import MemoryMembers
from glancelite.plugins.database.memory.metadefs import MemoryMetadefs
from glancelite.plugins.database.memory.records import Records
from glancelite.plugins.database.memory.tasks import MemoryTasks

__all__ = ['MemoryDatabase', 'MemoryImages', 'MemoryMembers', 'MemoryMetadefs', 'MemoryTasks']


class MemoryDatabase(contract.Database):
    """For trials and tests: one process, and the records are lost at its end."""

    VOLATILE = True

    def __init__(self, options: Any, host: contract.Host, **kwargs: Any):
        super().__init__(options, host, **kwargs)
        records = Records()
        self._images = MemoryImages(records, host)
        self._members = MemoryMembers(records, host)
        self._tasks = MemoryTasks(records, self._images, host)
        self._metadefs = MemoryMetadefs(records, host)

    @property
    def images(self) -> MemoryImages:
        return self._images

    @property
    def members(self) -> MemoryMembers:
        return self._members

    @property
    def tasks(self) -> MemoryTasks:
        return self._tasks

    @property
    def metadefs(self) -> MemoryMetadefs:
        return self._metadefs

    def health(self) -> str:
        return 'in memory'
