"""Everybody gets in: for one machine, for trying out and for tests."""

from oslo_config import cfg

from glancelite import contract


class NoAuth(contract.Authenticator):
    """Every request comes from the one caller that the options describe."""

    SECTION = 'noauth'
    OPEN = True
    OPTS = (
        cfg.StrOpt('project_id', default='noauth', max_length=255,
                   help='Project that every caller belongs to: the owner of new images.'),
        cfg.StrOpt('user_id', default='noauth', max_length=255,
                   help='User that every caller is.'),
        cfg.ListOpt('roles', default=['admin', 'member', 'reader'],
                    help='Roles that every caller has.'),
    )

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        if not options.project_id:
            raise contract.Misconfigured('[noauth] project_id must not be empty')
        self._everybody = contract.Context(
            user=options.user_id, project=options.project_id,
            roles=frozenset(role.lower() for role in options.roles))

    def identify(self, environ):
        return self._everybody
