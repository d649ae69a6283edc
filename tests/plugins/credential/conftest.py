"""A real Keystone, and its users."""

import json
import urllib.request

import pytest


@pytest.fixture
def account(keystone):
    """Options of the service's own account: name -> value."""
    return {'auth_url': keystone.url, 'username': 'glance', 'password': 'password',
            'project_name': 'service'}


@pytest.fixture
def trusts(keystone):
    """Returns the ids of all trusts of a caller."""
    def trusts(ctx):
        request = urllib.request.Request(
            f'{keystone.url}/OS-TRUST/trusts?trustor_user_id={ctx.user}',
            headers={'X-Auth-Token': ctx.token})
        with urllib.request.urlopen(request) as reply:
            return [trust['id'] for trust in json.load(reply)['trusts']]
    return trusts
