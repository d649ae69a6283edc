"""A real Keystone, and who calls through it."""

import json
import urllib.request

import pytest

from glancelite import contract


@pytest.fixture
def account(keystone):
    """Options of the service's own account: name -> value."""
    return {'auth_url': keystone.url, 'username': 'glance', 'password': 'password',
            'project_name': 'service'}


@pytest.fixture
def call(keystone):
    """The caller, as the Image service sees him; call it with a name."""
    def make(user='alpha-member'):
        token = keystone.token(user)
        told = keystone.told(token)
        return contract.Context(
            user=told['user']['id'], project=told['project']['id'], token=token,
            roles=frozenset(role['name'] for role in told['roles']),
            catalog=tuple(told['catalog']))
    return make


@pytest.fixture
def trusts(keystone):
    """Ids of all trusts of a caller; call it with him."""
    def trusts(ctx):
        request = urllib.request.Request(
            f'{keystone.url}/OS-TRUST/trusts?trustor_user_id={ctx.user}',
            headers={'X-Auth-Token': ctx.token})
        with urllib.request.urlopen(request) as reply:
            return [trust['id'] for trust in json.load(reply)['trusts']]
    return trusts
