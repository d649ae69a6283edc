"""Downloads, whole or in ranges."""

import pytest

from glancelite import contract
from tests.services.conftest import raising, read_data


def test_a_range_can_be_downloaded(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'0123456789']))

    download = core.use_cases.downloads.open(ctx, image.id, range_header='bytes=2-4')

    assert (download.offset, download.length, download.partial) == (2, 3, True)
    assert b''.join(download.chunks) == b'234'


@pytest.mark.parametrize('header', ['bytes=10-', 'bytes=5-4', 'lines=1-2'])
def test_a_range_outside_the_image_is_refused(core, ctx, queued, header):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'0123456789']))

    with pytest.raises(contract.RangeNotSatisfiable) as refusal:
        core.use_cases.downloads.open(ctx, image.id, range_header=header)

    assert refusal.value.size == 10


def test_a_queued_image_has_no_data_to_download(core, ctx, queued):
    assert core.use_cases.downloads.open(ctx, queued().id) is None


def test_data_missing_in_the_store_counts_as_no_data(core, ctx, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))
    core.layers.stores.delete(image.locations[0])

    assert core.use_cases.downloads.open(ctx, image.id) is None


def test_only_administrators_download_a_deactivated_image(core, ctx, context, queued):
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))
    core.use_cases.images.deactivate(ctx, image.id)

    with pytest.raises(contract.Forbidden):
        core.use_cases.downloads.open(ctx, image.id)

    admin = context('other', roles=['admin'], is_admin=True)
    assert read_data(core, admin, image) == b'data'


@pytest.fixture
def unsized(core, active):
    """An active image without a size, as Glance may have left it."""
    image = active()
    return core.layers.database.images.update(image, {'size': None})


def test_the_size_of_an_image_without_one_is_that_in_its_store(core, ctx, unsized, reread):
    download = core.use_cases.downloads.open(ctx, unsized.id, range_header='bytes=1-')

    assert (download.length, b''.join(download.chunks)) == (3, b'ata')
    assert read_data(core, ctx, unsized) == b'data'
    assert reread(unsized).size is None
    assert core.layers.host.usage(ctx.project).bytes == 0


def test_an_image_without_size_and_data_has_no_data(core, ctx, unsized):
    core.layers.stores.delete(unsized.locations[0])

    assert core.use_cases.downloads.open(ctx, unsized.id) is None


def test_the_store_of_an_image_without_size_may_be_unavailable(core, ctx, unsized, monkeypatch):
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'size',
                        raising(contract.Unavailable('no answer')))

    with pytest.raises(contract.Unavailable):
        core.use_cases.downloads.open(ctx, unsized.id)
