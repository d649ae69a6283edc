"""The store ``s3`` when the endpoint or the connection fails."""

import base64
import socket
import uuid
import zlib

import pytest

from glancelite import contract
from glancelite.testing.contracts.store import cut, pattern, same
from glancelite.testing.contracts.store.failures import BrokenBackendContract, MissingRootContract
from glancelite.testing.fakes import ClientWentAway, broken_source
from tests.servers.fault_proxy import CORRUPT, CUT, DROP_RESPONSE, PASS, Respond, Truncate

MIB = 1 << 20
ERROR = ('<?xml version="1.0"?><Error><Code>{}</Code><Message>{}</Message>'
         '<Resource>/x</Resource></Error>')


def s3_error(status, code, message='no'):
    return Respond(status, ERROR.format(code, message).encode(), {
        'Content-Type': 'application/xml'})


@pytest.fixture
def store(make_s3, s3_proxy):
    """Behind the proxy; with small parts, one retry and a short timeout."""
    return make_s3(host=s3_proxy.url, large_object_chunk_size=5, retries=1, read_timeout=5)


@pytest.fixture
def assert_empty(s3_server, s3_bucket):
    """Call it to assert that the bucket has neither objects nor parts."""
    def assert_empty():
        assert s3_server.everything(s3_bucket) == []
    return assert_empty


def key():
    return str(uuid.uuid4())


def read(store, url, **part):
    return b''.join(store.read(url, **part))


@pytest.mark.parametrize('s3_server', ['ceph'], indirect=True)     # one is enough
class TestSilentEndpoint(BrokenBackendContract):
    """It accepts connections, and sends nothing."""

    @pytest.fixture
    def broken(self, make_s3):
        with socket.create_server(('127.0.0.1', 0), backlog=100) as listening:
            yield make_s3(host=f'127.0.0.1:{listening.getsockname()[1]}', bucket='images',
                          read_timeout=1, retries=1)

    @pytest.fixture
    def broken_url(self, broken):
        return broken._bucket.url('key')

    @pytest.fixture
    def patience(self):
        return 10


class TestWithoutBucket(MissingRootContract):

    @pytest.fixture(autouse=True)
    def _server(self, s3_server, s3_bucket):
        self.server, self.bucket = s3_server, s3_bucket

    @pytest.fixture
    def store(self, make_s3):
        return make_s3()

    def take_root_away(self, store):
        for key in self.server.keys(self.bucket):
            self.server.admin.delete_object(Bucket=self.bucket, Key=key)
        self.server.admin.delete_bucket(Bucket=self.bucket)

    def bring_root_back(self, store):
        self.server.admin.create_bucket(Bucket=self.bucket)


def test_a_bucket_that_the_first_upload_will_create_has_nothing_to_discard(make_s3):
    store = make_s3(bucket=f'bucket-{uuid.uuid4()}', create_bucket_on_put=True)

    assert store.discard(key()) is None
    with pytest.raises(contract.Unavailable):
        store.delete(store._bucket.url(key()))


def test_without_the_right_to_look_nothing_is_reported_as_missing(store, s3_proxy):
    """The response to ``HEAD`` of a missing object depends on that right."""
    s3_proxy.rule = lambda request: (
        Respond(403) if request.method == 'HEAD' and request.path.count('/') == 1 else PASS)

    for ask in (store.size, store.delete):
        with pytest.raises(contract.Unavailable):
            ask(store._bucket.url(key()))


# --- writing

SIZES = pytest.mark.parametrize(('length', 'size'), [
    (1 * MIB, MIB), (12 * MIB, None), (12 * MIB, 12 * MIB)],
    ids=['one request', 'parts', 'a stream'])


def carries_data(request):
    """Return whether this is the third part, or the only request with data."""
    return request.method == 'PUT' and ('partNumber=3' in request.path
                                        or 'partNumber=' not in request.path)


@SIZES
@pytest.mark.parametrize('action', [CUT, Respond(500), Respond(503)], ids=['cut', '500', '503'])
def test_a_permanent_failure_leaves_no_data(store, s3_proxy, assert_empty, action, length, size):
    s3_proxy.rule = lambda request: action if carries_data(request) else PASS

    with pytest.raises(contract.Unavailable):
        store.write(key(), cut(pattern(length), MIB), size=size)

    assert_empty()


@pytest.mark.parametrize('length', [MIB, 12 * MIB], ids=['one request', 'parts'])
def test_data_damaged_in_transit_is_rejected(store, s3_proxy, assert_empty, length):
    s3_proxy.rule = lambda request: CORRUPT if carries_data(request) else PASS

    with pytest.raises(contract.Unavailable):
        store.write(key(), cut(pattern(length), MIB))

    assert_empty()


@pytest.mark.parametrize(('length', 'size', 'action'), [
    (MIB, MIB, CUT), (MIB, MIB, Respond(503)), (MIB, MIB, DROP_RESPONSE),
    (12 * MIB, None, CUT), (12 * MIB, None, Respond(503)), (12 * MIB, None, DROP_RESPONSE),
    (12 * MIB, 12 * MIB, DROP_RESPONSE)], ids=[
    'one request cut', 'one request 503', 'one request lost', 'parts cut', 'parts 503',
    'parts lost', 'a stream lost'])
def test_a_temporary_failure_is_retried(store, s3_proxy, length, size, action):
    data = pattern(length)
    s3_proxy.fail_first(1, action, method='PUT')

    written = store.write(key(), cut(data, MIB), size=size)

    assert same(read(store, written.url), data)


@pytest.mark.parametrize('times', [1, 9])
def test_a_lost_response_to_the_last_request_is_no_failure(store, s3_proxy, times):
    data = pattern(11 * MIB)
    s3_proxy.fail_first(times, DROP_RESPONSE, method='POST', text='uploadId=')

    written = store.write(key(), cut(data, MIB))

    assert same(read(store, written.url), data)


@pytest.mark.parametrize('action', [CUT, Respond(500), s3_error(400, 'InvalidPart')],
                         ids=['cut', '500', '400'])
def test_an_upload_that_cannot_be_completed_is_aborted(store, s3_proxy, assert_empty, action):
    s3_proxy.fail_first(9, action, method='POST', text='uploadId=')

    with pytest.raises(contract.Unavailable):
        store.write(key(), cut(pattern(11 * MIB), MIB))

    assert_empty()


def test_discard_removes_what_a_failed_abort_left(store, s3_proxy, s3_server, s3_bucket):
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
def test_a_broken_source_leaves_no_data(store, assert_empty, size):
    with pytest.raises(ClientWentAway):
        store.write(key(), broken_source(*cut(pattern(12 * MIB), MIB)), size=size)

    assert_empty()


@pytest.mark.parametrize('failure', [contract.TooLarge('too much'), KeyboardInterrupt()],
                         ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize('size', [None, 12 * MIB], ids=['parts', 'a stream'])
def test_an_exception_at_the_end_of_the_source_passes_through(store, assert_empty, size, failure):
    def source():
        yield from cut(pattern(12 * MIB), MIB)
        raise failure

    with pytest.raises(type(failure)) as raised:
        store.write(key(), source(), size=size)

    assert raised.value is failure
    assert_empty()


@pytest.mark.parametrize('length', [6 * MIB, 12 * MIB - 1, 12 * MIB + 1, 13 * MIB, 40 * MIB])
def test_a_stream_of_another_length_than_announced_is_rejected(store, assert_empty, length):
    with pytest.raises(contract.Invalid, match='announced'):
        store.write(key(), cut(pattern(length), 700_000), size=12 * MIB)

    assert_empty()


FULL = s3_error(403, 'QuotaExceeded')


@pytest.mark.parametrize(('response', 'length', 'size'), [
    (FULL, MIB, MIB), (FULL, 12 * MIB, None), (FULL, 12 * MIB, 12 * MIB),
    (s3_error(400, 'EntityTooLarge'), MIB, None), (s3_error(507, 'x'), MIB, None),
    (Respond(413), MIB, None)], ids=['one request', 'parts', 'a stream', '400', '507', '413'])
def test_a_full_endpoint_raises_toolarge(store, s3_proxy, assert_empty, response, length, size):
    s3_proxy.rule = lambda request: response if request.method == 'PUT' else PASS

    with pytest.raises(contract.TooLarge):
        store.write(key(), cut(pattern(length), MIB), size=size)

    assert_empty()


@pytest.mark.parametrize('s3_server', ['swift'], indirect=True)
def test_an_exceeded_quota_raises_toolarge(make_s3, swift, s3_bucket, assert_empty):
    store = make_s3()
    storage, token = swift.token()
    reply = swift.request('POST', f'{storage}/{s3_bucket}', token,
                          {'X-Container-Meta-Quota-Bytes': '100000'})
    assert reply.status == 204

    with pytest.raises(contract.TooLarge):
        store.write(key(), iter([b'x' * MIB]))

    assert_empty()


@pytest.mark.parametrize('action', [CUT, Respond(500)], ids=['cut', '500'])
def test_a_failing_endpoint_raises_unavailable(store, s3_proxy, action):
    s3_proxy.rule = lambda request: action
    url = store._bucket.url('k')

    for request in (lambda: store.write(key(), iter([b'1'])), lambda: store.read(url),
                    lambda: store.size(url), lambda: store.delete(url),
                    lambda: store.discard('k'), store.health):
        with pytest.raises(contract.Unavailable):
            request()


def test_a_missing_endpoint_raises_unavailable(make_s3):
    store = make_s3(host='127.0.0.1:1', retries=0)
    url = store._bucket.url('k')

    for request in (lambda: store.write(key(), iter([b'1'])), lambda: store.read(url),
                    store.health):
        with pytest.raises(contract.Unavailable):
            request()


def test_a_denied_deletion_raises_forbidden(store, s3_proxy):
    url = store.write(key(), iter([b'12345'])).url
    s3_proxy.fail_first(1, s3_error(403, 'AccessDenied'), method='DELETE')

    with pytest.raises(contract.Forbidden):
        store.delete(url)

    assert read(store, url) == b'12345'


# --- checksums

def test_checksums_are_sent_if_the_options_enable_them(make_s3, s3_proxy):
    data = pattern(11 * MIB)
    plain = make_s3(host=s3_proxy.url, request_checksum_calculation='when_supported',
                    large_object_chunk_size=5)
    protected = make_s3(host=s3_proxy.url, request_checksum_calculation='when_supported',
                        response_checksum_validation='when_supported', large_object_chunk_size=5,
                        enable_data_integrity_protection=True)

    sent = {}
    for store in plain, protected:
        s3_proxy.requests.clear()
        url = store.write(key(), cut(data, MIB), size=11 * MIB).url
        assert same(read(store, url), data)
        sent[store] = [request.headers.get('x-amz-checksum-crc32', '')
                       for request in s3_proxy.requests if request.method == 'PUT']

    assert sent[plain] == ['']
    parts = data[:5 * MIB], data[5 * MIB:10 * MIB], data[10 * MIB:]
    assert sorted(sent[protected]) == sorted(checksum(part) for part in parts)


def checksum(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, 'big')).decode()


@pytest.mark.parametrize('right', [True, False], ids=['right', 'wrong'])
def test_the_checksum_of_a_download_is_verified(make_s3, s3_proxy, right):
    store = make_s3(host=s3_proxy.url, enable_data_integrity_protection=True,
                    response_checksum_validation='when_supported')
    data = pattern(3 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.rule = lambda request: Respond(200, data, {
        'x-amz-checksum-crc32': checksum(data if right else data[1:])})

    chunks, seen = store.read(url), []
    if right:
        assert same(b''.join(chunks), data)
        return
    with pytest.raises(contract.Unavailable, match='damaged'):
        seen.extend(chunks)

    assert len(seen) == 2   # a reader of all three could take them for correct


# --- reading

def test_a_read_is_resumed_after_a_broken_connection(store, s3_proxy):
    data = pattern(7 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.requests.clear()
    step = 2 * MIB + 100_000
    s3_proxy.fail_first(3, Truncate(step), method='GET')

    assert same(read(store, url), data)

    headers = [request.headers for request in s3_proxy.requests]
    assert [each.get('Range') for each in headers] == [
        None, *(f'bytes={start}-{7 * MIB - 1}' for start in (step, 2 * step, 3 * step))]
    assert all('If-Match' in each for each in headers[1:])


def test_a_read_of_a_range_is_resumed(store, s3_proxy):
    data = pattern(7 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.fail_first(1, Truncate(MIB), method='GET')

    assert same(read(store, url, offset=99, length=3 * MIB), data[99:99 + 3 * MIB])


def test_a_read_without_progress_is_abandoned(store, s3_proxy):
    data = pattern(3 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.fail_first(99, Truncate(1000), method='GET')
    s3_proxy.requests.clear()

    with pytest.raises(contract.Unavailable):
        read(store, url)

    assert s3_proxy.count('GET') == 2


def test_a_read_is_not_resumed_in_a_replaced_object(store, s3_proxy, s3_server, s3_bucket):
    name = key()
    url = store.write(name, cut(pattern(4 * MIB), MIB)).url
    s3_proxy.fail_first(1, Truncate(2 * MIB), method='GET')
    chunks = store.read(url)
    next(chunks)
    s3_server.admin.put_object(Bucket=s3_bucket, Key=name, Body=b'x' * 4 * MIB)

    with pytest.raises(contract.Unavailable):
        list(chunks)


@pytest.mark.parametrize(('offset', 'length'), [(1, None), (MIB + 7, 5), (0, 100),
                                                (2 * MIB, 2 * MIB), (3 * MIB, None)])
def test_ranges_work_with_an_endpoint_without_ranges(store, s3_proxy, offset, length):
    data = pattern(3 * MIB)
    url = store.write(key(), cut(data, MIB)).url
    s3_proxy.rule = lambda request: Respond(200, data) if request.method == 'GET' else PASS

    assert same(read(store, url, offset=offset, length=length), data[offset:][:length])
    with pytest.raises(contract.RangeNotSatisfiable) as raised:
        store.read(url, offset=3 * MIB + 1)

    assert raised.value.size == 3 * MIB
