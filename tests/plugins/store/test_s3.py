"""The store ``s3`` on real endpoints: the contract, Glance's layout, and its options."""

import contextlib
import itertools
import logging
import socket
import subprocess
import threading
import uuid

import pytest

from glancelite import contract
from glancelite.plugins.store.s3 import S3Store, parts
from glancelite.testing.contracts.store import StoreContract, cut, pattern, same
from glancelite.testing.contracts.store.failures import TwoStoresContract
from tests.plugins.store.reference import reference
from tests.servers import fault_proxy, programs

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture(scope='class')
def shared_bucket(s3_server):
    """One bucket for all tests, each of which leaves it empty."""
    with s3_server.new_bucket() as name:
        yield name


class S3Contract(StoreContract):

    @pytest.fixture
    def store(self, make_s3):
        return make_s3()

    @pytest.fixture
    def s3_bucket(self, shared_bucket):
        return shared_bucket

    @pytest.fixture(autouse=True)
    def bucket(self, s3_server, s3_bucket):
        self.leftovers = lambda store: s3_server.everything(s3_bucket)


@pytest.mark.parametrize('s3_server', ['ceph'], indirect=True)
class TestS3Store(S3Contract):
    pass


@pytest.mark.long
@pytest.mark.parametrize('s3_server', ['swift'], indirect=True)
class TestS3StoreOfSwift(S3Contract):
    pass


class TestTwoBuckets(TwoStoresContract):

    @pytest.fixture
    def store(self, make_s3):
        return make_s3()

    @pytest.fixture
    def other(self, make_plugin, s3_server, store):
        bucket = f'other-{uuid.uuid4()}'
        s3_server.admin.create_bucket(Bucket=bucket)
        yield make_plugin(S3Store, name='other', **{**vars(store.options),
                                                    's3_store_bucket': bucket})
        s3_server.admin.delete_bucket(Bucket=bucket)


@pytest.fixture
def store(make_s3):
    return make_s3()


def key():
    return str(uuid.uuid4())


def read(store, url, **part):
    return b''.join(store.read(url, **part))


# --- layout

def test_keys_and_urls_are_those_of_glance(store, s3_server, s3_bucket):
    name = key()

    written = store.write(name, iter([b'12345']))

    host = s3_server.url.removeprefix('http://')
    assert written == contract.WriteResult(f's3://{host}/{s3_bucket}/{name}', 5)
    assert s3_server.admin.get_object(Bucket=s3_bucket, Key=name)['Body'].read() == b'12345'


@pytest.fixture
def glance(s3_server, s3_bucket):
    """The driver of glance_store, with parts of the minimum size."""
    return reference('s3', s3_store_host=s3_server.url, s3_store_bucket=s3_bucket,
                     s3_store_access_key=s3_server.access_key,
                     s3_store_secret_key=s3_server.secret_key, s3_store_large_object_size=5,
                     s3_store_large_object_chunk_size=5)


@pytest.mark.parametrize(('size', 'known'), [
    (0, False), (1, True), (11 * MIB + 7, True), (6 * MIB, False)])
def test_data_of_glance_store_is_read_and_deleted(store, glance, s3_server, s3_bucket, size,
                                                  known):
    data = pattern(size)
    url = glance.write(key(), data, size if known else None)

    assert store.owns(url)
    assert store.size(url) == size
    assert same(read(store, url), data)
    assert same(read(store, url, offset=size // 2, length=9), data[size // 2:][:9])
    store.delete(url)
    assert s3_server.everything(s3_bucket) == []


@pytest.mark.parametrize(('size', 'known'), [(0, False), (1, True), (11 * MIB + 7, False)])
def test_glance_store_reads_and_deletes_data_of_this_driver(make_s3, glance, s3_server, s3_bucket,
                                                            size, known):
    store = make_s3(large_object_size=5, large_object_chunk_size=5)
    data = pattern(size)
    url = store.write(key(), cut(data, MIB), size=size if known else None).url

    assert url.startswith(glance.url_prefix + '/')
    assert same(glance.read(url), data)
    assert glance.size(url) == size
    glance.delete(url)
    assert s3_server.everything(s3_bucket) == []


# --- requests

@pytest.mark.parametrize(('size', 'known', 'count'), [
    (4 * MIB, True, None), (5 * MIB, False, None), (11 * MIB, True, None),
    (15 * MIB, True, 3), (15 * MIB + 1, True, 4), (11 * MIB, False, 3),
    (5 * MIB + 1, False, 2)])
def test_the_size_decides_the_number_of_requests(make_s3, s3_proxy, size, known, count):
    store = make_s3(host=s3_proxy.url, large_object_size=15, large_object_chunk_size=5)
    data = pattern(size)

    url = store.write(key(), cut(data, 300_000), size=size if known else None).url

    assert same(read(store, url), data)
    assert s3_proxy.count('PUT', 'partNumber=') == (count or 0)
    assert s3_proxy.count('PUT') == (count or 1)


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize(('size', 'count'), [(0, 0), (1, 1), (5 * MIB + 1, 2)])
def test_a_threshold_of_zero_sends_all_but_empty_data_in_parts(make_s3, s3_proxy, size, count,
                                                               known):
    store = make_s3(host=s3_proxy.url, large_object_size=0, large_object_chunk_size=5)

    url = store.write(key(), cut(pattern(size), MIB), size=size if known else None).url

    assert same(read(store, url), pattern(size))
    assert s3_proxy.count('PUT', 'partNumber=') == count
    assert s3_proxy.count('PUT') == max(count, 1)


def test_parts_are_sent_in_parallel(make_s3, s3_proxy):
    store = make_s3(host=s3_proxy.url, large_object_chunk_size=5, upload_memory=20)
    barrier = threading.Barrier(4)

    def rule(request):
        if 'partNumber=' in request.path:
            barrier.wait(30)    # fewer at once would break it
        return fault_proxy.PASS
    s3_proxy.rule = rule

    written = store.write(key(), cut(pattern(40 * MIB), MIB))

    assert written.size == 40 * MIB
    assert not barrier.broken


def test_5_tib_of_unknown_size_fit_into_10000_parts():
    sizes = list(itertools.islice(parts.part_sizes(5 * MIB, None), 10_000))

    assert sizes[:900] == [5 * MIB] * 900
    assert sum(sizes) >= 5 << 40
    assert max(sizes) <= 5 << 30


@pytest.mark.parametrize('size', [1, 5 * MIB, (5 << 40) - 1, 5 << 40, 6 << 40])
def test_parts_of_data_of_known_size_have_one_size(size):
    part, *others = itertools.islice(parts.part_sizes(5 * MIB, size), 9000)

    assert 5 * MIB <= part <= 525 * MIB
    assert min(size, 5 << 40) <= 10_000 * part
    assert set(others[:-(-size // part) - 1]) <= {part}


def test_small_chunks_are_merged_and_large_ones_are_not_copied():
    large = b'x' * MIB
    reader = parts.PartReader(iter([b'1' * 1000] * 100 + [large]))

    assert reader.fill(2 * MIB) == 100_000 + MIB
    part = reader.take()
    chunks = list(iter(part.read, b''))

    assert b''.join(chunks) == b'1' * 100_000 + large
    assert len(chunks) == 3
    assert chunks[-1] is large


# --- keys

def test_the_first_of_two_services_to_finish_a_key_wins(make_s3, s3_server, s3_bucket):
    one, other = make_s3(large_object_chunk_size=5), make_s3(large_object_chunk_size=5)
    for mib in 1, 6:
        name = key()

        def source(name=name, mib=mib):
            yield b'1' * MIB * mib
            other.write(name, iter([b'2' * MIB * mib]))
            yield b'1'

        with pytest.raises(contract.Conflict):
            one.write(name, source())

        assert s3_server.admin.head_object(Bucket=s3_bucket, Key=name)['ContentLength'] == (
            MIB * mib)
        assert read(one, one._bucket.url(name), length=1) == b'2'
        assert s3_server.uploads(s3_bucket) == []


def test_the_first_of_two_services_to_finish_a_stream_wins(make_s3):
    one, other = make_s3(), make_s3()
    name = key()

    def source():
        for number in range(13):
            yield b'1' * MIB
            if number == 11:
                other.write(name, iter([b'2']))

    with pytest.raises(contract.Conflict):
        one.write(name, source(), size=13 * MIB)

    assert read(one, one._bucket.url(name)) == b'2'


def test_conditions_are_omitted_after_the_endpoint_rejects_them(make_s3, s3_proxy):
    store = make_s3(host=s3_proxy.url, large_object_chunk_size=5)
    s3_proxy.rule = lambda request: (
        fault_proxy.Respond(501) if 'If-None-Match' in request.headers else fault_proxy.PASS)

    for data, size in ((b'1', 1), (pattern(6 * MIB), None), (pattern(6 * MIB), 6 * MIB)):
        url = store.write(key(), iter([data]), size=size).url
        assert same(read(store, url), data)

    assert sum('If-None-Match' in each.headers for each in s3_proxy.requests) == 1


def test_discard_aborts_the_uploads_of_a_dead_process(store, s3_server, s3_bucket):
    name, other = key(), key()
    for each in name, name, other, f'{name}.2':
        upload = s3_server.admin.create_multipart_upload(Bucket=s3_bucket, Key=each)['UploadId']
        s3_server.admin.upload_part(Bucket=s3_bucket, Key=each, UploadId=upload, PartNumber=1,
                                    Body=b'1' * 5 * MIB)

    store.discard(name)

    assert sorted(s3_server.uploads(s3_bucket)) == sorted([other, f'{name}.2'])


@pytest.mark.parametrize('name', ['', '.', '..', '.x', 'a/b', 'a\0', '../x', 'x\n', 'ä',
                                  'x' * 256])
def test_invalid_keys_are_rejected(store, s3_server, s3_bucket, name):
    for act in (lambda: store.write(name, iter([b'1'])), lambda: store.discard(name)):
        with pytest.raises(contract.Invalid):
            act()

    assert s3_server.everything(s3_bucket) == []


# --- buckets, hosts, regions

def test_the_bucket_is_created_if_the_option_is_set(make_s3, s3_server):
    name = f'new-{uuid.uuid4()}'
    other = make_s3(bucket=name)
    with pytest.raises(contract.Unavailable, match='bucket'):
        other.write(key(), iter([b'1']))
    with pytest.raises(contract.Unavailable, match='bucket'):
        other.health()
    store = make_s3(bucket=name, create_bucket_on_put=True, region_name=s3_server.region)
    assert 'first image' in store.health()

    urls = [store.write(key(), iter([b'12345'])).url, other.write(key(), iter([b'12345'])).url]

    assert [read(store, url) for url in urls] == [b'12345'] * 2
    assert store.health() == other.health()
    for url in urls:
        store.delete(url)
    s3_server.admin.delete_bucket(Bucket=name)
    with pytest.raises(contract.Unavailable):
        store.write(key(), iter([b'1']))
    again = store.write(key(), iter([b'1'])).url    # the failure revealed the missing bucket
    store.delete(again)
    s3_server.admin.delete_bucket(Bucket=name)


@pytest.mark.parametrize('style', ['auto', 'path', 'virtual'])
def test_the_bucket_is_in_the_path_or_in_the_host(make_s3, s3_server, s3_bucket, monkeypatch,
                                                  style):
    port = s3_server.url.rpartition(':')[2]
    hosts, resolve = set(), socket.getaddrinfo

    def getaddrinfo(host, *args, **named):
        hosts.add(host)
        return resolve('127.0.0.1' if host.endswith('s3.localhost') else host, *args, **named)
    monkeypatch.setattr(socket, 'getaddrinfo', getaddrinfo)
    store = make_s3(host=f'http://s3.localhost:{port}', bucket_url_format=style,
                    large_object_chunk_size=5, region_name=s3_server.region)

    written = store.write('name', cut(pattern(11 * MIB), MIB))

    assert written.url == f's3://s3.localhost:{port}/{s3_bucket}/name'
    assert same(read(store, written.url), pattern(11 * MIB))
    assert read(store, written.url, offset=1, length=2) == pattern(3)[1:]
    assert hosts == {f'{s3_bucket}.s3.localhost' if style == 'virtual' else 's3.localhost'}
    store.delete(written.url)
    store.discard('name')


def test_tls_is_verified(make_s3, s3_server, certificates, tmp_path):
    certificate, _ = certificates
    data = pattern(12 * MIB)
    with fault_proxy.running(s3_server.url, certificates) as tls:
        store = make_s3(host=tls.url, cacert=str(certificate))
        one, other = (store.write(key(), cut(data, MIB), size=size) for size in (None, 12 * MIB))
        untrusting = make_s3(host=tls.url, retries=0)

        assert one.url.startswith(f's3+https://{tls.url.removeprefix("https://")}/')
        assert same([read(store, one.url), read(store, other.url)], [data, data])
        with pytest.raises(contract.Unavailable):
            untrusting.size(one.url)
        with pytest.raises(contract.Unavailable):
            untrusting.health()


@pytest.mark.parametrize('s3_server', ['swift'], indirect=True)    # Ceph ignores the region
def test_a_wrong_region_is_logged(make_s3, s3_server, caplog):
    store = make_s3(region_name='nowhere')

    with pytest.raises(contract.Unavailable):
        store.write(key(), iter([b'1']))

    assert 's3_store_region_name' in caplog.text


def test_data_in_former_buckets_is_read_and_deleted(make_s3, s3_server, s3_bucket, store):
    before = store.write(key(), cut(pattern(11 * MIB), MIB)).url
    host = s3_server.url.removeprefix('http://')
    moved = make_s3(bucket='elsewhere', former_buckets=[s3_bucket],
                    former_hosts=['https://old.example.com'])
    url = before.replace(f's3://{host}', 's3+https://old.example.com')

    assert same(read(moved, url), pattern(11 * MIB))
    assert moved.size(url) == 11 * MIB
    moved.delete(url)
    assert s3_server.everything(s3_bucket) == []


# --- credentials

def test_old_locations_with_credentials_are_read_and_deleted(make_s3, s3_server, s3_bucket):
    credentials = f'{s3_server.access_key}:{s3_server.secret_key}'
    store, rotated = make_s3(), make_s3(access_key='new', secret_key='unknown')
    bare = store.write(key(), iter([b'12345'])).url
    old = bare.replace('://', f'://{credentials}@')
    stale = bare.replace('://', '://GONE:so+me/secret@')

    assert (read(store, stale), store.size(stale), store.owns(stale)) == (b'12345', 5, True)
    assert (read(rotated, old), rotated.size(old)) == (b'12345', 5)
    assert (store.adopt(old), store.adopt(stale), store.adopt(bare)) == (bare, bare, bare)
    for url in bare, stale:
        for request in rotated.read, rotated.size, rotated.delete:
            with pytest.raises(contract.Unavailable):
                request(url)
    rotated.delete(old)
    assert s3_server.keys(s3_bucket) == []


@pytest.mark.parametrize('s3_server', ['ceph'], indirect=True)     # Swift has one key per user
def test_new_credentials_read_data_written_with_old_ones(make_s3, ceph, s3_server):
    with new_credentials(ceph, 'first') as first:
        before = make_s3(access_key='first', secret_key=first)
        url = before.write(key(), iter([b'12345'])).url
    with new_credentials(ceph, 'second') as second:
        after = make_s3(access_key='second', secret_key=second)

        assert read(after, url) == b'12345'
        with pytest.raises(contract.Unavailable):
            before.size(url)


@contextlib.contextmanager
def new_credentials(ceph, access):
    """Create a further secret key of the user; revoke it afterwards."""
    def admin(*arguments):
        subprocess.run([programs.require('radosgw-admin'), '-c', ceph.conf, '-n',
                        'client.gateway', *arguments], check=True, capture_output=True)
    secret = uuid.uuid4().hex
    admin('key', 'create', '--uid=glance', f'--access-key={access}', f'--secret-key={secret}')
    try:
        yield secret
    finally:
        admin('key', 'rm', '--uid=glance', f'--access-key={access}')


def test_the_default_credentials_are_those_of_the_environment(make_s3, s3_server, monkeypatch,
                                                              tmp_path):
    monkeypatch.setenv('AWS_SHARED_CREDENTIALS_FILE', str(tmp_path / 'none'))
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    without = make_s3(access_key=None, secret_key=None)
    with pytest.raises(contract.Unavailable):
        without.write(key(), iter([b'1']))
    monkeypatch.setenv('AWS_ACCESS_KEY_ID', s3_server.access_key)
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', s3_server.secret_key)
    store = make_s3(access_key='', secret_key='')

    assert read(store, store.write(key(), iter([b'12345'])).url) == b'12345'


@pytest.mark.parametrize('wrong', [{'secret_key': 'not-the-secret'}, {
    'access_key': 'not-the-user', 'secret_key': 'not-the-secret'}], ids=['secret', 'both'])
def test_wrong_credentials_are_reported_without_secrets(make_s3, store, wrong, caplog):
    url = store.write(key(), iter([b'1'])).url
    misconfigured = make_s3(**wrong)
    caplog.set_level(logging.INFO)
    messages = []

    for request in (lambda: misconfigured.write(key(), iter([b'1'])),
                    lambda: misconfigured.read(url), lambda: misconfigured.size(url),
                    lambda: misconfigured.delete(url), misconfigured.health,
                    lambda: misconfigured.discard('x')):
        with pytest.raises(contract.Unavailable, match='rejects') as raised:
            request()
        messages.append(str(raised.value))

    assert 's3_store_secret_key' in caplog.text
    for secret in wrong.values():
        assert secret not in caplog.text + ''.join(messages)
    assert read(store, url) == b'1'


def test_secrets_are_not_in_logs_and_reprs(make_s3, s3_server, caplog):
    caplog.set_level(logging.INFO)
    store = make_s3(secret_key='hidden-secret', access_key='hidden-user')
    with pytest.raises(contract.Unavailable):
        store.write(key(), iter([b'1']))

    text = ' '.join([caplog.text, repr(store), repr(vars(store)), repr(store.options),
                     str(store.exclusive_resources()), repr(store._bucket.parse(
                         store._bucket.url('k').replace('://', '://hidden-user:hidden-secret@')))])

    assert 'hidden' not in text
