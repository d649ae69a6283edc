"""``glancelite-api`` that looks more often whether a transfer is still wanted."""

from glancelite.cmd import api
from glancelite.server import connection
from glancelite.services import stream


def main():
    connection.BODY_WAIT, stream.CHECK_INTERVAL = 0.05, 0.1
    return api.main()
