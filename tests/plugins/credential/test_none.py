"""The credential plugin ``none`` gives nothing and needs nothing."""

import pytest

from glancelite import contract
from glancelite.testing.contracts import CredentialContract


class TestNone(CredentialContract):

    @pytest.fixture
    def credential(self, host):
        return host.credential('none', 'cold')

    @pytest.mark.parametrize('long', [True, False])
    def test_nobody_gets_anything(self, credential, context, long):
        assert credential.open(context(), long=long) is None
        assert credential.open(None, long=long) is None

    def test_there_is_no_session_either(self, credential):
        with pytest.raises(contract.Unsupported):
            credential.session()
