"""The caller's token, or a trust for long operations."""

import dataclasses
import logging

import pytest

from glancelite import contract
from glancelite.contract import CredentialSource
from glancelite.testing.contracts import CredentialContract


class TestCaller(CredentialContract):

    @pytest.fixture
    def credential(self, host):
        return host.load(CredentialSource, 'caller', 'cold')

    @pytest.fixture
    def caller(self, call):
        return call()

    @pytest.fixture
    def service_type(self):
        return 'image'


class TestTrustedCaller(TestCaller):

    @pytest.fixture
    def credential(self, host, account):
        return host.load(CredentialSource, 'caller', 'cold', account)


@pytest.fixture
def trusting(host, account):
    return host.load(CredentialSource, 'caller', 'cold', account)


@pytest.fixture
def alone(host):
    return host.load(CredentialSource, 'caller', 'cold')


@pytest.mark.parametrize('source', ['trusting', 'alone'])
def test_short_operations_use_the_callers_token(request, source, call):
    ctx = call()

    found = request.getfixturevalue(source).open(ctx)
    found.invalidate()

    assert (found.token(), found.project) == (ctx.token, ctx.project)


def test_long_operations_use_a_trust(trusting, keystone, call, trusts):
    ctx = call()
    found = trusting.open(ctx, long_running=True)

    told = keystone.token_data(found.token())

    assert found.token() != ctx.token
    assert told['user']['id'] == ctx.user
    assert told['project']['id'] == found.project == ctx.project
    assert {role['name'] for role in told['roles']} == ctx.roles
    assert len(trusts(ctx)) == 1
    found.close()
    assert trusts(ctx) == []


def test_a_trust_outlives_the_callers_token(trusting, keystone, call, trusts):
    ctx = call()
    found = trusting.open(ctx, long_running=True)
    first = found.token()

    # not revoked: that ends more in Keystone than a token which is too old
    found._caller._token = 'expired'
    found.invalidate()
    second = found.token()
    told = keystone.token_data(second)
    found.close()

    assert first != second
    assert told['user']['id'] == ctx.user
    assert trusts(ctx) == []


def test_without_an_account_long_operations_use_the_callers_token(alone, call):
    ctx = call()

    assert alone.open(ctx, long_running=True).token() == ctx.token


@pytest.mark.parametrize('broken', ['roles', 'password'])
def test_without_a_trust_long_operations_use_the_callers_token(
        host, account, call, trusts, broken, caplog):
    caplog.set_level(logging.DEBUG)
    ctx = call()
    asking, given = ctx, dict(account)
    if broken == 'roles':
        asking = dataclasses.replace(ctx, roles=frozenset({'no-such-role'}))
    else:
        given['password'] = 'a-wrong-one'

    found = host.load(CredentialSource, 'caller', 'cold', given).open(asking, long_running=True)

    assert found.token() == ctx.token
    found.close()
    assert trusts(ctx) == []
    assert ctx.token not in caplog.text
    assert 'a-wrong-one' not in caplog.text


def test_operations_without_a_caller_use_the_account(trusting, alone, context, keystone):
    for ctx in (None, context()):
        assert trusting.open(ctx).project == keystone.projects['service']
        with pytest.raises(contract.Unsupported):
            alone.open(ctx)


def test_endpoints_are_selected_by_region_and_interface(alone, context):
    catalog = [{'type': 'image', 'endpoints': []}, {'type': 'object-store', 'endpoints': [
        {'interface': interface, 'region': region, 'url': f'http://{region}/{interface}/'}
        for region in ('north', 'south') for interface in ('public', 'internal')]}]
    found = alone.open(context(token='x', catalog=catalog))

    assert found.endpoint('object-store') == 'http://north/public'
    assert found.endpoint('object-store', interface='internalURL',
                          region='south') == 'http://south/internal'
    with pytest.raises(contract.Unavailable):
        found.endpoint('object-store', interface='admin')
