"""Callers for plugins that use tokens."""

import pytest

from glancelite import contract


@pytest.fixture
def call(keystone):
    """Returns the context of a user, with a token of Keystone."""
    def make(user='alpha-member'):
        token = keystone.token(user)
        told = keystone.token_data(token)
        return contract.Context(
            user=told['user']['id'], project=told['project']['id'], token=token,
            roles=frozenset(role['name'] for role in told['roles']),
            catalog=tuple(told['catalog']))
    return make
