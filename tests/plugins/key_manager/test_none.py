"""The key manager ``none`` is always unavailable."""

import pytest

from glancelite import contract
from glancelite.plugins.key_manager.none import NoKeyManager
from glancelite.testing.contracts.key_manager import KeyManagerContract


class TestNoKeyManager(KeyManagerContract):

    @pytest.fixture
    def key_manager(self, make_plugin):
        return make_plugin(NoKeyManager)


@pytest.mark.parametrize('method', ['certificate', 'delete'])
def test_it_reports_that_there_is_none(make_plugin, context, method):
    with pytest.raises(contract.Unavailable, match='This service has no key manager'):
        getattr(make_plugin(NoKeyManager), method)(context(), 'x')
