"""Listing or showing images with large properties costs a real server a limited memory."""

import concurrent.futures
import contextlib
import http.client
import json

import pytest

from tests.servers import live

MIB = 1 << 20
IMAGES = 8
#: with the largest values: 8 MB
PROPERTIES = 120
ONE = '/v2/images/00000000-0000-4000-8000-000000000001'
TEXTS = {'ascii': 'a' * 65_535, 'wide': '漢' * 21_845}


@pytest.fixture(scope='module',
                params=['sqlite', pytest.param('memory', marks=pytest.mark.long)])
def server(request, tmp_path_factory):
    config = {
        'DEFAULT': {'enabled_backends': 'memory:memory', 'workers': '1'},
        'glance_store': {'default_backend': 'memory'},
        'layers': {'auth': 'noauth', 'sync_database': 'true'},
    }
    if request.param == 'memory':
        config['layers']['database'] = 'memory'
    else:
        config['database'] = {'connection': f'sqlite:///{tmp_path_factory.mktemp("db")}/db',
                              'sqlite_synchronous': 'false'}
    with live.server(config) as server:
        for number in range(IMAGES):
            text = list(TEXTS.values())[number % 2]
            send(server, 'POST', '/v2/images', {
                'id': f'{ONE[11:-2]}{number:02}', 'name': str(number),
                **{f'property {n}': text for n in range(PROPERTIES)}})
        yield server


def send(server, method, path, body=None):
    """Return the length of an answer, and the path of the next page."""
    with contextlib.closing(http.client.HTTPConnection(
            '127.0.0.1', server.port, timeout=300)) as connection:
        connection.request(method, path, body and json.dumps(body, ensure_ascii=False).encode())
        with connection.getresponse() as answer:
            content = answer.read()
    assert answer.status < 300, content[:300]
    return len(content), content[-300:].partition(b'"next":"')[2].partition(b'"')[0].decode()


@pytest.fixture
def cost(server):
    """Returns by how many bytes the worker has grown at most."""
    return live.growth(server)


def test_a_listing_costs_less_than_64_mib_and_its_pages_have_all_images(server, cost):
    path, pages = '/v2/images', 0
    while path:
        size, path = send(server, 'GET', path)
        pages += 1

        assert size < 10 * MIB
    assert pages == IMAGES
    assert cost() < 64 * MIB


@pytest.mark.parametrize('path', ['/v2/images', ONE])
def test_many_requests_at_once_cost_a_limited_amount(server, cost, path):
    def ask(_):
        try:
            return send(server, 'GET', path)[0]
        except (ConnectionError, http.client.IncompleteRead):
            return 0        # the server keeps 64 MiB of answers for slow clients

    with concurrent.futures.ThreadPoolExecutor(32) as clients:
        sizes = [size for size in clients.map(ask, range(32)) if size]

    assert sizes
    assert min(sizes) > 7 * MIB
    assert cost() < 320 * MIB       # of which up to 128 are answers for slow clients
    assert live.answers(server.port)
