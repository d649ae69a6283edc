"""Who calls, for plugins that look at tokens."""

import pytest

from glancelite import contract


@pytest.fixture
def call(keystone):
    """The caller, as the Image service sees him; call it with a name."""
    def make(user='alpha-member'):
        token = keystone.token(user)
        told = keystone.token_data(token)
        return contract.Context(
            user=told['user']['id'], project=told['project']['id'], token=token,
            roles=frozenset(role['name'] for role in told['roles']),
            catalog=tuple(told['catalog']))
    return make
