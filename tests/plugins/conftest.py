"""Callers for plugins that use tokens."""

import functools

import pytest

from glancelite import contract


@pytest.fixture(scope='session')
def call(keystone):
    """Returns the context of a user.  Tests share the token; its catalog is the present one."""
    token_of = functools.cache(keystone.token)

    def make(user='alpha-member'):
        token = token_of(user)
        told = keystone.token_data(token)
        return contract.Context(
            user=told['user']['id'], project=told['project']['id'], token=token,
            roles=frozenset(role['name'] for role in told['roles']),
            catalog=tuple(told['catalog']))
    return make
