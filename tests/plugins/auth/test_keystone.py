"""The authenticator ``keystone`` keeps the contract with a real Keystone."""

import contextlib
import datetime
import sys
import time
import types
import urllib.request

import pytest
from oslo_config import cfg

from glancelite import contract
from glancelite.plugins.auth.keystone import GROUP, Keystone
from glancelite.testing.contracts.auth import IdentityContract, request

#: no server listens here
UNREACHABLE = {'auth_type': 'password', 'auth_url': 'http://127.0.0.1:9/v3', 'username': 'glance',
        'password': 'x', 'user_domain_id': 'default', 'project_name': 'service',
        'project_domain_id': 'default', 'http_request_max_retries': '0'}


@pytest.fixture
def make(make_plugin, tmp_path):
    """``make({'auth_url': ...}, allow_anonymous_access=True)``."""
    def make(authtoken, **options):
        config = tmp_path / 'service.conf'
        config.write_text('\n'.join(
            [f'[{GROUP}]', *(f'{name} = {value}' for name, value in authtoken.items())]))
        conf = cfg.ConfigOpts()
        conf(['--config-file', str(config)])
        for register in Keystone.LIBRARY_OPTS:
            register(conf)
        return make_plugin(Keystone, conf=conf, **options)
    return make


@pytest.fixture(scope='module')
def token(keystone):
    return keystone.token('alpha-member')


@pytest.fixture(scope='module')
def expired_token(keystone, token):
    """A token expires with the application credential that it was created with."""
    path = f'/users/{keystone.users["alpha-member"]}/application_credentials'
    for seconds in (2, 30):     # if this machine is too slow for the first
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        made, _ = keystone._call('POST', path, {'application_credential': {
            'name': f'for {seconds} s', 'expires_at': ends.strftime('%Y-%m-%dT%H:%M:%S')}}, token)
        account = {name: made['application_credential'][name] for name in ('id', 'secret')}
        with contextlib.suppress(RuntimeError):
            _, headers = keystone._call('POST', '/auth/tokens', {'auth': {'identity': {
                'methods': ['application_credential'], 'application_credential': account}}})
            break
    time.sleep(max(0, (ends - datetime.datetime.now(datetime.UTC)).total_seconds()))
    return headers['X-Subject-Token']


class TestKeystone(IdentityContract):

    @pytest.fixture
    def auth(self, make, keystone):
        return make(keystone.authtoken())

    @pytest.fixture
    def credentials(self, token):
        return {'HTTP_X_AUTH_TOKEN': token}

    def test_the_caller_is_the_one_of_the_token(self, auth, keystone, token):
        found = auth.identify(request(HTTP_X_AUTH_TOKEN=token))

        assert (found.user, found.user_name) == (keystone.users['alpha-member'], 'alpha-member')
        assert (found.project, found.project_name) == (keystone.projects['alpha'], 'alpha')
        assert (found.user_domain, found.project_domain) == ('default', 'default')
        assert found.roles == {'member', 'reader'}
        assert (found.system_scope, found.domain) == (None, None)
        assert found.token == token
        assert {service['type'] for service in found.catalog} >= {'identity', 'image'}

    def test_the_older_name_of_the_header_works(self, auth, token):
        assert auth.identify(request(HTTP_X_STORAGE_TOKEN=token)).user_name == 'alpha-member'

    @pytest.mark.parametrize('headers', [
        {}, {'HTTP_X_AUTH_TOKEN': 'nonsense'}, {'HTTP_X_AUTH_TOKEN': 'gAAAAAB' + 'x' * 180},
        {'HTTP_X_SERVICE_TOKEN': 'nonsense'}])
    def test_a_refusal_names_the_identity_service(self, auth, keystone, headers):
        with pytest.raises(contract.Unauthenticated) as refused:
            auth.identify(request(**headers))

        assert refused.value.challenge == f'Keystone uri="{keystone.url}"'

    def test_a_service_token_adds_its_roles(self, auth, keystone, token):
        found = auth.identify(request(HTTP_X_AUTH_TOKEN=token,
                                      HTTP_X_SERVICE_TOKEN=keystone.token('glance')))

        assert found.user_name == 'alpha-member'
        assert found.roles == {'member', 'reader'}
        assert found.service_roles == {'service'}

    @pytest.mark.parametrize('who', [None, 'beta-reader'])
    def test_a_token_without_the_service_role_adds_nothing(self, auth, keystone, token, who):
        service = keystone.token(who) if who else 'nonsense'

        found = auth.identify(request(HTTP_X_AUTH_TOKEN=token, HTTP_X_SERVICE_TOKEN=service))

        assert found.user_name == 'alpha-member'
        assert found.service_roles == frozenset()

    def test_an_expired_token_is_valid_with_a_service_token(self, auth, keystone,
                                                                     expired_token):
        service = keystone.token('glance')
        for _ in range(2):      # caches change nothing
            with pytest.raises(contract.Unauthenticated):
                auth.identify(request(HTTP_X_AUTH_TOKEN=expired_token))

            found = auth.identify(request(HTTP_X_AUTH_TOKEN=expired_token,
                                          HTTP_X_SERVICE_TOKEN=service))

            assert found.user_name == 'alpha-member'
            assert found.service_roles == {'service'}

    @pytest.mark.parametrize('who', ['beta-member', 'admin'])
    def test_an_expired_token_is_invalid_with_a_token_of_others(
            self, auth, keystone, expired_token, who):
        with pytest.raises(contract.Unauthenticated):
            auth.identify(request(HTTP_X_AUTH_TOKEN=expired_token,
                                  HTTP_X_SERVICE_TOKEN=keystone.token(who)))

    @pytest.mark.parametrize('serviced', [False, True])
    def test_a_token_for_the_system_has_its_scope(self, auth, keystone, serviced):
        headers = {'HTTP_X_AUTH_TOKEN': keystone.token('admin', system=True)}
        if serviced:    # whose scope is a project
            headers['HTTP_X_SERVICE_TOKEN'] = keystone.token('glance')

        found = auth.identify(request(**headers))

        assert (found.system_scope, found.project) == ('all', None)

    def test_anonymous_callers_can_read_if_the_option_is_set(self, make, keystone):
        auth = make(keystone.authtoken(), allow_anonymous_access=True)

        for headers in ({}, {'HTTP_X_AUTH_TOKEN': 'nonsense'}):
            assert auth.identify(request(**headers)) == contract.Context(read_only=True)

    def test_a_revoked_token_is_refused_without_a_cache(self, make, keystone):
        auth = make({**keystone.authtoken(), 'token_cache_time': '-1'})
        token = keystone.token('alpha-reader')
        assert auth.identify(request(HTTP_X_AUTH_TOKEN=token)).user_name == 'alpha-reader'

        urllib.request.urlopen(urllib.request.Request(
            f'{keystone.url}/auth/tokens', method='DELETE',
            headers={'X-Auth-Token': token, 'X-Subject-Token': token})).close()

        with pytest.raises(contract.Unauthenticated):
            auth.identify(request(HTTP_X_AUTH_TOKEN=token))

    def test_a_wrong_account_of_the_service_means_unavailable(self, make, keystone,
                                                                       token):
        auth = make({**keystone.authtoken(), 'password': 'wrong'})

        with pytest.raises(contract.Unavailable):
            auth.identify(request(HTTP_X_AUTH_TOKEN=token))

    def test_health_checks_the_account_of_the_service(self, make, keystone):
        assert make(keystone.authtoken()).health() == f'authenticated at {keystone.url}'
        with pytest.raises(contract.Unavailable, match='rejects the account of this service'):
            make({**keystone.authtoken(), 'password': 'wrong'}).health()

    def test_a_cached_caller_takes_little_time(self, auth, token):
        environ = request(HTTP_X_AUTH_TOKEN=token)
        auth.identify(environ)

        times = []
        for _ in range(5):
            start = time.thread_time()
            for _ in range(1000):
                auth.identify(environ)
            times.append(time.thread_time() - start)

        assert min(times) < 0.05      # the middleware alone needs 0.2 s


class TestUnreachable:

    def test_the_start_does_not_need_keystone(self, make):
        assert make(UNREACHABLE)

    def test_health_reports_it(self, make):
        with pytest.raises(contract.Unavailable, match='9/v3 does not answer'):
            make(UNREACHABLE).health()

    @pytest.mark.parametrize('anonymous', [False, True])
    def test_a_token_cannot_be_validated(self, make, anonymous):
        auth = make(UNREACHABLE, allow_anonymous_access=anonymous)

        with pytest.raises(contract.Unavailable):
            auth.identify(request(HTTP_X_AUTH_TOKEN='gAAAAAB-some-token'))

    def test_a_request_without_a_token_gets_the_challenge_nevertheless(self, make):
        with pytest.raises(contract.Unauthenticated) as refused:
            make(UNREACHABLE).identify(request())

        assert refused.value.challenge == 'Keystone uri="http://127.0.0.1:9/v3"'

    def test_the_challenge_has_the_public_address_if_it_is_set(self, make):
        auth = make({**UNREACHABLE, 'www_authenticate_uri': 'https://identity.example'})

        with pytest.raises(contract.Unauthenticated) as refused:
            auth.identify(request())

        assert refused.value.challenge == 'Keystone uri="https://identity.example"'

    def test_without_an_account_the_service_does_not_start(self, make):
        with pytest.raises(contract.Misconfigured, match='auth_type'):
            make({})

    def test_the_account_can_be_in_another_section(self, make, tmp_path):
        section = {name: value for name, value in UNREACHABLE.items() if name.startswith('auth')}

        auth = make({'auth_section': 'account\n[account]', **section})

        assert auth.conf['account'].auth_url == UNREACHABLE['auth_url']

    @pytest.mark.parametrize(('module', 'package', 'options'), [
        ('memcache', 'python-memcached', {}),
        ('bmemcached', 'python-binary-memcached', {'memcache_tls_enabled': 'true'}),
        ('bmemcached', 'python-binary-memcached', {'memcache_sasl_enabled': 'true'}),
    ])
    def test_the_start_needs_the_library_of_a_cache_in_memcached(
            self, make, monkeypatch, module, package, options):
        cached = {**UNREACHABLE, 'memcached_servers': '127.0.0.1:1', **options}
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        assert make(cached)

        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(contract.Misconfigured, match=f'needs the library {package}, '):
            make(cached)


class TestResultOfTheMiddleware:
    """Tokens that are hard to get from a Keystone, as the middleware would report them."""

    @pytest.fixture
    def info(self, host):
        return {'expires_at': (host.now() + datetime.timedelta(hours=1)).isoformat()}

    @pytest.fixture
    def found(self):
        return {'HTTP_X_IDENTITY_STATUS': 'Confirmed', 'HTTP_X_PROJECT_ID': 'p'}

    @pytest.fixture
    def asked(self):
        return []

    @pytest.fixture
    def auth(self, make, monkeypatch, info, found, asked):
        def middleware(environ, start_response):
            asked.append(environ)
            environ.update(found)
            environ['keystone.token_info'] = {'token': info}

        auth = make(UNREACHABLE)
        monkeypatch.setattr(auth, '_middleware', middleware)
        return auth

    def ask(self, auth):
        return auth.identify(request(HTTP_X_AUTH_TOKEN='t'))

    def test_roles_are_lower_case(self, auth, found):
        found['HTTP_X_ROLES'] = 'Member, READER,'

        assert self.ask(auth).roles == {'member', 'reader'}

    def test_roles_of_a_service_that_is_not_confirmed_do_not_count(self, auth, found):
        found.update(HTTP_X_SERVICE_ROLES='service', HTTP_X_SERVICE_IDENTITY_STATUS='Invalid')

        assert self.ask(auth).service_roles == frozenset()

    def test_a_token_for_a_domain_has_its_scope(self, auth, found):
        found['HTTP_X_DOMAIN_ID'] = 'd'

        assert self.ask(auth).domain == 'd'

    @pytest.mark.parametrize('catalog', [None, 'nonsense', 7])
    def test_an_invalid_catalog_is_omitted(self, auth, info, catalog):
        info['catalog'] = catalog

        assert self.ask(auth).catalog is None

    def test_an_error_of_the_middleware_means_unavailable(self, auth,
                                                                           monkeypatch):
        def fail(environ, start_response):
            raise KeyError('interface')
        monkeypatch.setattr(auth, '_middleware', fail)

        with pytest.raises(contract.Unavailable):
            self.ask(auth)

    def test_a_caller_is_cached(self, auth, asked):
        assert self.ask(auth) is self.ask(auth)
        assert len(asked) == 1

    @pytest.mark.parametrize('special', [
        {'bind': {'kerberos': 'u'}}, {'application_credential': {'access_rules': []}},
        {'expires_at': '2025-12-31T23:59:59Z'}])
    def test_a_token_that_is_valid_for_some_requests_only_is_validated_each_time(
            self, auth, info, asked, special):
        info.update(special)

        self.ask(auth)
        self.ask(auth)

        assert len(asked) == 2

    def test_the_service_token_is_part_of_the_key(self, auth, asked):
        self.ask(auth)
        auth.identify(request(HTTP_X_AUTH_TOKEN='t', HTTP_X_SERVICE_TOKEN='s'))

        assert len(asked) == 2
