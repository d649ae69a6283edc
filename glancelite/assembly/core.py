"""The whole service below its API."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.assembly.plugins import Plugins
from glancelite.contract import Context
from glancelite.schema.image import ImageSchema
from glancelite.schema.views import ImageView
from glancelite.services import border
from glancelite.services.layers import Layers
from glancelite.services.use_cases import UseCases
from glancelite.support import log_context


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The options that the API itself needs."""

    limit_param_default: int = 25
    api_limit_max: int = 1000
    max_json_size: int = 10 << 20
    public_endpoint: str | None = None
    show_image_direct_url: bool = False
    show_multiple_locations: bool = False
    multi_store: bool = True
    store_ids: tuple[str, ...] = ()
    cache: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Core:
    """The service without HTTP: its use cases, and what else the API needs.

    :param middleware: around the API, the outermost first.
    :param extra: between the authentication and the API, the outermost first.
    :param plugins: all plugins in the order in which they were built.
    """

    settings: Settings
    layers: Layers
    use_cases: UseCases
    authenticator: contract.Authenticator
    middleware: Sequence[contract.Middleware]
    extra: Sequence[contract.Middleware]
    schema: ImageSchema
    view: ImageView
    documents: Mapping[str, bytes]
    plugins: Plugins

    def identify(self, environ: MutableMapping[str, Any]) -> Context:
        """Identify the caller of a request, with ``is_admin`` and ``request_id``.

        Further log lines of the thread name the caller.

        :raises Unauthenticated: the caller is unknown.
        """
        request_id = environ.get('openstack.request_id')
        if request_id is None:      # there is no middleware that has begun the request
            log_context.begin()
        try:
            answer = self.authenticator.identify(environ)
        except BaseException as error:
            border.check_error(self.authenticator, error)
            raise
        ctx = border.check_context(self.authenticator, answer)
        roles, service_roles = _without_case(ctx.roles), _without_case(ctx.service_roles)
        if roles != ctx.roles or service_roles != ctx.service_roles or ctx.is_admin:
            ctx = dataclasses.replace(ctx, roles=roles, service_roles=service_roles,
                                      is_admin=False)
        log_context.set_caller(ctx)
        return _of_request(ctx, bool(self.layers.policy.is_admin(ctx)), request_id)

    def start(self, *, serves: bool = True) -> None:
        """Start the work in the background: renewal of leases, recovery, and tasks.

        :param serves: False in a worker process, which serves no requests.
        """
        self.layers.leases.start()
        self.use_cases.importing.files.clean()
        self.use_cases.recovery.start()
        self.use_cases.work.start()
        self.layers.executor.start(self.use_cases.work, serves=serves)

    def close(self) -> None:
        """Stop the work in the background and close all plugins."""
        self.use_cases.close()
        self.layers.leases.close()
        self.plugins.close()


def _of_request(ctx: Context, is_admin: bool, request_id: str | None) -> Context:
    """Do the same as ``dataclasses.replace`` in a third of the time, for each request."""
    return Context(
        ctx.user, ctx.project, ctx.roles, ctx.service_roles, is_admin, ctx.read_only,
        ctx.user_name, ctx.project_name, ctx.user_domain, ctx.project_domain, ctx.system_scope,
        ctx.domain, request_id, ctx.token, ctx.catalog)


def _without_case(roles: Iterable[str]) -> frozenset[str]:
    """Return the roles as the identity service compares them: without case."""
    return frozenset(map(str.lower, roles))
