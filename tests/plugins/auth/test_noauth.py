"""The authenticator ``noauth`` keeps the contract, and lets everybody in as one caller."""

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

    def test_everybody_may_administer_unless_told_otherwise(self, auth):
        assert auth.identify(request()).roles == {'admin', 'member', 'reader'}

    def test_the_operator_says_who_everybody_is(self, make_plugin):
        auth = make_plugin(NoAuth, project_id='lab', user_id='me', roles=['Member'])

        found = auth.identify(request())

        assert (found.project, found.user, found.roles) == ('lab', 'me', {'member'})

    def test_images_need_an_owner(self, make_plugin):
        with pytest.raises(contract.Misconfigured):
            make_plugin(NoAuth, project_id='')
