"""The layer ``quota``: is there room for it?"""

from __future__ import annotations

import abc
import dataclasses

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """What a use case wants to have.

    ``project`` pays for it, None if nobody does.  The counts are totals of
    one image after the change, None where the change does not touch them.
    ``bytes`` is what an upload announced, None if it did not say.

    An ask about a project's total (bytes) is made *after* it was
    written, and undone if refused: so that asks which race see each other,
    and ``Host.usage`` includes it.
    """

    verb: str
    project: str | None = None
    images: int | None = None
    bytes: int | None = None
    properties: int | None = None
    tags: int | None = None
    members: int | None = None
    locations: int | None = None


class QuotaEnforcer(Plugin):
    """One voice in a chain in which all must grant."""

    LAYER = 'quota'

    @abc.abstractmethod
    def check(self, ctx: Context, ask: Ask) -> int | None:
        """Grant or refuse.

        :returns: for an upload, the most bytes that it may have in all; None
            for no limit, and for other verbs.
        :raises QuotaExceeded: no room.
        :raises Unavailable: the limits cannot be had; counts as a refusal.
        """
