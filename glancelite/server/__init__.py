"""The HTTP server that glancelite-api embeds: many processes, many threads, no framework."""

import sys

from glancelite.server.body import BodyCutShort
from glancelite.server.body import BodyMalformed
from glancelite.server.master import CannotStart
from glancelite.server.master import Master
from glancelite.server.options import OPTS

__all__ = ['OPTS', 'BodyCutShort', 'BodyMalformed', 'CannotStart', 'Master', 'serve']


def serve(conf_factory, app_factory) -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the configuration again.

    :param conf_factory: returns an ``oslo_config.cfg.ConfigOpts``; called in the
        master at the start and on every SIGHUP.
    :param app_factory: turns it into a WSGI application; called in each worker
        process after the fork. The application's ``close()``, if it has one,
        is called when the worker ends.
    :returns: the exit code of the program; 2 if the server could not start, which
        one line on standard error explains.
    """
    try:
        Master(conf_factory, app_factory).run()
    except CannotStart as exc:
        print(f'cannot start: {exc}', file=sys.stderr)
        return 2
    return 0
