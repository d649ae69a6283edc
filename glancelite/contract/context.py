"""The caller of a request."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from glancelite.contract.query import Viewer


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """The caller of one request, as identified by the authenticator.

    The core sets ``is_admin`` from the policy chain (rule ``context_is_admin``);
    an authenticator leaves it unset.  ``read_only`` marks the anonymous caller of
    ``allow_anonymous_access``.  ``token`` and ``catalog`` are secrets of the caller:
    never log them.
    """

    user: str | None = None
    project: str | None = None
    roles: frozenset[str] = frozenset()
    service_roles: frozenset[str] = frozenset()
    is_admin: bool = False
    read_only: bool = False
    user_name: str | None = None
    project_name: str | None = None
    user_domain: str | None = None
    project_domain: str | None = None
    system_scope: str | None = None
    domain: str | None = None
    request_id: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)
    catalog: Sequence[object] | None = dataclasses.field(default=None, repr=False)

    @property
    def viewer(self) -> Viewer:
        """The caller, for visibility checks in the database."""
        return Viewer(self.project, self.is_admin)
