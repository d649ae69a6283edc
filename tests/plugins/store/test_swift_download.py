"""Downloads from Swift are resumed after a broken connection, and never wrong."""

import socket
import threading
import uuid

import pytest

from glancelite import contract
from glancelite.plugins.store.swift import SwiftStore
from glancelite.testing.contracts.store.toolbox import MIB, cut, pattern, same
from tests.servers.relay import relay

DATA = pattern(6 * MIB + 17)


@pytest.fixture
def make(make_plugin, swift):
    def make(**options):
        return make_plugin(SwiftStore, **{
            'swift_store_auth_address': swift.auth_url, 'swift_store_auth_version': '1',
            'swift_store_user': 'test:tester', 'swift_store_key': 'testing',
            'swift_store_create_container_on_put': True, 'swift_store_container': 'reading',
            'swift_store_large_object_chunk_size': 2, 'swift_store_timeout': 5, **options})
    return make


@pytest.fixture(params=['whole', 'slo', 'dlo'])
def url(request, make):
    """The URL of more than six MiB of data, as one object or in segments."""
    kind = {} if request.param == 'whole' else {'swift_store_large_object_type': request.param}
    store = make(**kind)
    url = store.write(str(uuid.uuid4()), cut(DATA, MIB),
                      size=len(DATA) if request.param == 'whole' else None).url
    yield url
    store.delete(url)


@pytest.fixture
def proxy(swift):
    with relay(swift.url) as proxy:
        yield proxy


def break_after(proxy, size, times):
    """Close the connection after ``size`` bytes of responses, ``times`` times."""
    state = {'received': 0, 'times': times}

    def cut(data, direction):
        if direction == 'down':
            state['received'] += len(data)
            if state['received'] > size and state['times']:
                state['received'] = 0
                state['times'] -= 1
                return True
        return False

    proxy.cut = cut
    return state


def test_a_broken_download_is_resumed(make, proxy, url):
    store = make(swift_store_endpoint=f'{proxy.url}/v1/AUTH_test', swift_store_retry_get_count=3)
    state = break_after(proxy, 2_000_000, 3)

    data = b''.join(store.read(url))

    assert state['times'] == 0
    assert same(data, DATA)


def test_a_broken_download_of_a_range_is_resumed(make, proxy, url):
    store = make(swift_store_endpoint=f'{proxy.url}/v1/AUTH_test', swift_store_retry_get_count=3)
    state = break_after(proxy, 1_000_000, 2)

    data = b''.join(store.read(url, offset=1_000_001, length=3_000_003))

    assert state['times'] == 0
    assert same(data, DATA[1_000_001:][:3_000_003])


@pytest.mark.parametrize('count', [0, 2])
def test_a_download_that_breaks_too_often_raises_unavailable(make, proxy, url, count):
    store = make(swift_store_endpoint=f'{proxy.url}/v1/AUTH_test',
                 swift_store_retry_get_count=count)
    state = break_after(proxy, 1_000_000, count + 1)
    chunks, seen = store.read(url), []

    with pytest.raises(contract.Unavailable):
        seen += iter(chunks)

    assert state['times'] == 0
    assert DATA.startswith(b''.join(seen))


def test_a_download_is_not_resumed_in_changed_data(make, proxy, swift):
    store = make(swift_store_endpoint=f'{proxy.url}/v1/AUTH_test', swift_store_retry_get_count=3)
    url = store.write(str(uuid.uuid4()), cut(DATA, MIB), size=len(DATA)).url
    storage, token = swift.token()
    break_after(proxy, 2_000_000, 1)
    chunks = iter(store.read(url))
    seen = [next(chunks)]

    swift.request('PUT', f'{storage}/reading/{url.rpartition("/")[2]}', token,
                  body=bytes(len(DATA)))
    with pytest.raises(contract.Unavailable, match='changed'):
        seen += chunks

    assert DATA.startswith(b''.join(seen))
    store.delete(url)


def test_a_download_is_resumed_with_a_new_token(make, proxy, swift, url):
    store = make(swift_store_endpoint=f'{proxy.url}/v1/AUTH_test', swift_store_retry_get_count=1)
    state = break_after(proxy, 2_000_000, 1)
    chunks = iter(store.read(url))
    seen = next(chunks)
    swift.forget_tokens()

    seen += b''.join(chunks)

    assert state['times'] == 0
    assert same(seen, DATA)


def test_connections_are_reused(make, proxy, url):
    store = make(swift_store_endpoint=f'{proxy.url}/v1/AUTH_test')
    opened = []
    handle = proxy.process_request
    proxy.process_request = lambda *args: (opened.append(1), handle(*args))

    for _ in range(5):
        assert store.size(url) == len(DATA)
        assert same(b''.join(store.read(url, offset=5, length=50)), DATA[5:55])
        assert same(b''.join(store.read(url)), DATA)

    assert len(opened) == 1


def test_a_download_can_be_closed_early_and_twice(make, url):
    store = make()
    chunks = store.read(url)
    next(chunks)

    chunks.close()
    chunks.close()

    assert same(b''.join(store.read(url)), DATA)


class MinimalServer(threading.Thread):
    """A server without ranges and 100 Continue that sends one response to everything.

    :param wait: send it after the body of the request, not before.
    """

    def __init__(self, response, *, wait=False):
        super().__init__(daemon=True)
        self.server = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.server.getsockname()[1]}/v1/AUTH_x'
        self.response = response
        self.wait = wait
        self.received = []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            with client:
                data = client.recv(1 << 16)
                while self.wait and not data.endswith(b'0\r\n\r\n') and b'12345' not in data:
                    data += client.recv(1 << 16)
                self.received.append(data)
                client.sendall(self.response)

    def close(self):
        self.server.close()


@pytest.fixture
def minimal_server():
    servers = []

    def start(*args, **kwargs):
        servers.append(MinimalServer(*args, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_ranges_work_with_a_server_without_ranges(make, minimal_server):
    server = minimal_server(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nEtag: x\r\n\r\n0123456789')
    store = make(swift_store_endpoint=server.url)

    assert b''.join(store.read('swift+config://ref1/c/o', offset=3, length=4)) == b'3456'
    assert b''.join(store.read('swift+config://ref1/c/o', offset=8)) == b'89'


def test_data_is_sent_to_a_server_without_100_continue(make, minimal_server):
    server = minimal_server(b'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n', wait=True)
    store = make(swift_store_endpoint=server.url)

    assert store.write('key', iter([b'12345'])).size == 5

    assert b'100-continue' in server.received[0]
    assert server.received[0].endswith(b'12345')


@pytest.mark.parametrize('response', [
    b'nonsense\r\n\r\n', b'HTTP/1.1 twelve\r\n\r\n', b'', b'HTTP/1.1 500 No\r\n\r\n',
    b'HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno', b'HTTP/1.1 401 No\r\n\r\n',
    b'HTTP/1.1 403 No\r\n\r\n', b'HTTP/1.1 302 There\r\nLocation: http://127.0.0.1/\r\n\r\n'])
def test_invalid_responses_raise_unavailable(make, minimal_server, response):
    store = make(swift_store_endpoint=minimal_server(response).url)

    for request in (lambda: store.write('key', iter([b'12345'])),
                    lambda: store.read('swift+config://ref1/c/o'),
                    lambda: store.size('swift+config://ref1/c/o')):
        with pytest.raises(contract.Unavailable):
            request()


def test_a_denied_deletion_raises_forbidden(make, minimal_server):
    store = make(swift_store_endpoint=minimal_server(b'HTTP/1.1 403 No\r\n\r\n').url)

    with pytest.raises(contract.Forbidden):
        store.delete('swift+config://ref1/c/o')
