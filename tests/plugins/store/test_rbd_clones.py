"""Deletion of images of the store ``rbd`` that have clones or are open elsewhere."""

import pytest

from glancelite import contract
from glancelite.plugins.store.rbd import deletion
from tests.plugins.store import pools

DATA = b'12345' * 1000


@pytest.fixture(params=['trash', 'refuse'])
def store(request, make_rbd):
    return make_rbd(rbd_in_use_delete=request.param)


@pytest.fixture
def trashing(make_rbd):
    return make_rbd()


@pytest.fixture(autouse=True)
def _nothing_remains(ceph):
    yield
    assert [pools.remove_all(ceph, 'volumes'), pools.remove_all(ceph)] == [[], []]


def protected(ceph, url):
    name = url.split('/')[-2]
    with pools.opened(ceph, 'images') as (rbd, ioctx), \
            rbd.Image(ioctx, name, read_only=True) as image:
        return image.is_protected_snap('snap')


def cloned_bytes(ceph, name):
    with pools.opened(ceph, 'volumes', 'volumes') as (rbd, ioctx), \
            rbd.Image(ioctx, name, read_only=True) as image:
        return image.read(0, len(DATA))


def test_an_image_with_clones_of_the_first_format_stays(store, ceph):
    url = store.write('key', iter([DATA])).url

    with pools.clone(ceph, url, 'volume', 1):
        with pytest.raises(contract.InUse):
            store.delete(url)
        assert protected(ceph, url)
        assert b''.join(store.read(url)) == DATA
        assert cloned_bytes(ceph, 'volume') == DATA

    store.delete(url)


def test_an_image_with_clones_is_moved_to_the_trash(trashing, make_rbd, ceph):
    url = trashing.write('key', iter([DATA])).url
    reader = trashing.read(url)

    with pools.clone(ceph, url, 'volume', 2):
        trashing.delete(url)

        for ask in (trashing.read, trashing.size, trashing.delete):
            with pytest.raises(contract.NotFound):
                ask(url)
        assert cloned_bytes(ceph, 'volume') == DATA
        assert b''.join(reader) == DATA      # opened before the deletion
        again = trashing.write('key', iter([b'new'])).url
        trashing.delete(again)
        assert pools.names(ceph) == ['key']

    other = make_rbd()
    other.delete(other.write('other', iter([DATA])).url)     # also sweeps the trash


def test_an_image_with_clones_is_refused_if_so_configured(make_rbd, ceph):
    store = make_rbd(rbd_in_use_delete='refuse')
    url = store.write('key', iter([DATA])).url

    with pools.clone(ceph, url, 'volume', 2):
        with pytest.raises(contract.InUse):
            store.delete(url)
        assert protected(ceph, url)
        assert b''.join(store.read(url)) == DATA

    store.delete(url)


def test_other_images_in_the_trash_stay(trashing, make_rbd, ceph):
    with pools.opened(ceph, 'images') as (rbd, ioctx):
        rbd.RBD().create(ioctx, 'precious', 4096)
        rbd.RBD().trash_move(ioctx, 'precious')
        try:
            trashing.delete(trashing.write('key', iter([DATA])).url)

            assert pools.names(ceph) == ['precious']
        finally:
            for entry in rbd.RBD().trash_list(ioctx):
                rbd.RBD().trash_remove(ioctx, entry['id'])


def test_an_open_image_stays(store, ceph):
    url = store.write('key', iter([DATA])).url

    with pools.opened(ceph, 'images') as (rbd, ioctx), rbd.Image(ioctx, 'key'):
        with pytest.raises(contract.InUse):
            store.delete(url)
        assert protected(ceph, url)
        assert b''.join(store.read(url)) == DATA

    store.delete(url)


def test_an_image_that_is_opened_during_its_deletion_stays_readable(store, ceph, monkeypatch):
    url = store.write('key', iter([DATA])).url
    delete, opened = deletion.Deleter._delete_snapshot, []

    with pools.opened(ceph, 'images') as (rbd, ioctx):
        def delete_and_open(self, *args):
            delete(self, *args)
            opened.append(rbd.Image(ioctx, 'key'))
        monkeypatch.setattr(deletion.Deleter, '_delete_snapshot', delete_and_open)
        with pytest.raises(contract.InUse):
            store.delete(url)
        monkeypatch.undo()
        opened[0].close()

    assert protected(ceph, url)
    assert b''.join(store.read(url)) == DATA
    store.delete(url)


def test_an_interrupted_deletion_is_finished_by_the_next_one(store, ceph):
    url = store.write('key', iter([DATA])).url
    with pools.opened(ceph, 'images') as (rbd, ioctx), rbd.Image(ioctx, 'key') as image:
        image.unprotect_snap('snap')
        image.remove_snap('snap')

    with pytest.raises(contract.NotFound):
        store.read(url)
    store.delete(url)

    with pytest.raises(contract.NotFound):
        store.delete(url)


@pytest.mark.parametrize('snapshot', ['other', '..'])
def test_the_snapshot_must_match(store, snapshot):
    url = store.write('key', iter([DATA])).url

    for ask in (store.read, store.size, store.delete):
        with pytest.raises(contract.NotFound):
            ask(url.replace('/snap', f'/{snapshot}'))

    assert b''.join(store.read(url)) == DATA
    store.delete(url)


def test_a_user_without_write_permission_cannot_delete(trashing, make_rbd):
    url = trashing.write('key', iter([DATA])).url
    reading = make_rbd(user='volumes')

    assert b''.join(reading.read(url)) == DATA
    with pytest.raises(contract.Forbidden):
        reading.delete(url)
    with pytest.raises(contract.Unavailable):
        reading.write('other', iter([DATA]))

    assert b''.join(trashing.read(url)) == DATA
    trashing.delete(url)
