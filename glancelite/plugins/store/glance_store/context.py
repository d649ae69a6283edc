"""The request context that glance_store drivers expect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oslo_context import context

from glancelite.contract import Context, Credential, CredentialSource, Unsupported


class DriverContext(context.RequestContext):
    """A request context with the service catalog, where drivers look up their backend.

    :param credential: provides the token each time it is read.
    :param catalog: in the format of Keystone v3 tokens.
    """

    def __init__(self, *, credential: Credential | None = None,
                 catalog: Iterable[Any] | None = None, **named: Any):
        self._credential = credential
        super().__init__(**named)
        self.service_catalog = None if catalog is None else catalog_v2(catalog)

    def update_store(self) -> None:
        """Do not become the context of this thread: its later log lines would show it."""

    @property
    def auth_token(self) -> str | None:
        return self._token if self._credential is None else self._credential.token()

    @auth_token.setter
    def auth_token(self, value: str | None) -> None:
        self._token = value

    # old names, which drivers still read
    @property
    def tenant(self) -> str | None:
        return self.project_id

    @property
    def user(self) -> str | None:
        return self.user_id

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), 'tenant': self.project_id, 'user_id': self.user_id,
                'service_catalog': self.service_catalog}


def driver_context(ctx: Context | None, credential: Credential | None = None,
                   source: CredentialSource | None = None) -> DriverContext | None:
    """Return a context with the caller's token, or that of ``credential`` from ``source``.

    :returns: None if there is neither.
    """
    if ctx is None or not (ctx.user or ctx.token):     # no caller
        if credential is None:
            return None
        ctx = Context()
    own = source is None
    project = credential.project if credential and credential.project else ctx.project
    return DriverContext(
        credential=credential, auth_token=ctx.token if own else None,
        catalog=ctx.catalog if own or project == ctx.project else _service_catalog(source),
        user_id=ctx.user, project_id=project,
        user_name=ctx.user_name, project_name=ctx.project_name if project == ctx.project else None,
        user_domain_id=ctx.user_domain, project_domain_id=ctx.project_domain,
        roles=sorted(ctx.roles), service_roles=sorted(ctx.service_roles),
        is_admin=ctx.is_admin, read_only=ctx.read_only, request_id=ctx.request_id,
        system_scope=ctx.system_scope, domain_id=ctx.domain)


def _service_catalog(source: CredentialSource | None) -> Iterable[Any] | None:
    """Return the catalog of the service's own token, if it has one."""
    if source is None:
        return None
    try:
        session: Any = source.session()
    except Unsupported:
        return None
    return session.auth.get_access(session).service_catalog.catalog


def catalog_v2(catalog: Iterable[Any]) -> list[dict[str, Any]]:
    """Convert a catalog to the format of Keystone v2, which drivers read."""
    services = []
    for service in catalog:
        regions: dict[Any, dict[str, Any]] = {}
        for endpoint in service.get('endpoints', ()):
            region = endpoint.get('region_id') or endpoint.get('region')
            entry = regions.setdefault(region, {'region': region})
            if 'interface' in endpoint:
                entry[f'{endpoint["interface"]}URL'] = endpoint.get('url')
            else:   # already in this format
                entry.update(endpoint)
        services.append({'type': service.get('type'), 'name': service.get('name', ''),
                         'endpoints': list(regions.values())})
    return services
