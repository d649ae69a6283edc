"""The import method ``glance-direct`` takes staged data."""

import dataclasses

import pytest

from glancelite import contract
from glancelite.plugins.importer.glance_direct import GlanceDirect
from glancelite.testing.contracts import FetchContract
from glancelite.testing.contracts.importer import IMAGE
from glancelite.testing.fakes import FakeJob


class TestGlanceDirect(FetchContract):

    @pytest.fixture
    def importer(self, make_plugin):
        return make_plugin(GlanceDirect, name='glance-direct')

    @pytest.fixture
    def method(self):
        return {'name': 'glance-direct'}

    @pytest.fixture
    def data(self):
        return b'staged' * 50_000


@pytest.mark.parametrize('size', [None, 1, 1 << 40])
def test_an_image_without_staged_data_is_a_conflict(make_plugin, tmp_path, size):
    job = FakeJob(tmp_path, image=dataclasses.replace(IMAGE, size=size))

    with pytest.raises(contract.Conflict, match='stage it before the import'):
        make_plugin(GlanceDirect).fetch(job)


def test_an_image_may_be_empty(make_plugin, tmp_path):
    job = FakeJob(tmp_path, image=dataclasses.replace(IMAGE, size=0))

    assert make_plugin(GlanceDirect).fetch(job) is None
    assert job.data == b''
