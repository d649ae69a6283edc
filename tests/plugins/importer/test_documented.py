"""The importer in doc/plugins.md works as the page says."""

import os
import pathlib
import re

import pytest
from oslo_config import cfg

from glancelite import contract
from glancelite.testing.contracts import FetchContract

PAGE = pathlib.Path(__file__).parents[3] / 'doc/plugins.md'
DATA = b'documented' * 30_000


@pytest.fixture
def importer(make_plugin, tmp_path):
    text = next(text for text in re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
                if 'contract.Importer' in text)
    space = {'contract': contract, 'cfg': cfg, 're': re, 'os': os, 'pathlib': pathlib}
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
