"""The layer ``quota``: limits what projects and images may use."""

from __future__ import annotations

import abc
import dataclasses

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin


@dataclasses.dataclass(frozen=True, slots=True)
class QuotaRequest:
    """What a use case is about to use, or has just reserved.

    ``project`` is charged; None if no project is.  The counts are the totals of one image
    after the change, None if the change does not touch them.  ``bytes`` is the size that
    an upload announced, None if it announced none.

    A request for bytes is made *after* they were reserved in the database, and the
    reservation is undone if it is refused.  So concurrent requests see each other, and
    ``Host.usage`` includes the reservation.
    """

    action: str
    project: str | None = None
    images: int | None = None
    bytes: int | None = None
    properties: int | None = None
    tags: int | None = None
    members: int | None = None
    locations: int | None = None


class QuotaEnforcer(Plugin):
    """One member of the quota chain.  All members must grant a request."""

    LAYER = 'quota'

    @abc.abstractmethod
    def check(self, ctx: Context, request: QuotaRequest) -> int | None:
        """Grant the request by returning.

        :returns: for an upload, the most bytes that it may have in total; None for
            no limit, and for other actions.
        :raises QuotaExceeded: the request exceeds a limit.
        :raises Unavailable: the limits are not known; counts as a refusal.
        """
