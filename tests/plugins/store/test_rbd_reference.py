"""The store ``rbd`` and the driver of glance_store read the images of each other."""

import pytest
from glance_store import exceptions

from glancelite import contract
from glancelite.testing.contracts.store.toolbox import cut, pattern, same
from tests.plugins.store import pools
from tests.plugins.store.reference import reference

MIB = 1 << 20
SIZES = [0, 1, 8 * MIB, 25 * MIB + 7]


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.long)], ids=['thick', 'thin'])
def thin(request):
    return request.param


@pytest.fixture
def glance(ceph, thin):
    return reference('rbd', rbd_store_ceph_conf=ceph.conf, rbd_store_user='images',
                     rbd_thin_provisioning=thin)


@pytest.fixture
def ours(make_rbd, thin):
    return make_rbd(rbd_thin_provisioning=thin)


@pytest.fixture(autouse=True)
def _nothing_remains(ceph):
    yield
    assert pools.remove_all(ceph) == []


def content(size):
    """Return data with a hole."""
    data = bytearray(pattern(size))
    data[size // 3:size // 2] = bytes(size // 2 - size // 3)
    return bytes(data)


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize('size', SIZES)
def test_images_of_glance_are_read(ours, glance, size, known):
    data = content(size)

    url = glance.write('key', data, size if known else None)

    assert ours.owns(url)
    assert ours.adopt(url) == url
    assert ours.size(url) == size
    assert same(b''.join(ours.read(url)), data)
    ours.delete(url)
    with pytest.raises(exceptions.NotFound):
        glance.size(url)


@pytest.mark.parametrize('known', [True, False], ids=['known', 'unknown'])
@pytest.mark.parametrize('size', SIZES)
def test_glance_reads_our_images(ours, glance, size, known):
    data = content(size)

    url = ours.write('key', cut(data, MIB), size=size if known else None).url

    assert url.startswith(glance.url_prefix)
    assert glance.size(url) == size
    assert same(glance.read(url), data)
    glance.delete(url)
    with pytest.raises(contract.NotFound):
        ours.size(url)


def test_properties_are_those_of_glance(ours, ceph, thin):
    assert dict(ours.properties()) == {
        'chunk_size': 8 * MIB, 'pool': 'images', 'thin_provisioning': thin, 'fsid': ceph.fsid}


def test_both_refuse_to_delete_an_image_with_clones(ours, glance, ceph):
    url = glance.write('key', b'12345')

    with pools.clone(ceph, url, 'volume', 1):
        for delete, refusal in ((glance.delete, exceptions.InUseByStore),
                                (ours.delete, contract.InUse)):
            with pytest.raises(refusal):
                delete(url)

    ours.delete(url)
