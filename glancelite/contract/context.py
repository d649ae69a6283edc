"""Who is calling."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from glancelite.contract.query import Viewer


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """The caller of one request, as the authenticator found it.

    ``is_admin`` is set by the core from the policy chain (rule
    ``context_is_admin``); an authenticator leaves it alone.
    ``read_only`` marks the anonymous caller of ``allow_anonymous_access``.
    ``token`` and ``catalog`` are secrets of the caller: never logged.
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
        """The eyes through which records are looked at for this caller."""
        return Viewer(self.project, self.is_admin)
