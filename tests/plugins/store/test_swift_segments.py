"""Large images in Swift: how they are cut, and that nothing of one remains that fails."""

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
from tests.plugins.store.relay import relay

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
    """What the container holds."""
    def names():
        return sorted(name.partition('/')[2] for name in
                      swift.objects(*swift.token(), CONTAINER)
                      if name.startswith(f'{CONTAINER}/'))
    return names


@pytest.fixture(autouse=True)
def _nothing_remains(names, ask):
    yield
    left = names()
    for name in left:   # the next test is not to blame
        ask('DELETE', f'{CONTAINER}/{name}')
    assert left == []


@pytest.fixture
def ask(swift):
    """A request to Swift itself."""
    def ask(method, path, **named):
        url, token = swift.token()
        return swift.request(method, f'{url}/{path}', token, **named)
    return ask


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize(('size', 'count'), [(2 * MB, 2), (2 * MB + 1, 3), (3 * MB - 1, 3)])
def test_is_cut_where_glance_cuts(store, key, names, size, count, known):
    data = pattern(size)

    url = store.write(key, cut(data, 700_001), size=size if known else None).url

    assert names() == [key, *(f'{key}-{number:05}' for number in range(1, count + 1))]
    assert same(b''.join(store.read(url)), data)
    store.delete(url)


def test_a_list_holds_segments_with_their_checksums(store, key, ask):
    data = pattern(3 * MB - 1)
    url = store.write(key, cut(data, MB)).url

    head = ask('HEAD', f'{CONTAINER}/{key}').headers
    parts = json.loads(ask('GET', f'{CONTAINER}/{key}?multipart-manifest=get').body)

    assert head['X-Static-Large-Object'] == 'True'
    assert [part['bytes'] for part in parts] == [MB, MB, MB - 1]
    assert all(part['hash'] for part in parts)
    store.delete(url)


def test_a_prefix_holds_segments_together_if_that_is_wanted(make, key, ask):
    store, data = make(swift_store_large_object_type='dlo'), pattern(3 * MB - 1)
    url = store.write(key, cut(data, MB)).url

    head = ask('HEAD', f'{CONTAINER}/{key}').headers

    assert head['X-Object-Manifest'] == f'{CONTAINER}/{key}-'
    assert store.size(url) == len(data)
    assert same(b''.join(store.read(url)), data)
    assert same(b''.join(store.read(url, offset=MB - 5, length=10)), data[MB - 5:MB + 5])
    store.delete(url)


def test_a_swift_that_knows_no_lists_gets_a_prefix(store, key, ask, monkeypatch):
    put = Account.put

    def plain(self, container, name, body=b'', query='', headers=contract.EMPTY, **named):
        return put(self, container, name, body, '', headers, **named)   # as it is taken there

    monkeypatch.setattr(Account, 'put', plain)
    data = pattern(3 * MB)

    url = store.write(key, cut(data, MB)).url

    assert ask('HEAD', f'{CONTAINER}/{key}').headers['X-Object-Manifest']
    assert same(b''.join(store.read(url)), data)
    store.delete(url)


def test_a_prefix_takes_nothing_of_others_with_it(make, key, names):
    store = make(swift_store_large_object_type='dlo')
    url = store.write(key, cut(pattern(3 * MB), MB)).url
    kept = store.write(f'{key}-other', iter([b'kept'])).url

    store.delete(url)

    assert names() == [f'{key}-other']
    store.delete(kept)


def test_what_becomes_larger_than_known_is_kept_whole(store, key, names):
    data = pattern(5 * MB)

    written = store.write(key, cut(data, MB), size=1)

    assert written.size == len(data) == store.size(written.url)
    store.delete(written.url)


def test_what_is_small_is_one_object(store, key, names):
    url = store.write(key, iter([b'12345'])).url

    assert names() == [key]
    store.delete(url)


@pytest.mark.parametrize('kind', ['slo', 'dlo'])
def test_a_source_that_breaks_late_leaves_no_segment(make, key, names, kind):
    store = make(swift_store_large_object_type=kind)

    with pytest.raises(ClientWentAway):
        store.write(key, broken_source(*[b'x' * MB] * 4, b'y' * 100))

    assert names() == []


@pytest.mark.parametrize('taken', [1, 3])
def test_a_segment_that_is_there_is_not_overwritten(store, key, names, ask, taken):
    name = f'{key}-{taken:05}'
    store.write(f'{key}-x', iter([b'y']))       # so that there is a container
    ask('PUT', f'{CONTAINER}/{name}', body=b'of somebody else')

    with pytest.raises(contract.Conflict):
        store.write(key, itertools.repeat(b'x' * MB, 5))

    assert names() == [name, f'{key}-x']
    assert ask('GET', f'{CONTAINER}/{name}').body == b'of somebody else'
    store.discard(key)
    store.discard(f'{key}-x')


def test_an_image_that_is_there_stays_though_the_other_is_large(store, key):
    url = store.write(key, iter([b'first'])).url

    with pytest.raises(contract.Conflict):
        store.write(key, itertools.repeat(b'x' * MB, 3))

    assert b''.join(store.read(url)) == b'first'
    store.delete(url)


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
def test_a_full_account_is_told_and_nothing_remains(make, key, names, ask, known):
    store = make()
    ask('PUT', CONTAINER, headers={'X-Container-Meta-Quota-Count': '2'})

    def source():
        for number in range(8):
            if number in (4, 6):
                time.sleep(1.2)     # Swift counts once a second
            yield b'x' * MB

    try:
        with pytest.raises(contract.TooLarge):
            store.write(key, source(), size=8 * MB if known else None)
    finally:
        ask('POST', CONTAINER, headers={'X-Container-Meta-Quota-Count': ''})

    assert names() == []


SEGMENT, LIST, WHOLE = '{key}-00002 HTTP', '{key}?multipart-manifest=put', '{key} HTTP'


@pytest.fixture
def over(make, swift, key):
    """A store behind a wire, with no connection yet; ``break_at`` says what does not work."""
    with relay(swift.url) as wire:
        store = make(swift_store_endpoint=f'{wire.url}/v1/AUTH_test', swift_store_timeout=5)
        store.write(f'{key}.warm', iter([b'x']))
        store.discard(f'{key}.warm')
        store.close()
        store.wire = wire
        yield store


def break_at(wire, request, *, answer, times=1):
    """Let a request, or what is answered to it, be lost so many times."""
    asked = []

    def cut(data, direction):
        if direction == 'up' and b'PUT ' in data:
            asked.append(request.encode() in data)
        hit = (asked and asked[-1] and len(cuts) < times
               and (direction == 'down' and b' 201 ' in data[:20] if answer
                    else direction == 'up' and b'PUT ' in data))
        if hit:
            cuts.append(request)
        return hit

    cuts = []
    wire.cut = cut
    return cuts


@pytest.mark.parametrize(('request_', 'times', 'answer'), [
    (SEGMENT, 1, False), (SEGMENT, 1, True), (LIST, 2, False), (WHOLE, 1, False),
    (WHOLE, 1, True)])
def test_a_wire_that_breaks_leaves_nothing(over, key, names, request_, times, answer):
    cuts = break_at(over.wire, request_.format(key=key), answer=answer, times=times)

    with pytest.raises(contract.Unavailable):
        over.write(key, itertools.repeat(b'x' * MB, 1 if request_ == WHOLE else 3))

    assert len(cuts) == times
    assert names() == []


@pytest.mark.parametrize('answer', [False, True], ids=['request', 'answer'])
def test_a_list_that_was_lost_is_sent_again(over, key, answer):
    cuts = break_at(over.wire, LIST.format(key=key), answer=answer)

    url = over.write(key, itertools.repeat(b'x' * MB, 3)).url

    assert len(cuts) == 1
    assert over.size(url) == 3 * MB
    over.delete(url)


# segments that are on disk until Swift has them


@pytest.fixture
def buffering(make, tmp_path):
    def buffering(**options):
        return make(swift_buffer_on_upload=True, swift_upload_buffer_dir=str(tmp_path), **options)
    return buffering


def test_segments_may_wait_on_disk(buffering, key, tmp_path):
    store, data = buffering(), pattern(3 * MB + 5)

    url = store.write(key, cut(data, 300_001)).url

    assert same(b''.join(store.read(url)), data)
    assert list(tmp_path.iterdir()) == []
    store.delete(url)


@pytest.mark.parametrize('direction', ['up', 'down'])
def test_a_segment_on_disk_is_sent_again(buffering, swift, key, names, direction):
    data, cuts = pattern(3 * MB + 5), []

    def cut_twice(piece, way):
        wanted = b'x' * 0 if direction == 'up' else b' 201 Created'
        hit = (way == direction and key_in_flight() and wanted in piece[:40]
               and len(cuts) < 2 and (direction == 'down' or len(piece) > 1000))
        if hit:
            cuts.append(1)
        return hit

    def key_in_flight():
        return any(f'{key}-00002'.encode() in line for line in wire.seen)

    with relay(swift.url) as wire:
        store = buffering(swift_store_endpoint=f'{wire.url}/v1/AUTH_test')
        wire.cut = cut_twice
        url = store.write(key, cut(data, MB)).url

        assert len(cuts) == 2
        assert same(b''.join(store.read(url)), data)
        store.delete(url)


def test_a_source_that_breaks_leaves_no_buffer(buffering, key, tmp_path):
    with pytest.raises(ClientWentAway):
        buffering().write(key, broken_source(*[b'x' * MB] * 3))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('options', [{}, {'swift_upload_buffer_dir': '/no/such/directory'}])
def test_buffering_needs_a_directory(make, options):
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


@pytest.mark.parametrize('verb', ['read', 'size', 'delete', 'write', 'discard', 'health'])
def test_every_verb_survives_an_expired_token(store, swift, key, verb):
    url = store.write(key, iter([b'12345'])).url
    swift.forget_tokens()

    if verb == 'write':
        store.delete(store.write(f'{key}.2', iter([b'12345'])).url)
    elif verb in ('discard', 'health'):
        assert getattr(store, verb)(*([key] if verb == 'discard' else ())) is not Ellipsis
    elif verb == 'read':
        assert b''.join(store.read(url)) == b'12345'
    else:
        getattr(store, verb)(url)

    store.discard(key)


def test_a_container_that_is_missing_is_told_to_the_operator(make, key, names):
    store = make(swift_store_container='nowhere', swift_store_create_container_on_put=False)

    for chunks in ([b'12345'], [b'x' * MB] * 3):
        with pytest.raises(contract.Unavailable,
                           match=r'nowhere .* swift_store_create_container_on_put'):
            store.write(key, iter(chunks))
    with pytest.raises(contract.Unavailable, match='no container nowhere'):
        store.health()


def test_a_wrong_key_is_no_secret_in_any_text(make, key, caplog):
    caplog.set_level(logging.DEBUG)
    store = make(swift_store_key='a-wrong-key')

    for ask in (lambda: store.write(key, iter([b'x'])), store.health,
                lambda: store.read(f'swift+config://ref1/{CONTAINER}/{key}')):
        with pytest.raises(contract.Unavailable) as refused:
            ask()
        assert 'a-wrong-key' not in f'{refused.value} {refused.value.details} {caplog.text}'


def test_discarding_finds_segments_without_a_list(store, key, ask, names):
    store.write(f'{key}.x', iter([b'y']))
    for number in range(1, 4):
        ask('PUT', f'{CONTAINER}/{key}-{number:05}', body=b'left')

    store.discard(key)

    assert names() == [f'{key}.x']
    store.discard(f'{key}.x')
