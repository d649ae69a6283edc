"""No authentication: for trials and tests on one machine."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from oslo_config import cfg

from glancelite import contract


class NoAuth(contract.Authenticator):
    """Treats every request as one of the caller that the options describe."""

    SECTION = 'noauth'
    OPEN = True
    OPTS = (
        cfg.StrOpt('project_id', default='noauth', max_length=255,
                   help='Project of every caller: the owner of new images.'),
        cfg.StrOpt('user_id', default='noauth', max_length=255,
                   help='User id of every caller.'),
        cfg.ListOpt('roles', default=['admin', 'member', 'reader'],
                    help='Roles of every caller.'),
    )

    def __init__(self, options: Any, host: contract.Host, **kwargs: Any):
        super().__init__(options, host, **kwargs)
        if not options.project_id:
            raise contract.Misconfigured('[noauth] project_id must not be empty')
        self._caller = contract.Context(
            user=options.user_id, project=options.project_id,
            roles=frozenset(role.lower() for role in options.roles))

    def identify(self, environ: MutableMapping[str, Any]) -> contract.Context:
        return self._caller
