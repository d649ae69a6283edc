"""Downloads from Swift: resumed where they broke, and never wrong."""

import socket
import threading
import uuid

import pytest

from glancelite import contract
from glancelite.plugins.store.swift import SwiftStore
from glancelite.testing.contracts.store.toolbox import MIB, cut, pattern, same
from tests.plugins.store.relay import relay

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
    """An image of more than six MiB, as one object or in segments."""
    kind = {} if request.param == 'whole' else {'swift_store_large_object_type': request.param}
    store = make(**kind)
    url = store.write(str(uuid.uuid4()), cut(DATA, MIB),
                      size=len(DATA) if request.param == 'whole' else None).url
    yield url
    store.delete(url)


@pytest.fixture
def wire(swift):
    with relay(swift.url) as wire:
        yield wire


def break_after(wire, size, times):
    """Cut the wire whenever so many bytes have come down, so many times."""
    state = {'came': 0, 'times': times}

    def cut(data, direction):
        if direction == 'down':
            state['came'] += len(data)
            if state['came'] > size and state['times']:
                state['came'] = 0
                state['times'] -= 1
                return True
        return False

    wire.cut = cut
    return state


def test_a_download_that_breaks_is_resumed(make, wire, url):
    store = make(swift_store_endpoint=f'{wire.url}/v1/AUTH_test', swift_store_retry_get_count=3)
    state = break_after(wire, 2_000_000, 3)

    data = b''.join(store.read(url))

    assert state['times'] == 0
    assert same(data, DATA)


def test_a_part_that_breaks_is_resumed(make, wire, url):
    store = make(swift_store_endpoint=f'{wire.url}/v1/AUTH_test', swift_store_retry_get_count=3)
    state = break_after(wire, 1_000_000, 2)

    data = b''.join(store.read(url, offset=1_000_001, length=3_000_003))

    assert state['times'] == 0
    assert same(data, DATA[1_000_001:][:3_000_003])


@pytest.mark.parametrize('count', [0, 2])
def test_a_download_that_breaks_too_often_is_no_shorter_image(make, wire, url, count):
    store = make(swift_store_endpoint=f'{wire.url}/v1/AUTH_test',
                 swift_store_retry_get_count=count)
    state = break_after(wire, 1_000_000, count + 1)
    chunks, seen = store.read(url), []

    with pytest.raises(contract.Unavailable):
        seen += iter(chunks)

    assert state['times'] == 0
    assert DATA.startswith(b''.join(seen))


def test_a_download_is_not_resumed_in_other_data(make, wire, swift):
    store = make(swift_store_endpoint=f'{wire.url}/v1/AUTH_test', swift_store_retry_get_count=3)
    url = store.write(str(uuid.uuid4()), cut(DATA, MIB), size=len(DATA)).url
    storage, token = swift.token()
    break_after(wire, 2_000_000, 1)
    chunks = iter(store.read(url))
    seen = [next(chunks)]

    swift.request('PUT', f'{storage}/reading/{url.rpartition("/")[2]}', token,
                  body=bytes(len(DATA)))
    with pytest.raises(contract.Unavailable, match='changed'):
        seen += chunks

    assert DATA.startswith(b''.join(seen))
    store.delete(url)


def test_a_download_is_resumed_with_a_new_token(make, wire, swift, url):
    store = make(swift_store_endpoint=f'{wire.url}/v1/AUTH_test', swift_store_retry_get_count=1)
    state = break_after(wire, 2_000_000, 1)
    chunks = iter(store.read(url))
    seen = next(chunks)
    swift.forget_tokens()

    seen += b''.join(chunks)

    assert state['times'] == 0
    assert same(seen, DATA)


def test_connections_are_used_again(make, wire, url):
    store = make(swift_store_endpoint=f'{wire.url}/v1/AUTH_test')
    opened = []
    handle = wire.process_request
    wire.process_request = lambda *args: (opened.append(1), handle(*args))

    for _ in range(5):
        assert store.size(url) == len(DATA)
        assert same(b''.join(store.read(url, offset=5, length=50)), DATA[5:55])
        assert same(b''.join(store.read(url)), DATA)

    assert len(opened) == 1


def test_a_reader_who_gives_up_holds_no_connection(make, url):
    store = make()
    chunks = store.read(url)
    next(chunks)

    chunks.close()
    chunks.close()

    assert same(b''.join(store.read(url)), DATA)


class Plain(threading.Thread):
    """A server of few words: no ranges, no 100 Continue, and an answer before the end."""

    def __init__(self, reply, *, wait=False):
        super().__init__(daemon=True)
        self.server = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.server.getsockname()[1]}/v1/AUTH_x'
        self.reply = reply
        self.wait = wait
        self.heard = []
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
                self.heard.append(data)
                client.sendall(self.reply)

    def close(self):
        self.server.close()


@pytest.fixture
def plain():
    living = []

    def plain(*args, **named):
        living.append(Plain(*args, **named))
        return living[-1]

    yield plain
    for server in living:
        server.close()


def test_a_server_without_ranges_gives_parts_too(make, plain):
    server = plain(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nEtag: x\r\n\r\n0123456789')
    store = make(swift_store_endpoint=server.url)

    assert b''.join(store.read('swift+config://ref1/c/o', offset=3, length=4)) == b'3456'
    assert b''.join(store.read('swift+config://ref1/c/o', offset=8)) == b'89'


def test_data_is_sent_to_a_server_that_does_not_ask_for_it(make, plain):
    server = plain(b'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n', wait=True)
    store = make(swift_store_endpoint=server.url)

    assert store.write('key', iter([b'12345'])).size == 5

    assert b'100-continue' in server.heard[0]
    assert server.heard[0].endswith(b'12345')


@pytest.mark.parametrize('reply', [
    b'nonsense\r\n\r\n', b'HTTP/1.1 twelve\r\n\r\n', b'', b'HTTP/1.1 500 No\r\n\r\n',
    b'HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno', b'HTTP/1.1 401 No\r\n\r\n',
    b'HTTP/1.1 403 No\r\n\r\n', b'HTTP/1.1 302 There\r\nLocation: http://127.0.0.1/\r\n\r\n'])
def test_what_no_server_should_say_is_no_answer(make, plain, reply):
    store = make(swift_store_endpoint=plain(reply).url)

    for ask in (lambda: store.write('key', iter([b'12345'])),
                lambda: store.read('swift+config://ref1/c/o'),
                lambda: store.size('swift+config://ref1/c/o')):
        with pytest.raises(contract.Unavailable):
            ask()


def test_a_removal_that_is_not_permitted_is_told_so(make, plain):
    store = make(swift_store_endpoint=plain(b'HTTP/1.1 403 No\r\n\r\n').url)

    with pytest.raises(contract.Forbidden):
        store.delete('swift+config://ref1/c/o')
