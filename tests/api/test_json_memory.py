"""What a client sends as JSON costs a real server little memory."""

import concurrent.futures
import contextlib
import http.client

import pytest

from tests.servers import live

MIB = 1 << 20
LIMIT = 100 * MIB
CONFIG = {
    'DEFAULT': {'enabled_backends': 'memory:memory', 'workers': '1'},
    'glance_store': {'default_backend': 'memory'},
    'layers': {'auth': 'noauth', 'database': 'memory'},
}
EMOJI = '\U0001f600'.encode()
BODIES = {
    'objects': b'{"a":[' + b'{},' * 5_000_000 + b'{}]}',
    'arrays': b'{"a":[' + b'[],' * 5_000_000 + b'[]]}',
    'few elements': b'{"a":[' + b'{"a":{}},' * 20_000 + b'{}]}',
    'nested': b'{"a":' * 2_000_000,
    'one emoji': b'{"a":"' + EMOJI + b'a' * (10 * MIB - 100) + b'"}',
    'one escaped emoji': rb'{"a":"\ud83d\ude00' + b'a' * (10 * MIB - 100) + b'"}',
    'escapes and an emoji': rb'{"a":"\ud83d\ude00' + rb'\u4e2d' * (5 * MIB - 100) + b'"}',
    'wide characters': b'{"a":"' + '中'.encode() * (3 * MIB) + b'"}',
    'endless': b'{"a":"' + b'a' * (64 * MIB),
    'a number': b'{"a":' + b'1' * (9 * MIB) + b'}',
    'patch': b'[' + b'{"op":"add","path":"/a","value":"b"},' * 300_000 + b'{}]',
}


@pytest.fixture(scope='module')
def server():
    with live.server(CONFIG) as server:
        yield server


@pytest.fixture
def cost(server):
    """Returns by how many bytes the worker has grown at most."""
    send(server, b'{}')
    return live.growth(server)


def send(server, body):
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):    # answered before the end
        connection.request('POST', '/v2/images', body)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize('name', BODIES)
def test_a_body_costs_less_than_100_mib(server, cost, name):
    status = send(server, BODIES[name])

    assert status in (400, 413, 201)
    assert cost() < LIMIT
    assert live.answers(server.port)


def test_many_large_bodies_together_cost_less_than_100_mib(server, cost):
    body = b'{"a":[' + b'"%s",' % (b'a' * MIB) * 9 + b'{}]}'

    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        statuses = set(clients.map(lambda _: send(server, body), range(16)))

    assert statuses == {400}
    assert cost() < LIMIT


def test_a_reader_is_refused_before_the_body_is_sent():
    with live.server({**CONFIG, 'noauth': {'roles': 'reader'}}) as server:
        connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
        connection.putrequest('POST', '/v2/images')
        connection.putheader('Content-Length', str(15 * MIB))
        connection.endheaders()

        assert connection.getresponse().status == 403
        connection.close()
