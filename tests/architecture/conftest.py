"""A service in memory for the tests of this folder."""

import pytest

from glancelite.testing import service


@pytest.fixture
def core(tmp_path):
    core = service.build(tmp_path)
    yield core
    core.close()
