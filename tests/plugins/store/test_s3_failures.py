"""The store ``s3`` when the endpoint, or what is in between, fails."""

import base64
import socket
import uuid
import zlib

import pytest

from glancelite import contract
from glancelite.testing.contracts.store import cut, pattern, same
from glancelite.testing.contracts.store.trouble import BrokenBackendContract
from glancelite.testing.fakes import ClientWentAway, broken_source
from tests.servers.meddler import CUT, LOSE, PASS, SPOIL, Answer, Truncate

MIB = 1 << 20
ERROR = ('<?xml version="1.0"?><Error><Code>{}</Code><Message>{}</Message>'
         '<Resource>/x</Resource></Error>')


def refusal(status, code, message='no'):
    return Answer(status, ERROR.format(code, message).encode(), {
        'Content-Type': 'application/xml'})


@pytest.fixture
def store(make_s3, s3_proxy):
    """Behind the proxy; with short parts, one repetition, and little patience."""
    return make_s3(host=s3_proxy.url, large_object_chunk_size=5, retries=1, read_timeout=5)


@pytest.fixture
def nothing_left(s3_server, s3_bucket):
    """Call it to claim that the bucket is empty, and all that belongs to it."""
    def claim():
        assert s3_server.everything(s3_bucket) == []
    return claim


def key():
    return str(uuid.uuid4())


def read(store, url, **part):
    return b''.join(store.read(url, **part))


@pytest.mark.parametrize('s3_server', ['ceph'], indirect=True)     # which is not asked
class TestSilentEndpoint(BrokenBackendContract):
    """It takes connections, and says nothing."""

    @pytest.fixture
    def broken(self, make_s3):
        with socket.create_server(('127.0.0.1', 0), backlog=100) as listening:
            yield make_s3(host=f'127.0.0.1:{listening.getsockname()[1]}', bucket='images',
                          read_timeout=1, retries=1)

    @pytest.fixture
    def broken_url(self, broken):
        return broken._place.url('key')

    @pytest.fixture
    def patience(self):
        return 10


# --- writing

SIZES = pytest.mark.parametrize(('length', 'size'), [
    (1 * MIB, MIB), (12 * MIB, None), (12 * MIB, 12 * MIB)],
    ids=['one request', 'parts', 'a stream'])


def in_the_middle(request):
    """Is this the third part, or all in one request?"""
    return request.method == 'PUT' and ('partNumber=3' in request.path
                                        or 'partNumber=' not in request.path)


@SIZES
@pytest.mark.parametrize('act', [CUT, Answer(500), Answer(503)], ids=['cut', '500', '503'])
def test_a_failure_that_stays_leaves_nothing_behind(store, s3_proxy, nothing_left, act, length,
                                                    size):
    s3_proxy.rule = lambda request: act if in_the_middle(request) else PASS

    with pytest.raises(contract.Unavailable):
        store.write(key(), cut(pattern(length), MIB), size=size)

    nothing_left()


@pytest.mark.parametrize('length', [MIB, 12 * MIB], ids=['one request', 'parts'])
def test_what_is_damaged_on_its_way_is_refused(store, s3_proxy, nothing_left, length):
    s3_proxy.rule = lambda request: SPOIL if in_the_middle(request) else PASS

    with pytest.raises(contract.Unavailable):
        store.write(key(), cut(pattern(length), MIB))

    nothing_left()


@pytest.mark.parametrize(('length', 'size', 'act'), [
    (MIB, MIB, CUT), (MIB, MIB, Answer(503)), (MIB, MIB, LOSE),
    (12 * MIB, None, CUT), (12 * MIB, None, Answer(503)), (12 * MIB, None, LOSE),
    (12 * MIB, 12 * MIB, LOSE)], ids=[
    'one request cut', 'one request 503', 'one request lost', 'parts cut', 'parts 503',
    'parts lost', 'a stream lost'])
def test_a_failure_that_passes_is_not_noticed(store, s3_proxy, length, size, act):
    data = pattern(length)
    s3_proxy.first(1, method='PUT', act=act)

    written = store.write(key(), cut(data, MIB), size=size)

    assert same(read(store, written.url), data)


@pytest.mark.parametrize('times', [1, 9])
def test_a_lost_answer_to_the_last_request_is_no_failure(store, s3_proxy, times):
    data = pattern(11 * MIB)
    s3_proxy.first(times, method='POST', text='uploadId=', act=LOSE)

    written = store.write(key(), cut(data, MIB))

    assert same(read(store, written.url), data)


@pytest.mark.parametrize('act', [CUT, Answer(500), refusal(400, 'InvalidPart')],
                         ids=['cut', '500', '400'])
def test_an_upload_that_cannot_be_completed_is_aborted(store, s3_proxy, nothing_left, act):
    s3_proxy.first(9, method='POST', text='uploadId=', act=act)

    with pytest.raises(contract.Unavailable):
        store.write(key(), cut(pattern(11 * MIB), MIB))

    nothing_left()


def test_an_endpoint_that_goes_away_for_good_is_said(store, s3_proxy, s3_server, s3_bucket):
    name = key()
    s3_proxy.rule = lambda request: CUT if 'partNumber=2' in request.path or gone else PASS
    gone = []

    def source():
        yield from cut(pattern(11 * MIB), MIB)
        gone.append('now')

    with pytest.raises(contract.Unavailable):
        store.write(name, source())
    assert s3_server.uploads(s3_bucket) == [name]

    gone.clear()
    store.discard(name)

    assert s3_server.uploads(s3_bucket) == []
    assert store.write(name, iter([b'1'])).size == 1


@pytest.mark.parametrize('size', [None, 30 * MIB], ids=['parts', 'a stream'])
def test_a_broken_source_leaves_nothing_behind(store, nothing_left, size):
    with pytest.raises(ClientWentAway):
        store.write(key(), broken_source(*cut(pattern(12 * MIB), MIB)), size=size)

    nothing_left()


@pytest.mark.parametrize('failure', [contract.TooLarge('too much'), KeyboardInterrupt()],
                         ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize('size', [None, 12 * MIB], ids=['parts', 'a stream'])
def test_what_the_source_says_at_its_end_passes_through(store, nothing_left, size, failure):
    def source():
        yield from cut(pattern(12 * MIB), MIB)
        raise failure

    with pytest.raises(type(failure)) as raised:
        store.write(key(), source(), size=size)

    assert raised.value is failure
    nothing_left()


@pytest.mark.parametrize('length', [6 * MIB, 12 * MIB - 1, 12 * MIB + 1, 13 * MIB, 40 * MIB])
def test_a_stream_of_another_length_than_promised_is_refused(store, nothing_left, length):
    with pytest.raises(contract.Invalid, match='announced'):
        store.write(key(), cut(pattern(length), 700_000), size=12 * MIB)

    nothing_left()


FULL = refusal(403, 'QuotaExceeded')


@pytest.mark.parametrize(('answer', 'length', 'size'), [
    (FULL, MIB, MIB), (FULL, 12 * MIB, None), (FULL, 12 * MIB, 12 * MIB),
    (refusal(400, 'EntityTooLarge'), MIB, None), (refusal(507, 'x'), MIB, None),
    (Answer(413), MIB, None)], ids=['one request', 'parts', 'a stream', '400', '507', '413'])
def test_a_full_endpoint_is_said(store, s3_proxy, nothing_left, answer, length, size):
    s3_proxy.rule = lambda request: answer if request.method == 'PUT' else PASS

    with pytest.raises(contract.TooLarge):
        store.write(key(), cut(pattern(length), MIB), size=size)

    nothing_left()


@pytest.mark.parametrize('s3_server', ['swift'], indirect=True)
def test_a_quota_that_is_used_up_is_said(make_s3, swift, s3_bucket, nothing_left):
    store = make_s3()
    storage, token = swift.token()
    reply = swift.request('POST', f'{storage}/{s3_bucket}', token,
                          {'X-Container-Meta-Quota-Bytes': '100000'})
    assert reply.status == 204

    with pytest.raises(contract.TooLarge):
        store.write(key(), iter([b'x' * MIB]))

    nothing_left()


@pytest.mark.parametrize('act', [CUT, Answer(500)], ids=['cut', '500'])
def test_a_failing_endpoint_is_said(store, s3_proxy, act):
    s3_proxy.rule = lambda request: act
    url = store._place.url('k')

    for ask in (lambda: store.write(key(), iter([b'1'])), lambda: store.read(url),
                lambda: store.size(url), lambda: store.delete(url), lambda: store.discard('k'),
                store.health):
        with pytest.raises(contract.Unavailable):
            ask()


def test_an_endpoint_that_is_not_there_is_said(make_s3):
    store = make_s3(host='127.0.0.1:1', retries=0)
    url = store._place.url('k')

    for ask in (lambda: store.write(key(), iter([b'1'])), lambda: store.read(url), store.health):
        with pytest.raises(contract.Unavailable):
            ask()


def test_what_may_not_be_removed_is_said(store, s3_proxy):
    url = store.write(key(), iter([b'12345'])).url
    s3_proxy.first(1, method='DELETE', act=refusal(403, 'AccessDenied'))

    with pytest.raises(contract.Forbidden):
        store.delete(url)

    assert read(store, url) == b'12345'


# --- checksums

def test_checksums_are_sent_if_the_operator_wants_them(make_s3, s3_proxy):
    data = pattern(11 * MIB)
    plain = make_s3(host=s3_proxy.url, request_checksum_calculation='when_supported',
                    large_object_chunk_size=5)
    safe = make_s3(host=s3_proxy.url, request_checksum_calculation='when_supported',
                   response_checksum_validation='when_supported', large_object_chunk_size=5,
                   enable_data_integrity_protection=True)

    sent = {}
    for store in plain, safe:
        s3_proxy.requests.clear()
        url = store.write(key(), cut(data, MIB), size=11 * MIB).url
        assert same(read(store, url), data)
        sent[store] = [request.headers.get('x-amz-checksum-crc32', '')
                       for request in s3_proxy.requests if request.method == 'PUT']

    assert sent[plain] == ['']
    parts = data[:5 * MIB], data[5 * MIB:10 * MIB], data[10 * MIB:]
    assert sorted(sent[safe]) == sorted(checksum(part) for part in parts)


def checksum(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, 'big')).decode()


@pytest.mark.parametrize('right', [True, False], ids=['right', 'wrong'])
def test_the_checksum_of_what_is_read_is_verified(make_s3, s3_proxy, right):
    store = make_s3(host=s3_proxy.url, enable_data_integrity_protection=True,
                    response_checksum_validation='when_supported')
    data = pattern(3 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.rule = lambda request: Answer(200, data, {
        'x-amz-checksum-crc32': checksum(data if right else data[1:])})

    chunks, seen = store.read(url), []
    if right:
        assert same(b''.join(chunks), data)
        return
    with pytest.raises(contract.Unavailable, match='damaged'):
        seen.extend(chunks)

    assert len(seen) == 2   # who has the whole could take it for good


# --- reading

def test_a_read_goes_on_after_a_broken_connection(store, s3_proxy):
    data = pattern(7 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.requests.clear()
    step = 2 * MIB + 100_000
    s3_proxy.first(3, method='GET', act=Truncate(step))

    assert same(read(store, url), data)

    asked = [request.headers for request in s3_proxy.requests]
    assert [each.get('Range') for each in asked] == [
        None, *(f'bytes={start}-{7 * MIB - 1}' for start in (step, 2 * step, 3 * step))]
    assert all('If-Match' in each for each in asked[1:])


def test_a_read_of_a_part_goes_on_as_well(store, s3_proxy):
    data = pattern(7 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.first(1, method='GET', act=Truncate(MIB))

    assert same(read(store, url, offset=99, length=3 * MIB), data[99:99 + 3 * MIB])


def test_a_read_that_gets_nowhere_is_given_up(store, s3_proxy):
    data = pattern(3 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.first(99, method='GET', act=Truncate(1000))
    s3_proxy.requests.clear()

    with pytest.raises(contract.Unavailable):
        read(store, url)

    assert s3_proxy.count('GET') == 2


def test_what_was_replaced_meanwhile_is_not_read_on(store, s3_proxy, s3_server, s3_bucket):
    name = key()
    url = store.write(name, cut(pattern(4 * MIB), MIB)).url
    s3_proxy.first(1, method='GET', act=Truncate(2 * MIB))
    chunks = store.read(url)
    next(chunks)
    s3_server.admin.put_object(Bucket=s3_bucket, Key=name, Body=b'x' * 4 * MIB)

    with pytest.raises(contract.Unavailable):
        list(chunks)


@pytest.mark.parametrize(('offset', 'length'), [(1, None), (MIB + 7, 5), (0, 100),
                                                (2 * MIB, 2 * MIB), (3 * MIB, None)])
def test_an_endpoint_that_knows_no_ranges_is_read_in_parts_all_the_same(store, s3_proxy, offset,
                                                                        length):
    data = pattern(3 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.rule = lambda request: Answer(200, data) if request.method == 'GET' else PASS

    assert same(read(store, url, offset=offset, length=length), data[offset:][:length])
    with pytest.raises(contract.RangeNotSatisfiable) as refused:
        store.read(url, offset=3 * MIB + 1)

    assert refused.value.size == 3 * MIB
