"""The importer in doc/plugins.md works as the page says."""

import pathlib
import re

import pytest

from glancelite import contract
from glancelite.testing.contracts import FetchContract
from glancelite.testing.fakes import FakeJob

PAGE = pathlib.Path(__file__).parents[3] / 'doc/plugins.md'
DATA = b'documented' * 30_000


@pytest.fixture
def importer(make_plugin, tmp_path):
    text = next(text for text in re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
                if 'contract.Importer' in text)
    space = {}
    exec(compile(text, str(PAGE), 'exec'), space)
    (tmp_path / 'sample').write_bytes(DATA)
    return make_plugin(space['FromFolder'], name='from-folder', folder=str(tmp_path))


class TestFromFolder(FetchContract):

    @pytest.fixture
    def importer(self, importer):
        return importer

    @pytest.fixture
    def method(self):
        return {'name': 'from-folder', 'file': 'sample'}

    @pytest.fixture
    def data(self):
        return DATA

    def test_a_file_that_is_missing_is_not_tried_again(self, importer, tmp_path, caller, image):
        job = FakeJob(tmp_path, ctx=caller, image=image, arguments=importer.check(
            caller, image, {'file': 'missing'}))

        with pytest.raises(contract.Invalid, match='no such file'):
            importer.fetch(job)
