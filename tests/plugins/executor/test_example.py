"""The executor in doc/plugins.md keeps the contract."""

import pathlib
import re

import pytest

from glancelite import conformity
from glancelite.testing.contracts.executor import ExecutorContract

PAGE = pathlib.Path(__file__).parents[3] / 'doc/plugins.md'


@pytest.fixture(scope='module')
def one_by_one():
    text = re.search(r'### An executor.*?```python\n(.*?)```', PAGE.read_text(), re.DOTALL)[1]
    space = {'__name__': 'acme'}
    exec(compile(text, PAGE, 'exec'), space)
    return space['OneByOne']


class TestTheExample(ExecutorContract):

    @pytest.fixture
    def executor(self, make_plugin, one_by_one):
        return make_plugin(one_by_one, poll_interval=0.02)

    @pytest.fixture
    def worker(self, make_plugin, one_by_one):
        return make_plugin(one_by_one, poll_interval=0.02)


def test_the_loader_accepts_the_example(one_by_one):
    assert conformity.violation('executor', one_by_one) == ''
