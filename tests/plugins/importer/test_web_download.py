"""The import method ``web-download`` accepts URLs, and hides their secrets."""

import hashlib

import pytest

from glancelite import contract
from glancelite.plugins.importer.web_download import WebDownload
from glancelite.testing.contracts import FetchContract
from glancelite.testing.contracts.importer import IMAGE
from glancelite.testing.contracts.store.toolbox import pattern
from tests.servers import hostile_web

SAMPLE = pattern(3 * 65536 + 7)
OTHER_HASH = '0' * 64


@pytest.fixture
def importer(make_importer):
    return make_importer(WebDownload, http_read_timeout=5)


@pytest.fixture
def check(importer, context):
    def call(**method):
        return importer.check(context(), IMAGE, {'name': 'web-download', **method})
    return call


@pytest.fixture
def fetch(importer, make_job):
    """Fetch a URL; return the job."""
    def call(uri, **arguments):
        job = make_job({'uri': uri, **arguments})
        importer.fetch(job)
        return job
    return call


class WebContract(FetchContract):

    @pytest.fixture
    def importer(self, make_importer, nginx):
        return make_importer(WebDownload, name='web-download',
                             https_ca_certificates_file=str(nginx.certificate))

    @pytest.fixture
    def method(self, nginx, base):
        return {'name': 'web-download', 'uri': base + nginx.put('sample', SAMPLE)}

    @pytest.fixture
    def data(self):
        return SAMPLE


class TestHTTP(WebContract):

    @pytest.fixture
    def base(self, nginx):
        return nginx.url


class TestHTTPS(WebContract):

    @pytest.fixture
    def base(self, nginx):
        return nginx.tls_url


class TestServerWithoutRanges(WebContract):

    @pytest.fixture
    def base(self, nginx):
        return f'{nginx.url}/whole'


class TestServerWithPassword(WebContract):

    @pytest.fixture
    def base(self, nginx):
        return f'http://reader:secret@127.0.0.1:{nginx.port}/private'

    @pytest.fixture
    def secrets(self):
        return 'secret', 'reader'


class TestExpectedHash(WebContract):

    @pytest.fixture
    def base(self, nginx):
        return nginx.url

    @pytest.fixture
    def method(self, nginx, base):
        return {'name': 'web-download', 'uri': base + nginx.put('sample', SAMPLE),
                'os_hash_algo': 'sha256', 'os_hash_value': hashlib.sha256(SAMPLE).hexdigest()}


# --- what a request may say

def test_the_options_check_certificates_and_limit_nothing_but_the_time():
    found = {opt.dest: opt.default for opt in WebDownload.OPTS}

    assert found == {'https_ca_certificates_file': None, 'https_insecure': False,
                     'http_proxy_information': {}, 'http_connect_timeout': 10,
                     'http_read_timeout': 60, 'max_rate': 0, 'time_limit': 86400}


@pytest.mark.parametrize('uri', [None, '', 5, ['http://127.0.0.1/'], {}, True])
def test_the_uri_must_be_a_text(check, uri):
    with pytest.raises(contract.Invalid, match="'uri' must be the URL"):
        check(uri=uri)


def test_the_uri_must_be_given(check):
    with pytest.raises(contract.Invalid, match="'uri' must be the URL"):
        check()


@pytest.mark.parametrize('uri', [
    'file:///etc/passwd', 'ftp://127.0.0.1/x', 'swift://x', 'http://10.0.0.1/x',
    'http://169.254.169.254/latest', 'http://no-such-host.invalid/x', '127.0.0.1/x'])
def test_a_refusal_has_the_words_that_clients_look_for(check, uri):
    with pytest.raises(contract.Invalid, match='does not pass filtering'):
        check(uri=uri)


def test_a_host_that_cannot_be_resolved_is_refused(make_importer, context):
    importer = make_importer(WebDownload, rules={})

    with pytest.raises(contract.Invalid):
        importer.check(context(), IMAGE, {'uri': 'http://no-such-host.invalid/x'})


def test_loopback_is_refused_by_default(make_importer, context, hostile):
    importer = make_importer(WebDownload, rules={'allowed_ports': []})

    with pytest.raises(contract.Invalid, match='does not pass filtering'):
        importer.check(context(), IMAGE, {'uri': f'{hostile.url}/data'})

    assert hostile.connections == 0


@pytest.mark.parametrize(('uri', 'shown'), [
    ('http://127.0.0.1/a.img', 'http://127.0.0.1/a.img'),
    ('HTTP://127.0.0.1:80/a.img#part', 'http://127.0.0.1/a.img'),
    ('http://ada:lovelace@127.0.0.1/a.img', 'http://127.0.0.1/a.img'),
    ('http://127.0.0.1:8080/a.img?Signature=lovelace', 'http://127.0.0.1:8080/a.img')])
def test_users_see_the_url_without_its_secrets(importer, check, uri, shown):
    arguments = check(uri=uri)

    assert arguments['uri'] == shown
    assert 'lovelace' not in str({name: value for name, value in arguments.items()
                                  if name not in importer.SECRETS})
    assert ('secret_uri' in arguments) == ('lovelace' in uri)


def test_the_query_is_sent(check, importer, make_job, hostile):
    importer.fetch(make_job(check(uri=f'{hostile.url}/data?key=1')))

    assert hostile.requests[0].path == '/data?key=1'


@pytest.mark.parametrize(('hashes', 'text'), [
    ({'os_hash_algo': 'sha256'}, 'must be given together'),
    ({'os_hash_value': OTHER_HASH}, 'must be given together'),
    ({'os_hash_algo': None, 'os_hash_value': None}, 'must be given together'),
    ({'os_hash_algo': 'crc32', 'os_hash_value': OTHER_HASH}, 'os_hash_algo must be one of sha1'),
    ({'os_hash_algo': 'sha256', 'os_hash_value': 'x' * 64}, 'not a valid hexadecimal value'),
    ({'os_hash_algo': 'sha512', 'os_hash_value': OTHER_HASH}, 'not the correct size')])
def test_a_hash_must_be_complete_and_valid(check, hashes, text):
    with pytest.raises(contract.Invalid, match=text):
        check(uri='http://127.0.0.1/a.img', **hashes)


def test_a_hash_is_recorded_in_lower_case(check):
    arguments = check(uri='http://127.0.0.1/x', os_hash_algo='md5', os_hash_value='AB' * 16)

    assert arguments == {'uri': 'http://127.0.0.1/x', 'os_hash_algo': 'md5',
                         'os_hash_value': 'ab' * 16}


# --- what web servers may answer

def test_data_with_another_hash_is_refused(fetch, hostile):
    with pytest.raises(contract.WrongContent, match=f'instead of {OTHER_HASH}'):
        fetch(f'{hostile.url}/data', os_hash_algo='sha256', os_hash_value=OTHER_HASH)


@pytest.mark.parametrize('path', [
    '/data', '/chunked', '/chunked-and-length', '/no-range-and-length', '/closes', '/hops/4/302'])
def test_the_data_arrives_with_and_without_a_length(fetch, hostile, path):
    assert fetch(hostile.url + path).data == hostile_web.DATA


def test_what_follows_the_announced_length_is_ignored(fetch, hostile):
    assert fetch(f'{hostile.url}/smuggled').data == b'1234'


def test_an_image_may_be_empty(fetch, hostile):
    assert fetch(f'{hostile.url}/empty').data == b''


@pytest.mark.parametrize('path', ['/short', '/chunked-cut', '/two-lengths', '/garbage'])
def test_an_incomplete_or_malformed_answer_may_be_better_next_time(fetch, hostile, path):
    with pytest.raises(contract.Unavailable):
        fetch(hostile.url + path)


@pytest.mark.parametrize(('status', 'kind', 'text'), [
    (404, contract.Invalid, r'it answers 404 \(Not Found\)'),
    (403, contract.Invalid, r'403 \(Forbidden\)'), (401, contract.Invalid, '401'),
    (204, contract.Invalid, '204'), (299, contract.Invalid, '299'), (501, contract.Invalid, '501'),
    (429, contract.Unavailable, '429'), (500, contract.Unavailable, '500'),
    (503, contract.Unavailable, r'503 \(Service Unavailable\)')])
def test_a_refusal_of_the_server_names_its_status(fetch, hostile, status, kind, text):
    url = f'{hostile.url}/status/{status}'
    with pytest.raises(kind, match=text) as refused:
        fetch(url, secret_uri=url.replace('://', '://ada:hush@'))

    assert 'hush' not in str(refused.value)
    assert hostile.url not in str(refused.value)


def test_encoded_data_is_refused(fetch, hostile):
    with pytest.raises(contract.WrongContent, match='encoding'):
        fetch(f'{hostile.url}/zipped')

    assert hostile.requests[0].headers['accept-encoding'] == 'identity'


@pytest.mark.parametrize('there', ['http://169.254.169.254/', 'file:///etc/passwd',
                                   'http://[::1]/'])
def test_a_redirect_must_pass_the_rules(fetch, hostile, there):
    with pytest.raises(contract.Invalid, match='does not pass filtering'):
        fetch(f'{hostile.url}/to?{there}')


def test_a_server_that_is_down_may_be_back_next_time(fetch, hostile):
    with hostile_web.running() as gone:
        url = gone.url

    with pytest.raises(contract.Unavailable):
        fetch(f'{url}/data')


def test_too_many_bytes_are_refused_before_the_first_one(importer, make_job, hostile):
    job = make_job({'uri': f'{hostile.url}/data'}, size_limit=4999)

    with pytest.raises(contract.TooLarge, match='has 5000 bytes; it may have 4999'):
        importer.fetch(job)

    assert (job.parts, job.reports) == ([], [])


def test_data_without_a_length_is_limited_as_well(importer, make_job, hostile):
    job = make_job({'uri': f'{hostile.url}/chunked'}, size_limit=4999)

    with pytest.raises(contract.TooLarge):
        importer.fetch(job)


def test_the_progress_names_the_total(fetch, hostile):
    assert fetch(f'{hostile.url}/data').reports[-1] == (5000, 5000)


def test_a_proxy_is_used_if_configured(make_importer, make_job, hostile):
    with hostile_web.proxy() as proxy:
        importer = make_importer(WebDownload, {'allowed_hosts': ['far.example'],
                                               'allowed_ports': []},
                                 http_proxy_information={'http': proxy.url})
        proxy.hosts['far.example'] = '127.0.0.1'
        job = make_job({'uri': f'http://far.example:{hostile.port}/data'})

        importer.fetch(job)

    assert job.data == hostile_web.DATA
    assert len(proxy.requests) == 1


def test_an_invalid_proxy_prevents_the_start(make_importer):
    with pytest.raises(contract.Misconfigured, match='http_proxy_information'):
        make_importer(WebDownload, http_proxy_information={'http': 'ftp://x'})


def test_a_certificate_must_be_known(make_importer, make_job, nginx):
    job = make_job({'uri': nginx.tls_url + nginx.put('sample', SAMPLE)})

    with pytest.raises(contract.Unavailable, match='No secure connection'):
        make_importer(WebDownload).fetch(job)
    make_importer(WebDownload, https_insecure=True).fetch(job)

    assert job.data == SAMPLE
