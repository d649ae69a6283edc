"""The step in doc/plugins.md works as the page says."""

import pathlib
import re

import pytest

from glancelite.testing.contracts import StepContract
from glancelite.testing.fakes import FakeJob

PAGE = pathlib.Path(__file__).parents[3] / 'doc/plugins.md'


class TestShorten(StepContract):

    @pytest.fixture
    def step(self, make_plugin):
        snippets = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
        text = next(text for text in snippets if 'contract.Step' in text)
        space = {}
        exec(compile(text, str(PAGE), 'exec'), space)
        return make_plugin(space['Shorten'], name='shorten', length=1000)

    def test_what_follows_is_removed(self, step, tmp_path):
        job = FakeJob(tmp_path, b'x' * 3000)

        step.run(job)

        assert job.data == b'x' * 1000
