"""The caller, as glance_store's drivers want to have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oslo_context import context

from glancelite.contract import Context, Credential, CredentialSource, Unsupported


class Caller(context.RequestContext):
    """A context with the catalogue that drivers look for their backend in.

    :param credential: gives the token, whenever somebody asks for it.
    :param catalog: as Keystone's version 3 has it in its tokens.
    """

    def __init__(self, *, credential: Credential | None = None,
                 catalog: Iterable[Any] | None = None, **named: Any):
        self._credential = credential
        super().__init__(**named)
        self.service_catalog = None if catalog is None else older(catalog)

    def update_store(self) -> None:
        """Not in this thread: it serves others afterwards, and the log would name this caller."""

    @property
    def auth_token(self) -> str | None:
        return self._token if self._credential is None else self._credential.token()

    @auth_token.setter
    def auth_token(self, value: str | None) -> None:
        self._token = value

    # what both were called before the identity service had projects
    @property
    def tenant(self) -> str | None:
        return self.project_id

    @property
    def user(self) -> str | None:
        return self.user_id

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), 'tenant': self.project_id, 'user_id': self.user_id,
                'service_catalog': self.service_catalog}


def caller(ctx: Context | None, credential: Credential | None = None,
           source: CredentialSource | None = None) -> Caller | None:
    """The caller with their own token, or with that of ``credential`` from ``source``.

    :returns: None if there is neither.
    """
    if ctx is None or not (ctx.user or ctx.token):     # nobody calls
        if credential is None:
            return None
        ctx = Context()
    own = source is None
    project = credential.project if credential and credential.project else ctx.project
    return Caller(
        credential=credential, auth_token=ctx.token if own else None,
        catalog=ctx.catalog if own or project == ctx.project else _catalog(source),
        user_id=ctx.user, project_id=project,
        user_name=ctx.user_name, project_name=ctx.project_name if project == ctx.project else None,
        user_domain_id=ctx.user_domain, project_domain_id=ctx.project_domain,
        roles=sorted(ctx.roles), service_roles=sorted(ctx.service_roles),
        is_admin=ctx.is_admin, read_only=ctx.read_only, request_id=ctx.request_id,
        system_scope=ctx.system_scope, domain_id=ctx.domain)


def _catalog(source: CredentialSource | None) -> Iterable[Any] | None:
    """Where the services are for the service itself."""
    if source is None:
        return None
    try:
        session = source.session()
    except Unsupported:
        return None
    return session.auth.get_access(session).service_catalog.catalog


def older(catalog: Iterable[Any]) -> list[dict[str, Any]]:
    """A catalogue in the form of Keystone's version 2, which is the one the drivers read."""
    found = []
    for service in catalog:
        regions: dict[Any, dict[str, Any]] = {}
        for endpoint in service.get('endpoints', ()):
            region = endpoint.get('region_id') or endpoint.get('region')
            entry = regions.setdefault(region, {'region': region})
            if 'interface' in endpoint:
                entry[f'{endpoint["interface"]}URL'] = endpoint.get('url')
            else:   # it is in that form already
                entry.update(endpoint)
        found.append({'type': service.get('type'), 'name': service.get('name', ''),
                      'endpoints': list(regions.values())})
    return found
