"""Members in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from glancelite import contract
from glancelite.contract.values import Member
from glancelite.plugins.database.memory.records import Records, image_not_found


class MemoryMembers(contract.MemberRecords):

    def __init__(self, records: Records, host: contract.Host):
        self._records = records
        self._host = host

    def add(self, image_id: str, member: str, *, status: str = 'pending') -> Member:
        now = self._host.now()
        with self._records.lock:
            if image_id not in self._records.images:
                raise image_not_found(image_id)
            members = self._records.members.setdefault(image_id, {})
            if member in members:
                raise contract.Conflict(f'{member} is a member of image {image_id} already')
            members[member] = added = Member(image_id, member, status, now, now)
        return added

    def list(self, image_id: str) -> Sequence[Member]:
        with self._records.lock:
            return tuple(self._members_locked(image_id).values())

    def update(self, image_id: str, member: str, *, status: str) -> Member:
        now = self._host.now()
        with self._records.lock:
            members = self._members_locked(image_id)
            if member not in members:
                raise _member_not_found(image_id, member)
            members[member] = changed = dataclasses.replace(
                members[member], status=status, updated_at=now)
        return changed

    def remove(self, image_id: str, member: str) -> Member:
        now = self._host.now()
        with self._records.lock:
            removed = self._members_locked(image_id).pop(member, None)
        if removed is None:
            raise _member_not_found(image_id, member)
        return dataclasses.replace(removed, updated_at=now, deleted_at=now)

    def _members_locked(self, image_id: str) -> dict[str, Member]:
        if image_id not in self._records.images:
            return {}
        return self._records.members.get(image_id, {})


def _member_not_found(image_id: str, member: str) -> contract.NotFound:
    return contract.NotFound(f'{member} is no member of image {image_id}')
