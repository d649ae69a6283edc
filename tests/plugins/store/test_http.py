"""The store ``http`` reads from web servers and detects wrong responses."""

import logging
import socket

import pytest
from oslo_config import cfg

from glancelite import contract
from glancelite.plugins.store.http import HTTPStore
from glancelite.support import outbound
from glancelite.testing.contracts.store.failures import BrokenBackendContract
from glancelite.testing.contracts.store.reading import ReadingContract
from glancelite.testing.contracts.store.toolbox import pattern
from tests.plugins.store.reference import reference
from tests.servers import hostile_web, process
from tests.servers.hostile_web import DATA

pytestmark = pytest.mark.filterwarnings('ignore:Unverified HTTPS request')
SAMPLE = pattern(3 * 65536 + 7)


@pytest.fixture
def make_store(make_plugin):
    """Build a store; without ``rules`` it may connect to loopback."""
    def make(rules=None, **options):
        conf = cfg.ConfigOpts()
        for register in HTTPStore.LIBRARY_OPTS:
            register(conf)
        defaults = {'allowed_hosts': ['127.0.0.1', 'localhost'], 'allowed_ports': []}
        for name, value in (defaults if rules is None else rules).items():
            conf.set_override(name, value, group=outbound.SECTION)
        return make_plugin(HTTPStore, conf=conf, **options)
    return make


@pytest.fixture
def store(make_store):
    return make_store(http_read_timeout=2)


class HTTPContract(ReadingContract):
    """``base`` is the URL of the files of nginx."""

    @pytest.fixture
    def store(self, make_store, nginx):
        return make_store({'allowed_hosts': ['127.0.0.1', 'localhost'],
                           'allowed_ports': [nginx.port, nginx.tls_port]},
                          https_ca_certificates_file=str(nginx.certificate))

    @pytest.fixture
    def sample(self, nginx, base):
        return base + nginx.put('sample', SAMPLE), SAMPLE

    @pytest.fixture
    def missing(self, base):
        return f'{base}/missing'


class TestHTTP(HTTPContract):

    @pytest.fixture
    def base(self, nginx):
        return nginx.url


class TestHTTPS(HTTPContract):

    @pytest.fixture
    def base(self, nginx):
        return nginx.tls_url


class TestServerWithoutRanges(HTTPContract):

    @pytest.fixture
    def base(self, nginx):
        return f'{nginx.url}/whole'


class TestServerWithPassword(HTTPContract):

    @pytest.fixture
    def base(self, nginx):
        return f'http://reader:secret@127.0.0.1:{nginx.port}/private'

    @pytest.fixture
    def adoptable(self, nginx, sample):
        return f'{nginx.url}/sample', sample[1]


class TestServerThatIsDown(BrokenBackendContract):

    @pytest.fixture
    def broken(self, make_store):
        return make_store(http_proxy_information={'ftp': 'http://user:hidden@127.0.0.1:9'})

    @pytest.fixture
    def broken_url(self):
        return f'http://127.0.0.1:{process.free_port()}/image'

    def test_without_a_backend_health_fails(self, broken):
        """There is no single backend that could be down."""
        assert broken.health()


# --- options and capabilities

def test_the_store_is_read_only(store):
    assert 'write' not in store.CAPABILITIES
    with pytest.raises(contract.ReadOnly):
        store.write('key', iter([b'1']))
    with pytest.raises(contract.ReadOnly):
        store.delete('http://127.0.0.1/x')


def test_two_instances_claim_the_same_resource(make_store):
    assert set(make_store().exclusive_resources()) & set(make_store().exclusive_resources())


def test_the_options_are_those_of_glance():
    found = {opt.dest: opt.default for opt in HTTPStore.OPTS}

    assert found == {'https_ca_certificates_file': None, 'https_insecure': True,
                     'http_proxy_information': {}, 'http_connect_timeout': 10,
                     'http_read_timeout': 60}


@pytest.mark.parametrize(('options', 'checked'), [
    ({}, False), ({'https_insecure': True}, False), ({'https_insecure': False}, True),
    ({'https_ca_certificates_file': '{certificate}'}, True)])
def test_a_store_that_checks_no_certificates_logs_a_warning(make_store, nginx, caplog, options,
                                                            checked):
    options = {key: value.format(certificate=nginx.certificate) if value and value is not True
               else value for key, value in options.items()}
    with caplog.at_level(logging.WARNING):
        store = make_store(**options)

    assert store.health() == ('read-only; certificates are '
                              + ('checked' if checked else 'not checked'))
    assert ['https_insecure = false' in record.getMessage()
            for record in caplog.records] == [True] * (not checked)


@pytest.mark.parametrize(('options', 'host', 'served'), [
    ({}, 'localhost', True), ({}, '127.0.0.1', True),
    ({'https_insecure': False}, 'localhost', False),
    ({'https_ca_certificates_file': '{certificate}'}, 'localhost', True),
    ({'https_ca_certificates_file': '{certificate}'}, '127.0.0.1', False),
    ({'https_ca_certificates_file': '{certificate}', 'https_insecure': False}, 'localhost', True)])
def test_certificates_are_checked_as_configured(make_store, nginx, options, host, served):
    options = {key: value.format(certificate=nginx.certificate) if value else value
               for key, value in options.items()}
    store = make_store(**options)
    url = f'https://{host}:{nginx.tls_port}{nginx.put("tls", b"12345")}'

    if served:
        assert (store.size(url), b''.join(store.read(url))) == (5, b'12345')
    else:
        for ask in (store.read, store.size):
            with pytest.raises(contract.Unavailable):
                ask(url)


def test_invalid_options_prevent_the_start(make_store):
    for options in ({'https_ca_certificates_file': '/nonexistent'},
                    {'http_proxy_information': {'http': 'ftp://me:secret@proxy'}}):
        with pytest.raises(contract.Misconfigured) as refused:
            make_store(**options)

        assert 'secret' not in str(refused.value)
        assert all(option in str(refused.value) for option in options)


def test_it_reads_through_a_proxy(make_store, nginx):
    with hostile_web.proxy() as proxy:
        store = make_store(http_proxy_information={'http': f'127.0.0.1:{proxy.port}'})
        url = nginx.url + nginx.put('proxied', b'12345')

        assert b''.join(store.read(url, offset=1, length=3)) == b'234'
        assert [request.path for request in proxy.requests] == [url]


# --- locations of users

def test_a_location_is_recorded_as_given(store):
    for url in ('http://127.0.0.1/x', 'https://127.0.0.1:8443/a%20b?c=d', 'http://localhost'):
        assert store.adopt(url) == url


def test_a_fragment_is_recorded_and_not_sent(store, hostile):
    urls = [f'{hostile.url}/data#{number}' for number in (1, 2)]

    assert [store.adopt(url) for url in urls] == urls
    for url in urls:
        assert (store.size(url), b''.join(store.read(url))) == (5000, DATA)
    assert {request.path for request in hostile.requests} == {'/data'}


@pytest.mark.parametrize('url', [
    'file:///etc/passwd', 'ftp://127.0.0.1/x', 'swift+http://127.0.0.1/x', 'http://', 'x',
    'http://127.0.0.1/\n', 'http://169.254.169.254/', 'http://user:secret@127.0.0.1/x'])
def test_a_location_that_is_forbidden_or_has_a_secret_is_refused(store, url):
    with pytest.raises(contract.Invalid) as refused:
        store.adopt(url)

    assert 'secret' not in str(refused.value)


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost', '0x7f000001', '[::1]',
                                  '169.254.169.254', '[::ffff:169.254.169.254]'])
def test_loopback_and_link_local_are_refused_by_default(make_store, host):
    store = make_store({})

    for ask in (store.adopt, store.read, store.size):
        with pytest.raises(contract.Invalid):
            ask(f'http://{host}/x')


def test_a_port_must_be_allowed(make_store, nginx):
    store = make_store({'allowed_hosts': ['127.0.0.1']})

    for ask in (store.adopt, store.read, store.size):
        with pytest.raises(contract.Invalid):
            ask(f'{nginx.url}/x')


def test_adopting_opens_nothing(store, hostile):
    store.adopt(f'{hostile.url}/data')

    assert (hostile.requests, hostile.connections) == ([], 0)


def test_the_store_owns_all_http_urls(store):
    assert all(map(store.owns, ('http://x/y', 'https://x/y', 'HTTP://x')))
    assert not any(map(store.owns, ('http:x', 'http+x://y', 'file:///http://x', 'http')))


# --- misbehaving servers

@pytest.mark.parametrize('path', [
    '/data', '/no-range', '/no-range-and-length', '/chunked', '/chunked-and-length',
    '/head-refused', '/head-of-zero', '/hops/2/307'])
@pytest.mark.parametrize(('offset', 'length'), [
    (0, None), (0, 0), (0, 1), (7, 100), (4999, None), (5000, None), (5000, 3), (4990, 100)])
def test_a_range_is_correct_for_every_kind_of_response(store, hostile, path, offset, length):
    url = hostile.url + path

    assert b''.join(store.read(url, offset=offset, length=length)) == DATA[offset:][:length]


def test_an_empty_range_beyond_an_unknown_size_is_an_error(store, hostile):
    with pytest.raises(contract.Unavailable):
        store.read(f'{hostile.url}/chunked', offset=1, length=0)


@pytest.mark.parametrize('path', ['/data', '/no-range', '/no-range-and-length', '/chunked'])
def test_an_offset_beyond_the_end_is_reported_before_the_first_chunk(store, hostile, path):
    with pytest.raises(contract.RangeNotSatisfiable) as failure:
        store.read(hostile.url + path, offset=5001)

    assert failure.value.size == 5000


@pytest.mark.parametrize('path', ['/data', '/no-range', '/head-refused', '/head-of-zero',
                                  '/hops/2/307', '/short'])
def test_the_size_is_determined(store, hostile, path):
    assert store.size(hostile.url + path) == 5000


@pytest.mark.parametrize('path', ['/no-range-and-length', '/chunked', '/chunked-and-length'])
def test_an_unknown_size_counts_as_0(store, hostile, path):
    assert store.size(hostile.url + path) == 0


@pytest.mark.parametrize('path', ['/two-lengths', '/zipped', '/garbage', '/status/204'])
def test_a_wrong_size_is_an_error(store, hostile, path):
    with pytest.raises(contract.Unavailable):
        store.size(hostile.url + path)


def test_empty_data_can_be_read(store, hostile):
    url = f'{hostile.url}/empty'

    assert store.size(url) == 0
    for part in ({}, {'length': 5}, {'length': 0}):
        assert b''.join(store.read(url, **part)) == b''


@pytest.mark.parametrize('path', ['/other-range', '/short-range', '/no-content-range',
                                  '/no-total', '/never-satisfied', '/zipped'])
def test_a_wrong_range_is_an_error(store, hostile, path):
    with pytest.raises(contract.Unavailable):
        store.read(hostile.url + path, offset=10, length=1000)


def test_a_host_that_is_gone_is_unavailable_for_recorded_data(make_store, monkeypatch):
    def unknown(*asked, **named):
        raise socket.gaierror(socket.EAI_NONAME, 'no')
    monkeypatch.setattr(socket, 'getaddrinfo', unknown)
    store = make_store({})

    for ask in (store.read, store.size):
        with pytest.raises(contract.Unavailable):
            ask('http://gone.invalid/x')
    with pytest.raises(contract.Invalid, match='does not pass filtering: its host is unknown'):
        store.adopt('http://gone.invalid/x')


def test_compressed_data_is_an_error(store, hostile):
    with pytest.raises(contract.Unavailable):
        store.read(f'{hostile.url}/zipped')


@pytest.mark.parametrize('path', ['/short', '/chunked-cut'])
def test_a_truncated_body_is_an_error(store, hostile, path):
    chunks = store.read(hostile.url + path)

    with pytest.raises(contract.Unavailable):
        b''.join(chunks)


@pytest.mark.parametrize(('status', 'expected'), [
    (400, contract.Unavailable), (401, contract.Unavailable), (403, contract.Unavailable),
    (404, contract.NotFound), (410, contract.NotFound), (429, contract.Unavailable),
    (500, contract.Unavailable), (503, contract.Unavailable), (206, contract.Unavailable),
    (300, contract.Unavailable), (304, contract.Unavailable)])
def test_a_status_becomes_an_error_of_the_contract(store, hostile, status, expected):
    for ask in (store.read, store.size):
        with pytest.raises(expected):
            ask(f'{hostile.url}/status/{status}')


def test_an_operation_sends_one_request_on_one_connection(store, hostile):
    for _ in range(3):
        b''.join(store.read(f'{hostile.url}/data', offset=5, length=10))
        store.size(f'{hostile.url}/data')

    assert [request.method for request in hostile.requests] == ['GET', 'HEAD'] * 3
    assert hostile.connections == 1


# --- compared with Glance

def test_glance_reads_the_same(store, nginx):
    glance = reference('http')
    url = nginx.url + nginx.put('both', SAMPLE)
    private = url.replace('//', '//reader:secret@').replace('/both', '/private/both')

    for each in (url, private):
        assert store.size(each) == glance.size(each) == len(SAMPLE)
        assert b''.join(store.read(each)) == glance.read(each) == SAMPLE
