"""The credential plugin ``none`` gives nothing and needs nothing."""

import pytest

from glancelite import contract


@pytest.fixture
def source(host):
    return host.credential('none', 'cold')


@pytest.mark.parametrize('long', [True, False])
def test_nobody_gets_anything(source, context, long):
    assert source.open(context(), long=long) is None
    assert source.open(None, long=long) is None


def test_there_is_no_session_either(source):
    with pytest.raises(contract.Unsupported):
        source.session()
