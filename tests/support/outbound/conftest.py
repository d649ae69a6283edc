"""Fixtures: HTTP clients."""

import pytest
from oslo_config import cfg

from glancelite.support import outbound


@pytest.fixture
def make_client():
    """Build clients; without ``rules`` they may connect to loopback, at any port."""
    clients = []

    def make(rules=None, **named):
        conf = cfg.ConfigOpts()
        outbound.register(conf)
        defaults = {'allowed_hosts': ['127.0.0.1', 'localhost'], 'allowed_ports': []}
        for name, value in (defaults if rules is None else rules).items():
            conf.set_override(name, value, group=outbound.SECTION)
        clients.append(outbound.Client(outbound.Rules(conf), **named))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client):
    return make_client(connect_timeout=2, read_timeout=2)
