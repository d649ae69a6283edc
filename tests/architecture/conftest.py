"""One service in memory for all questions about its structure."""

import pytest

from glancelite.testing import service


@pytest.fixture
def core(tmp_path):
    core = service.build(tmp_path)
    yield core
    core.close()
