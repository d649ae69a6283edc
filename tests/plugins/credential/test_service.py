"""The service's own account: one token for all, renewed in time; secrets stay secret."""

import concurrent.futures
import json
import logging
import urllib.request

import pytest

from glancelite import contract
from glancelite.contract import CredentialSource
from glancelite.plugins.credential.service import ServiceCredential
from glancelite.testing.contracts import CredentialContract
from tests.servers import process


class TestPassword(CredentialContract):

    @pytest.fixture
    def credential(self, host, account):
        return host.load(CredentialSource, 'service', 'cold', account)

    @pytest.fixture
    def service_type(self):
        return 'image'


class TestThirdVersion(TestPassword):

    @pytest.fixture
    def account(self, account):
        return {**account, 'auth_type': 'v3password', 'user_domain_name': 'Default',
                'project_domain_id': 'default'}


class TestApplicationCredential(CredentialContract):

    @pytest.fixture
    def made(self, keystone):
        """An application credential of a user."""
        token = keystone.token('alpha-member')
        request = urllib.request.Request(
            f'{keystone.url}/users/{keystone.users["alpha-member"]}/application_credentials',
            headers={'X-Auth-Token': token, 'Content-Type': 'application/json'}, method='POST',
            data=json.dumps({'application_credential': {'name': 'images'}}).encode())
        with urllib.request.urlopen(request) as reply:
            found = json.load(reply)['application_credential']
        yield found
        urllib.request.urlopen(urllib.request.Request(
            f'{request.full_url}/{found["id"]}', method='DELETE',
            headers={'X-Auth-Token': token})).close()

    @pytest.fixture
    def credential(self, host, keystone, made):
        # projects of other options, such as those of [backend_defaults], must be ignored
        return host.load(CredentialSource, 'service', 'cold', {
            'auth_type': 'v3applicationcredential', 'auth_url': keystone.url,
            'application_credential_id': made['id'], 'project_name': 'service',
            'application_credential_secret': made['secret']})

    @pytest.fixture
    def service_type(self):
        return 'image'

    def test_it_uses_the_project_of_the_application_credential(self, credential, keystone):
        assert credential.open(None).project == keystone.projects['alpha']


class TestSwiftWithoutKeystone(CredentialContract):

    @pytest.fixture
    def credential(self, host, swift):
        return host.load(CredentialSource, 'service', 'cold', {
            'auth_type': 'v1password', 'auth_url': swift.auth_url, 'username': 'test:tester',
            'password': 'testing'})

    def test_finds_the_endpoint_of_a_service_or_is_unavailable(self, credential, swift):
        found = credential.open(None)

        assert found.endpoint('object-store', region='anywhere') == f'{swift.url}/v1/AUTH_test'
        with pytest.raises(contract.Unavailable):
            found.endpoint('image')


@pytest.fixture
def source(host, account):
    return host.load(CredentialSource, 'service', 'cold', account)


def test_the_token_is_that_of_the_account(source, keystone):
    found = source.open(None)

    told = keystone.token_data(found.token())

    assert told['user']['name'] == 'glance'
    assert found.project == told['project']['id'] == keystone.projects['service']


def test_all_operations_share_a_token(source, call):
    tokens = {source.open(caller).token() for caller in (None, None, call(), call('beta-reader'))}

    assert len(tokens) == 1


def test_a_rejected_token_is_replaced_once(source):
    operations = [source.open(None) for _ in range(8)]
    old = {operation.token() for operation in operations}
    seen = []

    def again(operation):
        operation.invalidate()
        token = operation.token()
        seen.append(token)
        return token

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        new = set(pool.map(again, operations))

    assert len(old) == len(new) == 1
    assert old != new


def test_a_token_that_expires_soon_is_replaced(host, account):
    # tokens live for an hour
    source = host.load(CredentialSource, 'service', 'cold', {**account, 'expire_soon': 7200})
    found = source.open(None)

    assert found.token() != found.token()


def test_options_are_read_from_the_section(host, keystone, tmp_path):
    from oslo_config import cfg
    file = tmp_path / 'conf'
    file.write_text(f'[backend_defaults]\nauth_url = {keystone.url}\nusername = glance\n'
                    '[cold]\nproject_name = service\npassword = password\n')
    host.conf = cfg.ConfigOpts()
    host.conf([], default_config_files=[str(file)])

    assert host.load(CredentialSource, 'service', 'cold').open(None).token()


@pytest.mark.parametrize(('wrong', 'sentence'), [
    ({'auth_url': None}, 'auth_url must be set'),
    ({'auth_type': 'nothing'}, "'nothing' is not installed"),
    ({'auth_type': 'v1password', 'password': None}, 'v1password requires password'),
    ({'auth_type': 'v3applicationcredential'}, 'an application credential'),
    ({'auth_type': 'v3applicationcredential', 'application_credential_id': 'x'},
     'an auth secret'),
])
def test_insufficient_options_are_refused_with_a_sentence(host, account, wrong, sentence):
    with pytest.raises(contract.Misconfigured, match=sentence):
        host.load(CredentialSource, 'service', 'cold', {**account, **wrong})


@pytest.mark.parametrize('auth_type', ['password', 'v3password'])
@pytest.mark.parametrize('wrong', [{'password': 'a-wrong-one'}, {'username': 'nobody'},
                                   {'project_name': 'nowhere'}])
def test_a_wrong_account_means_unavailable_and_secrets_stay_secret(host, account, wrong, auth_type,
                                                            caplog):
    caplog.set_level(logging.DEBUG)
    source = host.load(CredentialSource, 'service', 'cold',
                       {**account, **wrong, 'auth_type': auth_type})

    for ask in (lambda: source.open(None), source.health):
        with pytest.raises(contract.Unavailable) as refused:
            ask()

        texts = [str(refused.value), str(refused.value.details), repr(refused.value)]
        assert account['auth_url'] not in ' '.join(texts)
        assert wrong.get('password', 'a-wrong-one') not in ' '.join([*texts, caplog.text])


def test_the_start_does_not_need_the_identity_service(host, account):
    source = host.load(CredentialSource, 'service', 'cold', {
        **account, 'auth_url': f'http://127.0.0.1:{process.free_port()}/v3', 'timeout': 5})

    for ask in (lambda: source.open(None), source.health):
        with pytest.raises(contract.Unavailable, match='does not answer'):
            ask()


def test_secrets_are_marked():
    secrets = {opt.dest for opt in ServiceCredential.OPTS if opt.secret}

    assert secrets == {'password', 'application_credential_id', 'application_credential_secret'}
