"""A web that misbehaves, and clients for it."""

import pytest
from oslo_config import cfg

from glancelite import outbound
from tests.servers import hostile_web


@pytest.fixture(scope='session')
def hostile_server():
    with hostile_web.running() as server:
        yield server


@pytest.fixture
def hostile(hostile_server):
    """A server with bad habits that has been asked for nothing yet."""
    hostile_server.asked.clear()
    hostile_server.connections = 0
    return hostile_server


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
