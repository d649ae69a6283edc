"""Connections to a broker whose certificate is checked."""

from __future__ import annotations

from typing import Any

from celery.app import amqp
from kombu.connection import Connection
from kombu.transport import pyamqp


class CheckingTransport(pyamqp.SSLTransport):
    """Checks that the certificate is for the host in the address of the broker.

    The library does so only for a name that it is given, which is one for all brokers.
    """

    def establish_connection(self) -> Any:
        client: Any = self.client
        host = client.hostname
        client.ssl = {**client.ssl, 'server_hostname': host}
        try:
            return super().establish_connection()
        finally:
            client.hostname = host      # the library has put an address in place of localhost


class CheckedConnection(Connection):
    """A connection through ``CheckingTransport``, whatever the scheme of its address."""

    def get_transport_cls(self) -> Any:
        return CheckingTransport


class CheckedAMQP(amqp.AMQP):
    """Makes all connections of an application of Celery checked ones."""

    Connection = CheckedConnection
