"""The images that the store ``rbd`` writes and reads."""

import os
import threading

import pytest

from glancelite import contract
from glancelite.plugins.store.rbd import RBDStore, upload
from glancelite.plugins.store.rbd.bindings import load_bindings
from glancelite.testing.contracts.store.toolbox import cut, pattern, same
from tests.plugins.store import pools

MIB = 1 << 20


@pytest.fixture
def store(make_rbd):
    return make_rbd()


@pytest.fixture(autouse=True)
def _nothing_remains(ceph):
    yield
    assert pools.remove_all(ceph) == []


@pytest.fixture
def images(ceph):
    """The module ``rbd`` and the pool, opened as administrator."""
    with pools.opened(ceph, 'images') as (rbd, ioctx):
        yield rbd, ioctx


def make(images, name, data, *, snapshot='snap', protect=True, **named):
    """Create an image as another program does."""
    rbd, ioctx = images
    rbd.RBD().create(ioctx, name, len(data), 22, old_format=named.pop('old_format', False),
                     **named)
    with rbd.Image(ioctx, name) as image:
        image.write(data, 0)
        if snapshot:
            image.create_snap(snapshot)
        if snapshot and protect:
            image.protect_snap(snapshot)


# --- writing

def test_the_layout_is_that_of_glance(store, ceph, images):
    rbd, ioctx = images

    written = store.write('key', iter([b'12345']))

    assert written == contract.WriteResult(f'rbd://{ceph.fsid}/images/key/snap', 5)
    with rbd.Image(ioctx, 'key', read_only=True) as image:
        assert [snap['name'] for snap in image.list_snaps()] == ['snap']
        assert image.is_protected_snap('snap')
        assert (image.size(), image.stat()['order'], image.features()) == (5, 23, 61)
    store.delete(written.url)


@pytest.mark.parametrize(('chunk', 'order'), [(1, 20), (3, 21), (32, 25)])
def test_objects_have_the_configured_size(make_rbd, images, chunk, order):
    rbd, ioctx = images
    store = make_rbd(chunk_size=chunk)

    store.write('key', iter([b'12345']))

    with rbd.Image(ioctx, 'key', read_only=True) as image:
        assert image.stat()['order'] == order
    assert store.properties()['chunk_size'] == chunk * MIB
    store.discard('key')


@pytest.mark.parametrize(('setting', 'features'), [
    ('1', 1), ('0', 1), ('5', 5), ('layering,exclusive-lock', 5), ('exclusive-lock', 5)])
def test_features_are_those_of_the_cluster_and_allow_clones(make_rbd, ceph, images, setting,
                                                            features):
    rbd, ioctx = images
    store = make_rbd(conf=ceph.configure(rbd_default_features=setting))

    url = store.write('key', iter([pattern(9 * MIB)])).url

    with rbd.Image(ioctx, 'key', read_only=True) as image:
        assert image.features() == features
    assert same(b''.join(store.read(url)), pattern(9 * MIB))
    store.delete(url)


def test_an_image_is_enlarged_in_growing_steps(make_rbd, monkeypatch):
    store, sizes = make_rbd(chunk_size=1), []
    enlarge = upload.Upload._enlarge
    monkeypatch.setattr(upload.Upload, '_enlarge',
                        lambda self: enlarge(self) or sizes.append(self._capacity // MIB))

    url = store.write('key', cut(pattern(50 * MIB), MIB)).url

    assert sizes == [6, 14, 30, 62]
    assert store.size(url) == 50 * MIB
    store.delete(url)


@pytest.mark.parametrize('length', [MIB + 1, 3 * MIB, 4 * MIB, 5 * MIB + 3, 21 * MIB])
@pytest.mark.parametrize('known', [True, False])
def test_chunks_may_have_any_size(store, length, known):
    data = pattern(21 * MIB + 5)

    url = store.write('key', cut(data, length), size=len(data) if known else None).url

    assert same(b''.join(store.read(url)), data)
    store.delete(url)


@pytest.mark.parametrize('thin', [True, False])
def test_zeros_are_not_written_if_so_configured(make_rbd, images, thin):
    rbd, ioctx = images
    data = pattern(4 * MIB) + bytes(13 * MIB) + b'x' + bytes(7 * MIB)
    store, extents = make_rbd(rbd_thin_provisioning=thin), []

    url = store.write('key', cut(data, MIB)).url

    with rbd.Image(ioctx, 'key', snapshot='snap', read_only=True) as image:
        image.diff_iterate(0, image.size(), None,
                           lambda start, length, there: extents.append(there * length))
    assert sum(extents) == (8 * MIB if thin else len(data))
    assert same(b''.join(store.read(url)), data)
    store.delete(url)


# --- reading

@pytest.mark.parametrize('parallel', [1, 4, 64])
def test_any_range_can_be_read(make_rbd, parallel):
    store, data = make_rbd(rbd_store_parallel=parallel), pattern(13 * MIB + 7)
    url = store.write('key', iter([data])).url

    for offset, length in ((0, 4 * MIB), (4 * MIB, 1), (4 * MIB - 1, 2), (3 * MIB, 9 * MIB),
                           (MIB + 1, None), (12 * MIB + 3, 5 * MIB), (len(data), None)):
        part = b''.join(store.read(url, offset=offset, length=length))
        assert same(part, data[offset:][:length])
    store.delete(url)


@pytest.mark.parametrize('parallel', [1, 3])
def test_a_download_of_a_deleted_image_returns_no_zeros(make_rbd, parallel):
    store, data = make_rbd(rbd_store_parallel=parallel), os.urandom(48 * MIB)
    url = store.write('key', iter([data])).url
    chunks = store.read(url)
    seen = [next(chunks)]

    store.delete(url)
    with pytest.raises(contract.NotFound):
        seen.extend(chunks)

    assert data.startswith(b''.join(seen))


def test_images_without_a_snapshot_have_the_short_url(store, images):
    make(images, 'key', b'12345', snapshot=None)

    assert b''.join(store.read('rbd://key', offset=1)) == b'2345'
    assert store.size('rbd://key') == 5
    assert store.owns('rbd://key')
    assert not store.owns('rbd://unknown')
    store.delete('rbd://key')


def test_images_of_the_first_format_are_read(store, images, ceph):
    make(images, 'key', pattern(5 * MIB), old_format=True, protect=False)
    url = f'rbd://{ceph.fsid}/images/key/snap'

    assert same(b''.join(store.read(url)), pattern(5 * MIB))
    store.delete(url)


def test_names_are_quoted_in_urls(store, images, ceph):
    make(images, 'a b/c%', b'12345', snapshot='s@/')
    url = f'rbd://{ceph.fsid}/images/a%20b%2Fc%25/s%40%2F'

    assert store.adopt(f'rbd://{ceph.fsid}/images/a b%2fc%25/s@%2F') == url
    assert b''.join(store.read(url)) == b'12345'
    store.delete(url)


# --- ownership

def test_snapshots_of_nova_are_adopted(store, images, ceph):
    make(images, 'shot', b'12345')
    url = f'rbd://{ceph.fsid}/images/shot/snap'

    assert store.adopt(url) == url
    assert b''.join(store.read(url)) == b'12345'
    store.delete(url)


@pytest.mark.parametrize('url', [
    'rbd://{fsid}/volumes/key/snap', 'rbd://{other}/images/key/snap', 'rbd://key',
    'rbd://{fsid}/images/key', 'rbd://{fsid}/images//snap', 'rbd://{fsid}/images/key/snap/',
    'rbd://{fsid}/images/key/snap%00', 'rbd://{fsid}/images/key%0A/snap', 'rbd:///images/k/s'])
def test_other_urls_are_not_adopted(store, ceph, url):
    with pytest.raises(contract.Invalid):
        store.adopt(url.format(fsid=ceph.fsid, other='11111111-2222-4333-8444-555555555555'))


def test_former_pools_and_ids_are_read_if_configured(make_rbd, ceph):
    now, old_id = make_rbd(user='admin'), '11111111-2222-4333-8444-555555555555'
    before = make_rbd(user='admin', pool='volumes')
    url = before.write('key', iter([b'12345'])).url
    mirrored = now.write('key', iter([b'54321'])).url.replace(ceph.fsid, old_id)
    for foreign in (url, mirrored):
        with pytest.raises(contract.Invalid):
            now.read(foreign)

    store = make_rbd(user='admin', rbd_store_former_pools=['volumes'],
                     rbd_store_former_fsids=[old_id])

    assert [b''.join(store.read(each)) for each in (url, mirrored)] == [b'12345', b'54321']
    assert [store.owns(url), store.owns(mirrored)] == [True, True]
    store.delete(url)
    store.delete(mirrored)


# --- conflicts

def test_an_existing_image_is_not_changed(store, images, ceph):
    rbd, ioctx = images
    make(images, 'key', b'12345', snapshot=None)

    with pytest.raises(contract.Conflict):
        store.write('key', iter([b'x']))

    with rbd.Image(ioctx, 'key', read_only=True) as image:
        assert image.read(0, 5) == b'12345'
    store.discard('key')


@pytest.mark.parametrize('options', [{'snapshot': None}, {'protect': False}, {}],
                         ids=['without snapshot', 'not protected', 'complete'])
def test_discard_deletes_an_incomplete_image(store, images, options):
    make(images, 'key', b'12345', **options)

    store.discard('key')

    store.discard(store.write('key', iter([b'free'])).url.split('/')[-2])


def test_discard_deletes_a_name_without_an_image(store, images):
    _, ioctx = images
    ioctx.write_full('rbd_id.key', b'\x04\x00\x00\x00beef')
    with pytest.raises(contract.Conflict):
        store.write('key', iter([b'x']))

    store.discard('key')

    store.delete(store.write('key', iter([b'free'])).url)


def test_discard_deletes_an_entry_of_the_directory_without_an_image(store, images):
    rbd, ioctx = images
    store.write('other', iter([b'x']))       # creates the directory
    rados = load_bindings()[0]
    with rados.WriteOpCtx() as operation:
        ioctx.set_omap(operation, ('name_key', 'id_beef'),
                       (b'\x04\x00\x00\x00beef', b'\x03\x00\x00\x00key'))
        ioctx.operate_write_op(operation, 'rbd_directory')
    assert sorted(rbd.RBD().list(ioctx)) == ['key', 'other']

    store.discard('key')

    assert rbd.RBD().list(ioctx) == ['other']
    store.discard('other')
    store.delete(store.write('key', iter([b'free'])).url)


def test_librbd_does_not_open_what_does_not_exist(store, monkeypatch):
    """It sometimes crashed the process."""
    url = store.write('key', iter([b'x'])).url
    rbd = load_bindings()[1]
    opened, image_type = [], rbd.Image

    def open_image(ioctx, name, **options):
        opened.append(name)
        assert not options.get('snapshot')
        return image_type(ioctx, name, **options)

    monkeypatch.setattr(rbd, 'Image', open_image)
    for missing in url.replace('/key/', '/other/'), url.replace('/snap', '/other'):
        for method in store.read, store.size, store.delete:
            with pytest.raises(contract.NotFound):
                method(missing)
    store.discard('other')
    assert set(opened) == {'key'}

    store.delete(url)


def test_discard_does_not_disturb_a_living_writer(store, make_rbd):
    started, resume, refused = threading.Event(), threading.Event(), []

    def source():
        yield pattern(5 * MIB)
        started.set()
        resume.wait(20)

    def disturb():
        started.wait(20)
        try:
            make_rbd().discard('key')
        except contract.Unavailable as reason:
            refused.append(reason)
        finally:
            resume.set()

    thread = threading.Thread(target=disturb)
    thread.start()
    url = store.write('key', source()).url
    thread.join()

    assert len(refused) == 1
    assert same(b''.join(store.read(url)), pattern(5 * MIB))
    store.delete(url)


# --- options

@pytest.mark.parametrize('options', [{'conf': '/nonexistent/ceph.conf'}, {'pool': ''}])
def test_invalid_options_prevent_the_start(make_rbd, options):
    with pytest.raises(contract.Misconfigured, match='must') as refused:
        make_rbd(**options)

    assert '\n' not in str(refused.value)


def test_the_options_are_those_of_glance():
    names = {opt.dest: opt.default for opt in RBDStore.OPTS}

    assert names.items() >= {
        'rbd_store_chunk_size': 8, 'rbd_store_pool': 'images', 'rbd_store_user': None,
        'rbd_store_ceph_conf': '', 'rados_connect_timeout': -1,
        'rbd_thin_provisioning': False}.items()
