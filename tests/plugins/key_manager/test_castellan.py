"""Castellan with a real Barbican: reads certificates, deletes keys, within a timeout."""

import concurrent.futures
import dataclasses
import functools
import socket
import time

import pytest
from oslo_config import cfg
from oslo_context import context

from glancelite import contract
from glancelite.plugins.key_manager.castellan import CastellanKeyManager
from glancelite.testing.contracts.key_manager import KeyManagerContract
from tests.plugins import signing
from tests.servers import process

UNKNOWN = '00000000-0000-4000-8000-000000000000'


@functools.cache
def certificate():
    return signing.certificate(signing.KEYS['RSA-PSS']())


@pytest.fixture
def make_castellan(make_plugin, keystone, barbican):
    """Builds one with options of ``[barbican]``, and others as ``section__name``."""
    def make(**options):
        conf = cfg.ConfigOpts()
        conf([], project='glancelite', default_config_files=[], default_config_dirs=[])
        for register in CastellanKeyManager.LIBRARY_OPTS:
            register(conf)
        for name, value in {'auth_endpoint': keystone.url, **options}.items():
            section, _, name = name.rpartition('__')
            conf.set_override(name, value, section or 'barbican')
        return make_plugin(CastellanKeyManager, conf=conf)
    return make


@pytest.fixture
def castellan(make_castellan):
    return make_castellan()


@pytest.fixture(scope='module')
def stored(keystone, barbican):
    """Id of the certificate, which belongs to the project ``alpha``."""
    return barbican.store(keystone.token('alpha-member'), signing.pem(certificate()),
                          secret_type='certificate')


class TestCastellan(KeyManagerContract):

    @pytest.fixture
    def key_manager(self, castellan):
        return castellan

    @pytest.fixture
    def caller(self, call):
        return call()

    @pytest.fixture
    def held(self, stored):
        return stored, signing.der(certificate())


class TestUnreachableBarbican(KeyManagerContract):

    @pytest.fixture
    def key_manager(self, make_castellan):
        return make_castellan(barbican_endpoint=f'http://127.0.0.1:{process.free_port()}')

    @pytest.fixture
    def caller(self, call):
        return call()


@pytest.mark.parametrize('options', [
    {'barbican_endpoint': None, 'barbican_region_name': 'RegionOne'},
    {'barbican_endpoint_type': 'internal'},
])
def test_barbican_is_found_in_the_catalog(make_castellan, call, stored, options):
    assert make_castellan(**options).certificate(call(), stored) == signing.der(certificate())


def test_the_option_for_barbicans_address_precedes_the_catalog(
        make_castellan, call, stored, barbican, caplog):
    found = make_castellan(barbican_endpoint=barbican.url, barbican_region_name='Nowhere')
    assert found.certificate(call(), stored) == signing.der(certificate())

    with pytest.raises(contract.Unavailable):
        make_castellan(barbican_region_name='Nowhere').certificate(call(), stored)
    assert 'Nowhere region not found' in caplog.text


@pytest.mark.parametrize('user', ['beta-member', 'alpha-reader'])
def test_barbican_decides_whether_the_caller_may(castellan, call, stored, user):
    for method in castellan.certificate, castellan.delete:
        with pytest.raises(contract.Forbidden):
            method(call(user), stored)


@pytest.mark.parametrize(('kind', 'payload'), [
    ('opaque', b'anything'), ('symmetric', b'0' * 32), ('certificate', b'not at all'),
    ('certificate', signing.der(certificate()))], ids=['opaque', 'key', 'text', 'DER'])
def test_an_object_that_is_not_a_certificate_is_invalid(castellan, call, keystone, barbican, kind,
                                                   payload):
    other = barbican.store(keystone.token('alpha-member'), payload, secret_type=kind)

    with pytest.raises(contract.Invalid):
        castellan.certificate(call(), other)


def test_a_key_is_deleted_permanently(castellan, call, keystone, barbican):
    token = keystone.token('alpha-member')
    key = barbican.store(token, b'0' * 32, secret_type='symmetric')

    castellan.delete(call(), key)

    assert not barbican.has(token, key)
    with pytest.raises(contract.NotFound):
        castellan.delete(call(), key)


def test_an_invalid_token_is_refused_and_not_logged(castellan, call, caplog):
    caller = dataclasses.replace(call(), token='gAAAAA-no-token')

    with pytest.raises(contract.Unavailable, match='is unavailable'):
        castellan.certificate(caller, UNKNOWN)

    assert 'gAAAAA-no-token' not in caplog.text


def test_a_caller_without_a_token_is_refused_without_a_request(castellan, caplog):
    with pytest.raises(contract.Unavailable):
        castellan.certificate(contract.Context(user='u', project='p'), UNKNOWN)

    assert 'the caller has none' in caplog.text


@pytest.mark.parametrize('option', ['auth_endpoint', 'barbican_endpoint'])
def test_a_service_that_does_not_answer_times_out(make_castellan, call, option):
    with socket.create_server(('127.0.0.1', 0)) as silent:
        url = f'http://127.0.0.1:{silent.getsockname()[1]}'
        found = make_castellan(**{option: url}, timeout=1)
        began = time.monotonic()

        with pytest.raises(contract.Unavailable):
            found.certificate(call(), UNKNOWN)

    assert time.monotonic() - began < 15


def test_an_unknown_backend_is_refused(make_castellan):
    with pytest.raises(contract.Misconfigured, match=r'\[key_manager\] backend = nothing'):
        make_castellan(key_manager__backend='nothing')


def test_only_barbican_deletes_keys(make_castellan, call):
    """Vault is used with the credentials of the service."""
    with pytest.raises(contract.Forbidden, match='Only Barbican'):
        make_castellan(key_manager__backend='vault').delete(call(), UNKNOWN)


def test_the_context_of_the_caller_does_not_stay_in_the_thread(castellan, call, stored):
    def ask():
        castellan.certificate(call(), stored)
        return context.get_current()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(ask).result() is None


def test_health_names_the_backend(castellan):
    assert castellan.health() == 'barbican, not checked until a key is needed'
