"""Deleting images of the store ``rbd`` on which others build, or which they have open."""

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
def _nothing_is_left(ceph):
    yield
    assert [pools.emptied(ceph, 'volumes'), pools.emptied(ceph)] == [[], []]


def protected(ceph, url):
    name = url.split('/')[-2]
    with pools.opened(ceph, 'images') as (rbd, ioctx), \
            rbd.Image(ioctx, name, read_only=True) as image:
        return image.is_protected_snap('snap')


def cloned_bytes(ceph, name):
    with pools.opened(ceph, 'volumes', 'volumes') as (rbd, ioctx), \
            rbd.Image(ioctx, name, read_only=True) as image:
        return image.read(0, len(DATA))


def test_clones_of_the_first_format_keep_an_image(store, ceph):
    url = store.write('key', iter([DATA])).url

    with pools.clone(ceph, url, 'volume', 1):
        with pytest.raises(contract.InUse):
            store.delete(url)
        assert protected(ceph, url)
        assert b''.join(store.read(url)) == DATA
        assert cloned_bytes(ceph, 'volume') == DATA

    store.delete(url)


def test_an_image_with_clones_goes_to_the_trash(trashing, make_rbd, ceph):
    url = trashing.write('key', iter([DATA])).url
    reader = trashing.read(url)

    with pools.clone(ceph, url, 'volume', 2):
        trashing.delete(url)

        for ask in (trashing.read, trashing.size, trashing.delete):
            with pytest.raises(contract.NotFound):
                ask(url)
        assert cloned_bytes(ceph, 'volume') == DATA
        assert b''.join(reader) == DATA      # it had begun before
        again = trashing.write('key', iter([b'new'])).url
        trashing.delete(again)
        assert pools.names(ceph) == ['key']

    other = make_rbd()
    other.delete(other.write('other', iter([DATA])).url)     # looks into the trash as well


def test_an_image_with_clones_is_refused_if_so_configured(make_rbd, ceph):
    store = make_rbd(rbd_in_use_delete='refuse')
    url = store.write('key', iter([DATA])).url

    with pools.clone(ceph, url, 'volume', 2):
        with pytest.raises(contract.InUse):
            store.delete(url)
        assert protected(ceph, url)
        assert b''.join(store.read(url)) == DATA

    store.delete(url)


def test_the_trash_of_others_stays(trashing, make_rbd, ceph):
    with pools.opened(ceph, 'images') as (rbd, ioctx):
        rbd.RBD().create(ioctx, 'precious', 4096)
        rbd.RBD().trash_move(ioctx, 'precious')
        try:
            trashing.delete(trashing.write('key', iter([DATA])).url)

            assert pools.names(ceph) == ['precious']
        finally:
            for entry in rbd.RBD().trash_list(ioctx):
                rbd.RBD().trash_remove(ioctx, entry['id'])


def test_an_image_that_somebody_has_open_stays(store, ceph):
    url = store.write('key', iter([DATA])).url

    with pools.opened(ceph, 'images') as (rbd, ioctx), rbd.Image(ioctx, 'key'):
        with pytest.raises(contract.InUse):
            store.delete(url)
        assert protected(ceph, url)
        assert b''.join(store.read(url)) == DATA

    store.delete(url)


def test_an_image_that_somebody_opens_meanwhile_stays_and_is_readable(store, ceph, monkeypatch):
    url = store.write('key', iter([DATA])).url
    remove, opened = deletion.Removal._remove_snapshot, []

    with pools.opened(ceph, 'images') as (rbd, ioctx):
        def remove_and_open(self, *args):
            remove(self, *args)
            opened.append(rbd.Image(ioctx, 'key'))
        monkeypatch.setattr(deletion.Removal, '_remove_snapshot', remove_and_open)
        with pytest.raises(contract.InUse):
            store.delete(url)
        monkeypatch.undo()
        opened[0].close()

    assert protected(ceph, url)
    assert b''.join(store.read(url)) == DATA
    store.delete(url)


def test_an_interrupted_removal_is_finished_the_next_time(store, ceph):
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
def test_only_the_snapshot_that_is_meant_counts(store, snapshot):
    url = store.write('key', iter([DATA])).url

    for ask in (store.read, store.size, store.delete):
        with pytest.raises(contract.NotFound):
            ask(url.replace('/snap', f'/{snapshot}'))

    assert b''.join(store.read(url)) == DATA
    store.delete(url)


def test_whoever_may_only_read_does_not_remove(trashing, make_rbd):
    url = trashing.write('key', iter([DATA])).url
    reading = make_rbd(user='volumes')

    assert b''.join(reading.read(url)) == DATA
    with pytest.raises(contract.Forbidden):
        reading.delete(url)
    with pytest.raises(contract.Unavailable):
        reading.write('other', iter([DATA]))

    assert b''.join(trashing.read(url)) == DATA
    trashing.delete(url)
