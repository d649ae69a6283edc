"""The HTTP server in glancelite-api: gunicorn's threaded worker, adapted to large transfers."""

from glancelite.server.application import CannotStart, check_tls, serve
from glancelite.server.body import BodyCutShort, BodyMalformed
from glancelite.server.options import OPTS, register

__all__ = ['OPTS', 'BodyCutShort', 'BodyMalformed', 'CannotStart', 'check_tls', 'register',
           'serve']
