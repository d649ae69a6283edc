"""Records of members: the projects that an image is shared with."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from glancelite.contract.values import Member


class MemberRecords(abc.ABC):
    """The projects that images are shared with."""

    @abc.abstractmethod
    def add(self, image_id: str, member: str, *, status: str = 'pending') -> Member:
        """Add a member.  A member that was removed may be added again, as a new one.

        :raises Conflict: it is a member already.
        :raises NotFound: there is no such image.
        """

    @abc.abstractmethod
    def list(self, image_id: str) -> Sequence[Member]:
        """Return the members in the order of their addition; empty without such an image."""

    @abc.abstractmethod
    def update(self, image_id: str, member: str, *, status: str) -> Member:
        """Set the status.

        :raises NotFound: there is no such member.
        """

    @abc.abstractmethod
    def remove(self, image_id: str, member: str) -> Member:
        """Remove a member.

        :returns: the member as removed, with ``deleted_at``.
        :raises NotFound: there is no such member.
        """
