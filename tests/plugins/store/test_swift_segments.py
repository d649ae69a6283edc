"""Large data in Swift: its segments, and that none remains after a failure."""

import itertools
import json
import logging
import time
import uuid

import pytest

from glancelite import contract
from glancelite.plugins.store.swift import SwiftStore
from glancelite.plugins.store.swift.account import Account
from glancelite.testing.contracts.store.toolbox import cut, pattern, same
from glancelite.testing.fakes import ClientWentAway, broken_source
from tests.servers.relay import relay

MB = 1_024_000
CONTAINER = 'segments'


@pytest.fixture
def make(make_plugin, swift):
    """Builds a store with segments of 1 MB."""
    def make(**options):
        return make_plugin(SwiftStore, **{
            'swift_store_auth_address': swift.auth_url, 'swift_store_auth_version': '1',
            'swift_store_user': 'test:tester', 'swift_store_key': 'testing',
            'swift_store_create_container_on_put': True, 'swift_store_container': CONTAINER,
            'swift_store_large_object_size': 1, 'swift_store_large_object_chunk_size': 1,
            **options})
    return make


@pytest.fixture
def store(make):
    return make()


@pytest.fixture
def key():
    return str(uuid.uuid4())


@pytest.fixture
def names(swift):
    """Lists the names in the container."""
    def names():
        return sorted(name.partition('/')[2] for name in
                      swift.objects(*swift.token(), CONTAINER)
                      if name.startswith(f'{CONTAINER}/'))
    return names


@pytest.fixture(autouse=True)
def _assert_empty(names, send):
    yield
    remaining = names()
    for name in remaining:   # for the next test
        send('DELETE', f'{CONTAINER}/{name}')
    assert remaining == []


@pytest.fixture
def send(swift):
    """Sends a request to Swift directly."""
    def send(method, path, **named):
        url, token = swift.token()
        return swift.request(method, f'{url}/{path}', token, **named)
    return send


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize(('size', 'count'), [(2 * MB, 2), (2 * MB + 1, 3), (3 * MB - 1, 3)])
def test_segments_are_those_of_glance(store, key, names, size, count, known):
    data = pattern(size)

    url = store.write(key, cut(data, 700_001), size=size if known else None).url

    assert names() == [key, *(f'{key}-{number:05}' for number in range(1, count + 1))]
    assert same(b''.join(store.read(url)), data)
    store.delete(url)


def test_the_list_has_the_segments_with_their_checksums(store, key, send):
    data = pattern(3 * MB - 1)
    url = store.write(key, cut(data, MB)).url

    head = send('HEAD', f'{CONTAINER}/{key}').headers
    parts = json.loads(send('GET', f'{CONTAINER}/{key}?multipart-manifest=get').body)

    assert head['X-Static-Large-Object'] == 'True'
    assert [part['bytes'] for part in parts] == [MB, MB, MB - 1]
    assert all(part['hash'] for part in parts)
    store.delete(url)


def test_the_option_dlo_joins_segments_by_a_prefix(make, key, send):
    store, data = make(swift_store_large_object_type='dlo'), pattern(3 * MB - 1)
    url = store.write(key, cut(data, MB)).url

    head = send('HEAD', f'{CONTAINER}/{key}').headers

    assert head['X-Object-Manifest'] == f'{CONTAINER}/{key}-'
    assert store.size(url) == len(data)
    assert same(b''.join(store.read(url)), data)
    assert same(b''.join(store.read(url, offset=MB - 5, length=10)), data[MB - 5:MB + 5])
    store.delete(url)


def test_a_swift_without_lists_gets_a_prefix(store, key, send, monkeypatch):
    put = Account.put

    def put_without_query(self, container, name, body=b'', query='', headers=contract.EMPTY,
                          **kwargs):
        return put(self, container, name, body, '', headers, **kwargs)  # Swift ignores it

    monkeypatch.setattr(Account, 'put', put_without_query)
    data = pattern(3 * MB)

    url = store.write(key, cut(data, MB)).url

    assert send('HEAD', f'{CONTAINER}/{key}').headers['X-Object-Manifest']
    assert same(b''.join(store.read(url)), data)
    store.delete(url)


def test_deleting_by_prefix_keeps_other_objects(make, key, names):
    store = make(swift_store_large_object_type='dlo')
    url = store.write(key, cut(pattern(3 * MB), MB)).url
    kept = store.write(f'{key}-other', iter([b'kept'])).url

    store.delete(url)

    assert names() == [f'{key}-other']
    store.delete(kept)


def test_data_larger_than_announced_is_complete(store, key, names):
    data = pattern(5 * MB)

    written = store.write(key, cut(data, MB), size=1)

    assert written.size == len(data) == store.size(written.url)
    store.delete(written.url)


def test_small_data_is_one_object(store, key, names):
    url = store.write(key, iter([b'12345'])).url

    assert names() == [key]
    store.delete(url)


@pytest.mark.parametrize('kind', ['slo', 'dlo'])
def test_a_broken_source_leaves_no_segment(make, key, names, kind):
    store = make(swift_store_large_object_type=kind)

    with pytest.raises(ClientWentAway):
        store.write(key, broken_source(*[b'x' * MB] * 4, b'y' * 100))

    assert names() == []


@pytest.mark.parametrize('number', [1, 3])
def test_an_existing_segment_is_not_overwritten(store, key, names, send, number):
    name = f'{key}-{number:05}'
    store.write(f'{key}-x', iter([b'y']))       # creates the container
    send('PUT', f'{CONTAINER}/{name}', body=b'of another writer')

    with pytest.raises(contract.Conflict):
        store.write(key, itertools.repeat(b'x' * MB, 5))

    assert names() == [name, f'{key}-x']
    assert send('GET', f'{CONTAINER}/{name}').body == b'of another writer'
    store.discard(key)
    store.discard(f'{key}-x')


def test_an_existing_object_is_not_overwritten_by_segments(store, key):
    url = store.write(key, iter([b'first'])).url

    with pytest.raises(contract.Conflict):
        store.write(key, itertools.repeat(b'x' * MB, 3))

    assert b''.join(store.read(url)) == b'first'
    store.delete(url)


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
def test_an_exceeded_quota_raises_toolarge_and_leaves_nothing(make, key, names, send, known):
    store = make()
    send('PUT', CONTAINER, headers={'X-Container-Meta-Quota-Count': '2'})

    def source():
        for number in range(8):
            if number in (4, 6):
                time.sleep(1.2)     # Swift updates its counts once a second
            yield b'x' * MB

    try:
        with pytest.raises(contract.TooLarge):
            store.write(key, source(), size=8 * MB if known else None)
    finally:
        send('POST', CONTAINER, headers={'X-Container-Meta-Quota-Count': ''})

    assert names() == []


SEGMENT, LIST, WHOLE = '{key}-00002 HTTP', '{key}?multipart-manifest=put', '{key} HTTP'


@pytest.fixture
def relayed(make, swift, key):
    """A store behind a relay, without connections; ``break_at`` sets the fault."""
    with relay(swift.url) as proxy:
        store = make(swift_store_endpoint=f'{proxy.url}/v1/AUTH_test', swift_store_timeout=5)
        store.write(f'{key}.warm', iter([b'x']))
        store.discard(f'{key}.warm')
        store.close()
        store.proxy = proxy
        yield store


def break_at(proxy, request, *, response, times=1):
    """Lose a request, or the response to it, so many times."""
    matches = []

    def cut(data, direction):
        if direction == 'up' and b'PUT ' in data:
            matches.append(request.encode() in data)
        hit = (matches and matches[-1] and len(cuts) < times
               and (direction == 'down' and b' 201 ' in data[:20] if response
                    else direction == 'up' and b'PUT ' in data))
        if hit:
            cuts.append(request)
        return hit

    cuts = []
    proxy.cut = cut
    return cuts


@pytest.mark.parametrize(('request_', 'times', 'response'), [
    (SEGMENT, 1, False), (SEGMENT, 1, True), (LIST, 2, False), (WHOLE, 1, False),
    (WHOLE, 1, True)])
def test_a_broken_connection_leaves_no_data(relayed, key, names, request_, times, response):
    cuts = break_at(relayed.proxy, request_.format(key=key), response=response, times=times)

    with pytest.raises(contract.Unavailable):
        relayed.write(key, itertools.repeat(b'x' * MB, 1 if request_ == WHOLE else 3))

    assert len(cuts) == times
    assert names() == []


@pytest.mark.parametrize('response', [False, True], ids=['request', 'response'])
def test_a_lost_list_is_sent_again(relayed, key, response):
    cuts = break_at(relayed.proxy, LIST.format(key=key), response=response)

    url = relayed.write(key, itertools.repeat(b'x' * MB, 3)).url

    assert len(cuts) == 1
    assert relayed.size(url) == 3 * MB
    relayed.delete(url)


# buffered segments


@pytest.fixture
def buffering(make, tmp_path):
    def buffering(**options):
        return make(swift_buffer_on_upload=True, swift_upload_buffer_dir=str(tmp_path), **options)
    return buffering


def test_buffered_segments_are_written(buffering, key, tmp_path):
    store, data = buffering(), pattern(3 * MB + 5)

    url = store.write(key, cut(data, 300_001)).url

    assert same(b''.join(store.read(url)), data)
    assert list(tmp_path.iterdir()) == []
    store.delete(url)


@pytest.mark.parametrize('direction', ['up', 'down'])
def test_a_buffered_segment_is_sent_again(buffering, swift, key, names, direction):
    data, cuts = pattern(3 * MB + 5), []

    def cut_twice(piece, way):
        wanted = b'x' * 0 if direction == 'up' else b' 201 Created'
        hit = (way == direction and key_in_flight() and wanted in piece[:40]
               and len(cuts) < 2 and (direction == 'down' or len(piece) > 1000))
        if hit:
            cuts.append(1)
        return hit

    def key_in_flight():
        return any(f'{key}-00002'.encode() in line for line in proxy.seen)

    with relay(swift.url) as proxy:
        store = buffering(swift_store_endpoint=f'{proxy.url}/v1/AUTH_test')
        proxy.cut = cut_twice
        url = store.write(key, cut(data, MB)).url

        assert len(cuts) == 2
        assert same(b''.join(store.read(url)), data)
        store.delete(url)


def test_a_broken_source_leaves_no_buffer(buffering, key, tmp_path):
    with pytest.raises(ClientWentAway):
        buffering().write(key, broken_source(*[b'x' * MB] * 3))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('options', [{}, {'swift_upload_buffer_dir': '/no/such/directory'}])
def test_buffering_requires_a_directory(make, options):
    with pytest.raises(contract.Misconfigured, match='swift_upload_buffer_dir'):
        make(swift_buffer_on_upload=True, **options)


# tokens


@pytest.mark.parametrize('buffered', [False, True])
def test_a_token_that_expires_between_two_segments_is_replaced(make, buffering, swift, key,
                                                               buffered):
    store, data = (buffering if buffered else make)(), pattern(5 * MB)
    seen = []

    def source():
        for number, chunk in enumerate(cut(data, MB)):
            if number in (2, 4):
                seen.append(store._accounts.open(None, None)._credential.token())
                swift.forget_tokens()
            yield chunk

    url = store.write(key, source(), size=len(data)).url

    assert len(set(seen)) == 2
    assert same(b''.join(store.read(url)), data)
    swift.forget_tokens()
    store.delete(url)


@pytest.mark.parametrize('method', ['read', 'size', 'delete', 'write', 'discard', 'health'])
def test_every_method_survives_an_expired_token(store, swift, key, method):
    url = store.write(key, iter([b'12345'])).url
    swift.forget_tokens()

    if method == 'write':
        store.delete(store.write(f'{key}.2', iter([b'12345'])).url)
    elif method in ('discard', 'health'):
        assert getattr(store, method)(*([key] if method == 'discard' else ())) is not Ellipsis
    elif method == 'read':
        assert b''.join(store.read(url)) == b'12345'
    else:
        getattr(store, method)(url)

    store.discard(key)


def test_the_error_for_a_missing_container_names_the_option(make, key, names):
    store = make(swift_store_container='nowhere', swift_store_create_container_on_put=False)

    for chunks in ([b'12345'], [b'x' * MB] * 3):
        with pytest.raises(contract.Unavailable,
                           match=r'nowhere .* swift_store_create_container_on_put'):
            store.write(key, iter(chunks))
    with pytest.raises(contract.Unavailable, match='no container nowhere'):
        store.health()


def test_a_wrong_key_is_in_no_text(make, key, caplog):
    caplog.set_level(logging.DEBUG)
    store = make(swift_store_key='a-wrong-key')

    for request in (lambda: store.write(key, iter([b'x'])), store.health,
                    lambda: store.read(f'swift+config://ref1/{CONTAINER}/{key}')):
        with pytest.raises(contract.Unavailable) as raised:
            request()
        assert 'a-wrong-key' not in f'{raised.value} {raised.value.details} {caplog.text}'


def test_discard_deletes_segments_without_a_list(store, key, send, names):
    store.write(f'{key}.x', iter([b'y']))
    for number in range(1, 4):
        send('PUT', f'{CONTAINER}/{key}-{number:05}', body=b'left')

    store.discard(key)

    assert names() == [f'{key}.x']
    store.discard(f'{key}.x')
