"""The store ``rbd`` with a cluster that is full, does not answer, or denies access."""

import concurrent.futures
import json
import os
import pathlib
import signal
import sys
import time
import urllib.error
import urllib.request

import pytest

from glancelite import contract
from glancelite.plugins.store.rbd import RBDStore, bindings
from glancelite.testing.contracts.store.toolbox import cut, pattern, same
from tests.plugins.store import pools

MIB = 1 << 20
#: seconds
TIMEOUT = 30


@pytest.fixture
def silence(ceph):
    """A function that stops the OSD and returns a function that resumes it."""
    def resume():
        ceph.osd.send_signal(signal.SIGCONT)

    def stop():
        ceph.osd.send_signal(signal.SIGSTOP)
        threads = pathlib.Path(f'/proc/{ceph.osd.pid}/task')
        # the threads do not stop all at once
        assert soon(lambda: all(' T ' in (thread / 'stat').read_text()
                                for thread in threads.iterdir()))
        return resume

    yield stop
    resume()


@pytest.fixture(autouse=True)
def _nothing_remains(request):
    yield
    if 'ceph' in request.fixturenames:
        assert pools.remove_all(request.getfixturevalue('ceph')) == []


def soon(condition):
    """Return whether a condition becomes true in time."""
    end = time.monotonic() + TIMEOUT
    while not (true := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return true


def open_files():
    return len(os.listdir('/proc/self/fd'))


# --- full pool

@pytest.fixture
def small_pool(ceph):
    """Name of a pool with room for about 8 MiB."""
    ceph.create_pool('small')
    ceph.command('osd', 'pool', 'set-quota', 'small', 'max_bytes', str(8 * MIB))
    yield 'small'
    ceph.delete_pool('small')


def test_an_image_that_does_not_fit_leaves_nothing(make_rbd, ceph, small_pool):
    store = make_rbd(user='admin', pool=small_pool)
    kept = store.write('kept', iter([pattern(MIB)])).url

    def endless():
        for chunk in cut(pattern(4 * MIB) * 300, 4 * MIB):
            time.sleep(0.1)     # the cluster checks quotas only from time to time
            yield chunk

    with pytest.raises(contract.TooLarge):
        store.write('key', endless())
    assert pools.names(ceph, small_pool) == ['kept']

    with pytest.raises(contract.TooLarge):
        store.write('another', iter([b'x']), size=1)
    assert same(b''.join(store.read(kept)), pattern(MIB))
    store.delete(kept)
    assert pools.names(ceph, small_pool) == []


# --- no answer

def test_a_cluster_that_stops_answering_is_reported(make_rbd, ceph, silence):
    store = make_rbd(rbd_operation_timeout=1)
    url = store.write('key', iter([pattern(40 * MIB)])).url
    chunks = store.read(url)
    next(chunks)
    resume = silence()

    for ask in (store.health, lambda: b''.join(chunks), lambda: store.read(url),
                lambda: store.size(url), lambda: store.delete(url),
                lambda: store.discard('other'), lambda: store.write('other', iter([b'x']))):
        started = time.monotonic()
        with pytest.raises(contract.Unavailable):
            ask()
        assert time.monotonic() - started < TIMEOUT / 3
    resume()

    assert same(b''.join(store.read(url)), pattern(40 * MIB))
    store.delete(url)
    store.discard('other')
    assert soon(lambda: pools.names(ceph) == [])


@pytest.mark.parametrize('size', [40 * MIB, None], ids=['known', 'unknown'])
def test_partial_data_in_a_silent_cluster_is_deleted_later(make_rbd, ceph, silence, size):
    store, resumed = make_rbd(rbd_operation_timeout=1), []

    def source():
        yield pattern(12 * MIB)
        resumed.append(silence())
        yield pattern(28 * MIB)

    started = time.monotonic()
    with pytest.raises(contract.Unavailable):
        store.write('key', source(), size=size)
    assert time.monotonic() - started < TIMEOUT / 2

    # the store deletes the data in the background, or has deferred that
    resumed[0]()
    assert soon(lambda: store.health() and pools.names(ceph) == [])

    store.delete(store.write('key', iter([b'12345'])).url)


def test_a_pending_deletion_does_not_delete_a_new_image_of_the_same_name(make_rbd, ceph):
    store = make_rbd()
    url = store.write('key', iter([b'12345'])).url

    store._deleter.add_pending('key', 'beefbeefbeef')
    store.health()

    assert b''.join(store.read(url)) == b'12345'
    store.delete(url)
    assert pools.names(ceph) == []


@pytest.mark.parametrize(('timeout', 'conf', 'expected'), [
    (-1, {}, ('60', '10', '10')),
    (-1, {'rados_osd_op_timeout': '7', 'client_mount_timeout': '8'}, ('7', '10', '8')),
    (4, {'rados_osd_op_timeout': '7'}, ('4', '4', '4')),
    (0, {}, ('0', '0', '0'))])
def test_all_requests_have_a_timeout_unless_configured_otherwise(make_rbd, ceph, timeout, conf,
                                                                 expected):
    store = make_rbd(conf=ceph.configure(**conf), rados_connect_timeout=timeout)

    settings = [store._client.setting(name) for name in (
        'rados_osd_op_timeout', 'rados_mon_op_timeout', 'client_mount_timeout')]

    assert [float(each) for each in settings] == [float(each) for each in expected]


# --- connections

def test_threads_share_a_connection_that_is_closed_with_the_store(make_rbd):
    make_rbd().health()     # librados opens some files only once
    before = open_files()
    store = make_rbd()
    store.health()
    one = open_files()
    urls = [store.write(f'key{number}', iter([pattern(MIB)])).url for number in range(4)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        readers = list(pool.map(store.read, urls * 8))
        for reader in readers:
            next(reader)
        many = open_files()

    for reader in readers:
        reader.close()
    for url in urls:
        store.delete(url)
    store.close()
    assert many - one < one - before
    assert soon(lambda: open_files() <= before)


def test_a_download_can_continue_after_the_store_is_closed(make_rbd):
    store = make_rbd()
    url = store.write('key', iter([pattern(20 * MIB)])).url
    reader = store.read(url)

    store.close()

    assert same(b''.join(reader), pattern(20 * MIB))
    store.delete(url)


def test_a_blocklisted_client_connects_again(make_rbd, ceph):
    store = make_rbd()
    url = store.write('key', iter([b'12345'])).url
    connection = store._client._acquire()
    ceph.command('osd', 'blocklist', 'add', connection.rados_client.get_addrs().split('[')[-1]
                 .rstrip(']').removeprefix('v1:'))
    connection.release()

    def works():
        try:
            return b''.join(store.read(url)) == b'12345'
        except contract.Unavailable:
            return False

    def renewed():
        works()
        return store._client._connection not in (None, connection)

    assert soon(renewed)
    assert works()
    store.delete(url)


# --- access denied

@pytest.mark.parametrize(('conf', 'options', 'reason'), [
    ({}, {'user': 'nobody'}, 'does not accept the key'),
    ({'keyring': '/nonexistent'}, {}, 'no keyring with the key'),
    ({}, {'pool': 'nowhere'}, 'pool of the store does not exist')])
def test_the_reason_of_a_failure_is_reported(make_rbd, ceph, conf, options, reason):
    store = make_rbd(conf=ceph.configure(**conf), **options)

    for ask in (store.health, lambda: store.write('key', iter([b'x'])),
                lambda: store.discard('key')):
        with pytest.raises(contract.Unavailable, match=reason):
            ask()


# --- in the service

@pytest.fixture
def service(live_server, tmp_path):
    """Start a service with a file and an RBD store; return a function that sends requests."""
    def start(conf):
        server = live_server({
            'DEFAULT': {'enabled_backends': 'near:file, far:rbd', 'workers': '1'},
            'layers': {'auth': 'noauth', 'database': 'memory'},
            'glance_store': {'default_backend': 'near'},
            'far': {'rbd_store_ceph_conf': conf, 'rbd_store_user': 'images',
                    'rbd_connect_timeout': 1},
            'near': {'filesystem_store_datadir': str(tmp_path)}})

        def ask(method, path, body=None, **headers):
            request = urllib.request.Request(
                f'{server.url}/v2/{path}', body, method=method,
                headers={name.replace('_', '-'): value for name, value in headers.items()})
            with urllib.request.urlopen(request) as reply:
                return reply.read()
        return ask
    return start


def new_image(ask):
    return json.loads(ask('POST', 'images', b'{"disk_format": "raw", "container_format": "bare"}',
                          Content_Type='application/json'))['id']


def upload(ask, store, data):
    image = new_image(ask)
    ask('PUT', f'images/{image}/file', data, Content_Type='application/octet-stream',
        X_Image_Meta_Store=store)
    return image


def test_the_service_stores_reads_and_deletes_an_image(service, ceph):
    ask, data = service(ceph.conf), pattern(21 * MIB)

    image = upload(ask, 'far', data)
    stored = pools.names(ceph)
    whole = ask('GET', f'images/{image}/file')
    part = ask('GET', f'images/{image}/file', Range='bytes=4194300-4194310')
    ask('DELETE', f'images/{image}')

    assert stored == [image]
    assert same(whole, data)
    assert part == data[4194300:4194311]
    assert pools.names(ceph) == []


def test_a_service_starts_without_its_cluster_and_serves_its_other_stores(service, ceph):
    ask = service(ceph.configure(mon_host='v2:127.0.0.1:9/0'))

    image = upload(ask, 'near', b'12345')

    assert ask('GET', f'images/{image}/file') == b'12345'
    with pytest.raises(urllib.error.HTTPError, match='503'):
        upload(ask, 'far', b'12345')


# --- bindings

@pytest.fixture
def without_bindings(monkeypatch):
    """Hide the bindings, as if the packages of Ceph were not installed."""
    for name in 'rados', 'rbd':
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(bindings, 'SYSTEM_DIRECTORIES', ())
    monkeypatch.setattr(sys, 'path', [path for path in sys.path if 'dist-packages' not in path])


def test_missing_bindings_are_reported_with_their_package(make_plugin, without_bindings):
    with pytest.raises(contract.Misconfigured, match='Debian package python3-rados'):
        make_plugin(RBDStore)


def test_bindings_are_loaded_without_other_packages_of_the_system(ceph):
    rados, rbd = bindings.load_bindings()

    assert rados.Rados
    assert rbd.Image
    assert not [path for path in sys.path if 'dist-packages' in path]
