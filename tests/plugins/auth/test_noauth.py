"""The authenticator ``noauth`` keeps the contract and accepts all requests as one caller."""

import pytest

from glancelite import contract
from glancelite.plugins.auth.noauth import NoAuth
from glancelite.testing.contracts.auth import IdentityContract, request


class TestNoAuth(IdentityContract):

    @pytest.fixture
    def auth(self, make_plugin):
        return make_plugin(NoAuth)

    @pytest.fixture
    def credentials(self):
        return {}

    def test_it_is_open(self, auth):
        assert auth.OPEN

    def test_callers_are_administrators_by_default(self, auth):
        assert auth.identify(request()).roles == {'admin', 'member', 'reader'}

    def test_options_describe_the_caller(self, make_plugin):
        auth = make_plugin(NoAuth, project_id='lab', user_id='me', roles=['Member'])

        found = auth.identify(request())

        assert (found.project, found.user, found.roles) == ('lab', 'me', {'member'})

    def test_the_project_must_be_set(self, make_plugin):
        with pytest.raises(contract.Misconfigured):
            make_plugin(NoAuth, project_id='')
