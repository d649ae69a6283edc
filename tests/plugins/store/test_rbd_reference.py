"""The store ``rbd`` and glance_store's driver of this name read what the other wrote."""

import pytest
from glance_store import exceptions

from glancelite import contract
from glancelite.testing.contracts.store.toolbox import cut, pattern, same
from tests.plugins.store import pools
from tests.plugins.store.reference import reference

MIB = 1 << 20
SIZES = [0, 1, 8 * MIB, 25 * MIB + 7]


@pytest.fixture(params=[False, True], ids=['thick', 'thin'])
def thin(request):
    return request.param


@pytest.fixture
def theirs(ceph, thin):
    return reference('rbd', rbd_store_ceph_conf=ceph.conf, rbd_store_user='images',
                     rbd_thin_provisioning=thin)


@pytest.fixture
def ours(make_rbd, thin):
    return make_rbd(rbd_thin_provisioning=thin)


@pytest.fixture(autouse=True)
def _nothing_is_left(ceph):
    yield
    assert pools.emptied(ceph) == []


def content(size):
    """Bytes with a hole in them."""
    data = bytearray(pattern(size))
    data[size // 3:size // 2] = bytes(size // 2 - size // 3)
    return bytes(data)


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize('size', SIZES)
def test_ours_reads_what_theirs_wrote(ours, theirs, size, known):
    data = content(size)

    url = theirs.write('key', data, size if known else None)

    assert ours.owns(url)
    assert ours.adopt(url) == url
    assert ours.size(url) == size
    assert same(b''.join(ours.read(url)), data)
    ours.delete(url)
    with pytest.raises(exceptions.NotFound):
        theirs.size(url)


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize('size', SIZES)
def test_theirs_reads_what_ours_wrote(ours, theirs, size, known):
    data = content(size)

    url = ours.write('key', cut(data, MIB), size=size if known else None).url

    assert url.startswith(theirs.url_prefix)
    assert theirs.size(url) == size
    assert same(theirs.read(url), data)
    theirs.delete(url)
    with pytest.raises(contract.NotFound):
        ours.size(url)


def test_both_describe_themselves_alike(ours, ceph, thin):
    assert dict(ours.properties()) == {
        'chunk_size': 8 * MIB, 'pool': 'images', 'thin_provisioning': thin, 'fsid': ceph.fsid}


def test_neither_removes_what_has_clones(ours, theirs, ceph):
    url = theirs.write('key', b'12345')

    with pools.clone(ceph, url, 'volume', 1):
        for remove, refusal in ((theirs.delete, exceptions.InUseByStore),
                                (ours.delete, contract.InUse)):
            with pytest.raises(refusal):
                remove(url)

    ours.delete(url)
