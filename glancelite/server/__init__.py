"""The HTTP server that glancelite-api embeds: gunicorn's threaded worker, fitted to transfers."""

from glancelite.server.application import serve
from glancelite.server.body import BodyCutShort, BodyMalformed
from glancelite.server.options import OPTS, register

__all__ = ['OPTS', 'BodyCutShort', 'BodyMalformed', 'register', 'serve']
