"""Clients for a web that misbehaves."""

import pytest
from oslo_config import cfg

from glancelite.support import outbound


@pytest.fixture
def make_client():
    """Builds clients that may go to loopback, at any port, unless ``rules`` says otherwise."""
    living = []

    def make(rules=None, **named):
        conf = cfg.ConfigOpts()
        outbound.register(conf)
        given = {'allowed_hosts': ['127.0.0.1', 'localhost'], 'allowed_ports': []}
        for name, value in (given if rules is None else rules).items():
            conf.set_override(name, value, group=outbound.SECTION)
        living.append(outbound.Client(outbound.Rules(conf), **named))
        return living[-1]

    yield make
    for client in living:
        client.close()


@pytest.fixture
def client(make_client):
    return make_client(connect_timeout=2, read_timeout=2)
