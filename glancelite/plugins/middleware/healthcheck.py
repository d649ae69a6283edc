"""``/healthcheck``: what a load balancer asks."""

from oslo_middleware import healthcheck, opts

from glancelite import contract

PATHS = frozenset({'/healthcheck', '/healthcheck/'})


def _register(conf):
    for group, options in opts.list_opts_healthcheck():
        conf.register_opts(options, group=group)
    conf.set_default('backends', ['disable_by_file'], group='healthcheck')
    conf.set_default('disable_by_file_path', '/etc/glance/healthcheck_disable',
                     group='healthcheck')


class Healthcheck(contract.Middleware):
    """oslo.middleware's check, asked without authentication.

    An operator takes a server out of the rotation by creating the file of
    ``[healthcheck] disable_by_file_path``.
    """

    LIBRARY_OPTS = (_register,)

    def wrap(self, app):
        check = healthcheck.Healthcheck(app, self.conf)

        def checked(environ, start_response):
            # The library would cost every request an object of its own.
            if environ.get('PATH_INFO') in PATHS:
                return check(environ, start_response)
            return app(environ, start_response)

        return checked
