"""The import method ``copy-image`` needs an image with data."""

import dataclasses

import pytest

from glancelite import contract
from glancelite.plugins.importer.copy_image import CopyImage
from glancelite.testing.contracts import FetchContract
from glancelite.testing.contracts.importer import IMAGE


class TestCopyImage(FetchContract):

    @pytest.fixture
    def importer(self, make_plugin):
        return make_plugin(CopyImage, name='copy-image')

    @pytest.fixture
    def method(self):
        return {'name': 'copy-image'}

    @pytest.fixture
    def data(self):
        return b'stored' * 50_000


def test_it_is_an_action_of_its_own_on_active_images():
    assert (CopyImage.ACTION, CopyImage.STARTS_FROM, CopyImage.STAGES) == (
        'copy_image', 'active', False)


@pytest.mark.parametrize('locations', [
    (), (contract.Location('file:///x', status='pending_delete'),)])
def test_an_image_without_data_is_a_conflict(make_plugin, context, locations):
    image = dataclasses.replace(IMAGE, status='active', locations=locations)

    with pytest.raises(contract.Conflict, match='no location'):
        make_plugin(CopyImage).check(context(), image, {'name': 'copy-image'})
