"""The credential plugin ``none`` has no credentials and no options."""

import pytest

from glancelite import contract
from glancelite.contract import CredentialSource
from glancelite.testing.contracts import CredentialContract


class TestNone(CredentialContract):

    @pytest.fixture
    def credential(self, host):
        return host.load(CredentialSource, 'none', 'cold')

    @pytest.mark.parametrize('long', [True, False])
    def test_there_is_no_credential(self, credential, context, long):
        assert credential.open(context(), long_running=long) is None
        assert credential.open(None, long_running=long) is None

    def test_there_is_no_session(self, credential):
        with pytest.raises(contract.Unsupported):
            credential.session()


def test_options_of_the_store_precede_those_of_all_stores_and_of_the_plugin(
        host, tmp_path):
    from oslo_config import cfg
    file = tmp_path / 'glancelite-api.conf'
    file.write_text('[cold]\nusername = mine\n'
                    '[backend_defaults]\nusername = all\nauth_url = http://all.example/v3\n'
                    '[credential:service]\nusername = own\nauth_url = http://own.example/v3\n'
                    'password = secret\nproject_name = service\nuser_domain_id = default\n'
                    'project_domain_id = default\n')
    host.conf = cfg.ConfigOpts()
    host.conf(['--config-file', str(file)], project='glancelite')

    options = host.load(CredentialSource, 'service', 'cold').options

    assert (options.username, options.auth_url, options.project_name) == (
        'mine', 'http://all.example/v3', 'service')
