"""The store ``glance_store`` with drivers that use real backends and cannot be shared."""

import concurrent.futures

import pytest

from glancelite import contract
from glancelite.plugins.store.rbd.bindings import load_bindings
from glancelite.testing.contracts.store.toolbox import KIB, MIB, Box, cut, pattern, same
from glancelite.testing.fakes import ClientWentAway, broken_source
from tests.servers.keystone import PASSWORD

RBD = """
[old]
glance_store_driver = rbd
rbd_store_ceph_conf = {conf}
rbd_store_user = images
[backend_defaults]
rbd_store_chunk_size = 1
"""
S3 = """
[old]
glance_store_driver = s3
s3_store_host = {url}
s3_store_region_name = {region}
s3_store_access_key = {access_key}
s3_store_secret_key = {secret_key}
s3_store_bucket = bridge
s3_store_create_bucket_on_put = true
s3_store_bucket_url_format = path
s3_store_large_object_size = 5
s3_store_large_object_chunk_size = 5
"""
SWIFT = """
[old]
glance_store_driver = swift
default_swift_reference = r1
swift_store_config_file = swift.conf
swift_store_create_container_on_put = true
swift_store_large_object_size = 1
swift_store_large_object_chunk_size = 1
"""


@pytest.fixture
def rbd(make_bridge, ceph):
    load_bindings()
    return make_bridge(RBD.format(conf=ceph.conf))


@pytest.fixture
def s3(make_bridge, ceph_s3):
    named = {name: getattr(ceph_s3, name) for name in (
        'url', 'region', 'access_key', 'secret_key')}
    return make_bridge(S3.format(**named))


@pytest.fixture
def keystone_swift(make_bridge, swift_keystone, keystone, tmp_path):
    (tmp_path / 'swift.conf').write_text(
        f'[r1]\nauth_address = {keystone.url}\nuser = alpha:alpha-member\nkey = {PASSWORD}\n')
    return make_bridge(SWIFT)


@pytest.fixture(params=['rbd', 's3', pytest.param('keystone_swift', marks=pytest.mark.long)])
def store(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def box(store):
    box = Box(store)
    yield box
    box.clean()


@pytest.mark.parametrize(('size', 'known'), [
    (0, True), (3 * 64 * KIB + 7, True), (6 * MIB + 13, True), (6 * MIB + 13, False)])
def test_written_data_is_read_back(store, box, size, known):
    """In one piece or in parts, the last of which is short."""
    data = pattern(size)

    written = box.write(box.key(), cut(data, 256 * KIB), size=size if known else None)

    assert written.size == size == store.size(written.url)
    assert same(box.bytes(written.url), data)
    assert store.owns(written.url)
    assert 'secret' not in written.url
    assert PASSWORD not in written.url


def test_an_image_is_written_read_and_deleted(store, box):
    key = box.key()
    url = box.put(b'12345', key=key).url

    assert store.health().endswith(' of glance_store')
    with pytest.raises(contract.Conflict):
        box.put(b'other', key=key)
    assert box.bytes(url) == b'12345'
    with pytest.raises(contract.Unsupported):
        store.read(url, offset=1)
    store.delete(url)
    for ask in store.read, store.size, store.delete:
        with pytest.raises(contract.NotFound):
            ask(url)


def test_a_broken_source_leaves_nothing_that_can_be_read(box):
    key = box.key()

    with pytest.raises(ClientWentAway):
        box.write(key, broken_source(b'x' * 6 * MIB), size=10 * MIB)

    assert box.absent(key)


def test_images_are_written_and_deleted_concurrently(box):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: box.round_trip(), range(3))) == [None] * 3


def test_discard_deletes_the_data_of_a_key(store, box):
    key = box.key()
    url = box.put(b'12345', key=key).url

    assert [store.discard(key), store.discard(key)] == [None, None]

    with pytest.raises(contract.NotFound):
        store.read(url)
