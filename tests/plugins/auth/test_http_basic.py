"""The authenticator ``http_basic`` keeps the contract, and reads its file."""

import base64
import os

import bcrypt
import pytest
from oslo_config import cfg
from oslo_middleware import basic_auth

from glancelite import contract
from glancelite.plugins.auth import http_basic
from glancelite.plugins.auth.http_basic import HTTPBasic
from glancelite.testing.contracts.auth import IdentityContract, request


def hashed(password, cost=4):
    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode()


def basic(name, password):
    token = base64.b64encode(name.encode() + b':' + password).decode()
    return {'HTTP_AUTHORIZATION': f'Basic {token}'}


@pytest.fixture
def users(tmp_path):
    path = tmp_path / 'htpasswd'
    path.write_text('\n'.join([
        '# name:hash:project:roles', '', f'demo:{hashed(b"secret")}',
        f'ada:{hashed(b"pa:ss")}:lab', f'boss:{hashed(b"boss")}:lab:Admin, member']) + '\n')
    return path


@pytest.fixture
def make(make_plugin):
    def make(path, **options):
        conf = cfg.ConfigOpts()
        conf([])
        for register in HTTPBasic.LIBRARY_OPTS:
            register(conf)
        conf.set_override('http_basic_auth_user_file', str(path), group='oslo_middleware')
        return make_plugin(HTTPBasic, conf=conf, **options)
    return make


class TestHTTPBasic(IdentityContract):

    @pytest.fixture
    def auth(self, make, users):
        return make(users)

    @pytest.fixture
    def credentials(self):
        return basic('ada', b'pa:ss')

    def test_the_default_project_has_the_name_of_the_user(self, auth):
        found = auth.identify(request(**basic('demo', b'secret')))

        assert (found.user, found.project, found.roles) == ('demo', 'demo', {'member', 'reader'})

    def test_project_and_roles_are_those_of_the_line(self, auth):
        found = auth.identify(request(**basic('boss', b'boss')))

        assert (found.user, found.project, found.roles) == ('boss', 'lab', {'admin', 'member'})

    @pytest.mark.parametrize('headers', [
        basic('demo', b'wrong'), basic('nobody', b'secret'), basic('', b''), basic('demo', b''),
        basic('demo', b'secret\0'), basic('demo', b'\xff\xfe'), basic('# name', b'hash'), {}])
    def test_a_refusal_has_a_challenge(self, auth, headers):
        with pytest.raises(contract.Unauthenticated) as refused:
            auth.identify(request(**headers))

        assert refused.value.challenge == 'Basic realm="glancelite", charset="UTF-8"'

    def test_the_scheme_may_be_written_in_any_case(self, auth):
        header = basic('demo', b'secret')['HTTP_AUTHORIZATION'].replace('Basic', 'bAsIc ')

        assert auth.identify(request(HTTP_AUTHORIZATION=header)).user == 'demo'

    def test_an_unknown_name_takes_as_much_work_as_a_wrong_password(self, auth, monkeypatch):
        checked = []
        monkeypatch.setattr(auth, '_check_password', lambda *pair: checked.append(pair) or True)

        with pytest.raises(contract.Unauthenticated):
            auth.identify(request(**basic('nobody', b'secret')))

        assert len(checked) == 1

    def test_a_verified_password_is_cached(self, auth, monkeypatch):
        first = auth.identify(request(**basic('demo', b'secret')))
        monkeypatch.setattr(auth, '_check_password', None)

        assert auth.identify(request(**basic('demo', b'secret'))) == first

    def test_the_cache_expires(self, make, users, monkeypatch):
        auth = make(users, cache_time=0)
        auth.identify(request(**basic('demo', b'secret')))
        monkeypatch.setattr(auth, '_check_password', lambda *pair: False)

        with pytest.raises(contract.Unauthenticated):
            auth.identify(request(**basic('demo', b'secret')))

    def test_a_password_too_long_for_bcrypt_is_wrong_and_no_failure(self, make, tmp_path):
        path = tmp_path / 'htpasswd'
        path.write_text(f'demo:{hashed(b"x" * 72)}\n')
        auth = make(path)

        assert auth.identify(request(**basic('demo', b'x' * 72))).user == 'demo'
        with pytest.raises(contract.Unauthenticated):
            auth.identify(request(**basic('demo', b'x' * 73)))


class TestTheFile:

    @pytest.fixture(autouse=True)
    def no_wait(self, monkeypatch):
        monkeypatch.setattr(http_basic, 'CHECK_INTERVAL', 0.0)

    def test_a_change_applies_at_once_also_to_cached_passwords(self, make, users):
        auth = make(users)
        auth.identify(request(**basic('demo', b'secret')))

        users.write_text(f'demo:{hashed(b"new")}\n')

        assert auth.identify(request(**basic('demo', b'new'))).user == 'demo'
        with pytest.raises(contract.Unauthenticated):
            auth.identify(request(**basic('demo', b'secret')))

    def test_a_file_that_becomes_invalid_is_logged_once(self, make, users, caplog):
        auth = make(users)
        users.write_text('demo:plain text\n')

        for _ in range(3):
            assert auth.identify(request(**basic('demo', b'secret'))).user == 'demo'

        assert caplog.text.count('stay as they were') == 1
        assert 'plain text' not in caplog.text

    def test_the_users_stay_if_the_file_is_removed(self, make, users):
        auth = make(users)
        os.unlink(users)

        assert auth.identify(request(**basic('demo', b'secret'))).user == 'demo'

    @pytest.mark.parametrize('line', [
        'demo', 'demo:', 'demo:plain', 'demo:$apr1$x$y', f':{hashed(b"x")}',
        f'demo:{hashed(b"x")}:p:r:more', f'demo:{hashed(b"x")[:-1]}'], ids=str.__len__)
    def test_an_invalid_line_prevents_the_start(self, make, tmp_path, line):
        path = tmp_path / 'htpasswd'
        path.write_text(f'good:{hashed(b"x")}\n{line}\n')

        with pytest.raises(contract.Misconfigured, match='line 2'):
            make(path)

    def test_a_missing_file_prevents_the_start(self, make, tmp_path):
        with pytest.raises(contract.Misconfigured) as raised:
            make(tmp_path / 'none')

        assert str(raised.value) == (
            f'[oslo_middleware] http_basic_auth_user_file: {tmp_path}/none cannot be read: No '
            'such file or directory')

    def test_a_file_in_another_encoding_prevents_the_start(self, make, tmp_path):
        (tmp_path / 'htpasswd').write_bytes(b'# Caf\xe9\n')

        with pytest.raises(contract.Misconfigured, match='htpasswd is not in UTF-8'):
            make(tmp_path / 'htpasswd')

    def test_it_accepts_the_users_that_the_library_accepts(self, make, users):
        auth = make(users)
        plain = users.with_name('plain')
        plain.write_text(f'demo:{hashed(b"secret")}\n')

        for name, password in [('demo', b'secret'), ('demo', b'wrong'), ('de', b'secret')]:
            try:
                basic_auth.authenticate(str(plain), name, password)
                allowed = True
            except Exception:
                allowed = False
            try:
                auth.identify(request(**basic(name, password)))
                ours = True
            except contract.Unauthenticated:
                ours = False
            assert ours is allowed
