"""The HTTP client applies the rules to every connection and limits slow servers."""

import concurrent.futures
import logging
import socket
import time
import urllib.parse

import pytest

from glancelite import contract
from glancelite.support import outbound
from tests.servers import hostile_web
from tests.servers.hostile_web import DATA


def body(response):
    data = b''.join(iter(lambda: response.read(1000), b''))
    response.close()
    return data


def ask(client, server, path):
    return body(client.open('GET', server.url + path))


# --- redirects

@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
def test_redirects_are_followed(client, hostile, status):
    assert ask(client, hostile, f'/hops/4/{status}') == DATA
    assert [request.method for request in hostile.requests] == ['GET'] * 6


def test_a_redirect_may_be_relative(client, hostile):
    assert ask(client, hostile, '/to?../x/../data') == DATA


def test_a_redirect_keeps_method_and_headers(client, hostile):
    client.open('HEAD', f'{hostile.url}/hops/1/303', {'Range': 'bytes=1-2'}).close()

    assert [(each.method, each.headers['range']) for each in hostile.requests] == [
        ('HEAD', 'bytes=1-2')] * 3


@pytest.mark.parametrize('path', ['/hops/5/302', '/loop'])
def test_more_than_five_redirects_are_refused(client, hostile, path):
    with pytest.raises(contract.Invalid):
        client.open('GET', hostile.url + path)

    assert len(hostile.requests) == 6


@pytest.mark.parametrize('there', [
    'file:///etc/passwd', 'ftp://127.0.0.1/', 'gopher://127.0.0.1/', 'http://[::1]/',
    'http://169.254.169.254/latest/meta-data', 'http://2852039166/', 'http://[::ffff:7f00:1]/',
    '//169.254.169.254/', 'http:/\\169.254.169.254', 'https://evil.example/'])
def test_a_redirect_to_a_forbidden_url_is_refused(client, hostile, there):
    with pytest.raises(contract.Invalid):
        client.open('GET', f'{hostile.url}/to?{urllib.parse.quote(there, safe="")}')

    assert len(hostile.requests) == 1


def test_the_address_of_a_redirect_is_checked(make_client, hostile, monkeypatch):
    client = make_client({'disallowed_hosts': ['10.0.0.0/8'], 'allowed_ports': []})
    monkeypatch.setattr(outbound.rules, '_INTERNAL', ())
    monkeypatch.setattr(socket, 'getaddrinfo', _names({'inside.example': '10.0.0.1'}))

    with pytest.raises(contract.Invalid):
        client.open('GET', f'{hostile.url}/to?http://inside.example/')


def test_a_redirect_without_location_is_an_error(client, hostile):
    with pytest.raises(contract.Unavailable):
        client.open('GET', f'{hostile.url}/no-location')


def test_a_password_is_sent_to_its_origin_only(client, hostile):
    with hostile_web.running() as other:
        secret = hostile.url.replace('://', '://user:secret@')
        for there in (other.url, hostile.url):
            client.open('GET', f'{secret}/to?{there}/data').close()

        assert [each.headers.get('authorization') for each in hostile.requests] == [
            'Basic dXNlcjpzZWNyZXQ='] * 3
        assert ['authorization' in each.headers for each in other.requests] == [False]


def test_secret_headers_are_sent_to_their_origin_only(client, hostile):
    with hostile_web.running() as other:
        for there in (other.url, hostile.url):
            client.open('GET', f'{hostile.url}/to?{there}/data',
                        secrets={'X-Auth-Token': 'secret'}).close()

        assert [each.headers.get('x-auth-token') for each in hostile.requests] == ['secret'] * 3
        assert ['x-auth-token' in each.headers for each in other.requests] == [False]


# --- the checked address is the one that is used

def _names(known):
    real = socket.getaddrinfo

    def look_up(host, *args, **named):
        answer = known.get(host, host)
        return real(answer() if callable(answer) else answer, *args, **named)
    return look_up


def test_a_changed_dns_answer_does_not_change_the_address(make_client, hostile, monkeypatch):
    client = make_client({'allowed_ports': []})
    monkeypatch.setattr(outbound.rules, '_INTERNAL', (
        outbound.rules.ipaddress.ip_network('127.0.0.2/32'),))
    answers = iter(['127.0.0.1'] + ['127.0.0.2'] * 9)
    monkeypatch.setattr(socket, 'getaddrinfo', _names({'two.example': lambda: next(answers)}))
    url = f'http://two.example:{hostile.port}/data'

    assert body(client.open('GET', url)) == DATA
    assert hostile.requests[0].headers['host'] == f'two.example:{hostile.port}'
    with pytest.raises(contract.Invalid):
        client.open('GET', url)


def test_loopback_is_refused_unless_the_operator_allows_it(make_client, hostile):
    client = make_client({'allowed_ports': []})

    for host in ('127.0.0.1', 'localhost', '0x7f.1', '[::1]'):
        with pytest.raises(contract.Invalid):
            client.open('GET', f'http://{host}:{hostile.port}/data')

    assert (hostile.requests, hostile.connections) == ([], 0)


def test_the_next_address_of_a_host_is_tried(make_client, hostile, monkeypatch):
    client = make_client({'allowed_hosts': ['many.example'], 'allowed_ports': []})
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, 'getaddrinfo', lambda host, *args, **named: [
        found for each in (('127.0.0.3', '127.0.0.1') if host == 'many.example' else (host,))
        for found in real(each, *args, **named)])

    assert body(client.open('GET', f'http://many.example:{hostile.port}/data')) == DATA


# --- misbehaving servers

@pytest.mark.parametrize('path', ['/headers', '/long-header', '/continue', '/garbage',
                                  '/two-lengths'])
def test_an_endless_or_malformed_response_is_an_error(client, hostile, path):
    start = time.monotonic()

    with pytest.raises(contract.Unavailable):
        ask(client, hostile, path)

    assert time.monotonic() - start < 5


@pytest.mark.parametrize('path', ['/slow-head', '/slow-body', '/silent'])
def test_a_server_that_is_too_slow_is_an_error(make_client, hostile, path):
    client = make_client(read_timeout=0.3)
    start = time.monotonic()

    with pytest.raises(contract.Unavailable):
        ask(client, hostile, path)

    assert time.monotonic() - start < 3


@pytest.mark.parametrize('path', ['/short', '/chunked-cut'])
def test_a_truncated_body_is_an_error(client, hostile, path):
    response = client.open('GET', hostile.url + path)

    with pytest.raises(contract.Unavailable):
        body(response)


@pytest.mark.parametrize('path', ['/data', '/chunked', '/closes', '/smuggled',
                                  '/no-range-and-length'])
@pytest.mark.parametrize('amount', [1, 999, 1 << 20])
def test_what_arrives_soon_is_all_of_the_body(client, hostile, path, amount):
    response = client.open('GET', hostile.url + path)

    pieces = list(iter(lambda: response.read_soon(amount), b''))

    assert b''.join(pieces) == (b'1234' if path == '/smuggled' else DATA)
    assert max(map(len, pieces)) <= amount
    assert response.read_soon(amount) == b''


@pytest.mark.parametrize('path', ['/short', '/chunked-cut', '/stalls'])
def test_what_arrives_before_an_error_is_returned(make_client, hostile, path):
    response = make_client(read_timeout=0.2).open('GET', hostile.url + path)

    pieces = []
    with pytest.raises(contract.Unavailable):
        pieces.extend(iter(lambda: response.read_soon(1 << 20), b''))

    assert b''.join(pieces) == DATA[:100]


@pytest.mark.parametrize('path', ['/stalls', '/stalls-chunked'])
def test_what_arrives_before_a_silence_is_returned_during_it(make_client, hostile, path):
    response = make_client(read_timeout=60).open('GET', hostile.url + path)

    assert response.read_soon(1 << 20) == DATA[:100]
    response.close()


def test_a_slow_body_is_returned_in_pieces(client, hostile):
    response = client.open('GET', f'{hostile.url}/slow-body')

    first = response.read_soon(len(DATA))

    response.close()
    assert 0 < len(first) < len(DATA)


class EndedError(Exception):
    pass


def end():
    raise EndedError


@pytest.mark.parametrize('read', ['read', 'read_soon'])
def test_a_function_is_called_while_a_server_is_silent(make_client, hostile, read):
    response = make_client(read_timeout=60).open(
        'GET', f'{hostile.url}/stalls', while_waiting=end)

    with pytest.raises(EndedError):
        list(iter(lambda: getattr(response, read)(len(DATA)), b''))


def test_a_function_is_called_while_a_server_does_not_answer(make_client, hostile):
    client = make_client(read_timeout=60)

    with pytest.raises(EndedError):
        client.open('GET', f'{hostile.url}/silent', while_waiting=end)

    assert ask(client, hostile, '/data') == DATA


def test_a_closed_port_is_reported_as_unreachable(client):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        with pytest.raises(contract.Unavailable, match='reached'):
            client.open('GET', f'http://127.0.0.1:{unused.getsockname()[1]}/')


# --- connections

def test_a_connection_is_reused(client, hostile):
    for _ in range(5):
        assert ask(client, hostile, '/data') == DATA
        client.open('HEAD', f'{hostile.url}/hops/1/302').drain()

    assert hostile.connections == 1


def test_a_connection_that_the_server_closed_is_replaced(client, hostile):
    assert [ask(client, hostile, '/closes') for _ in range(3)] == [DATA] * 3


def test_data_after_a_response_is_not_the_next_response(client, hostile):
    assert ask(client, hostile, '/smuggled') == b'1234'
    time.sleep(0.05)

    assert ask(client, hostile, '/data') == DATA


def test_an_unread_body_does_not_disturb_the_next_request(client, hostile):
    client.open('GET', f'{hostile.url}/data').close()

    assert ask(client, hostile, '/data') == DATA


def test_threads_can_share_a_client(client, hostile):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ask(client, hostile, '/data'), range(64)))

    assert found == [DATA] * 64


# --- TLS

def test_a_certificate_must_be_known(make_client, nginx):
    path = nginx.put('tls', b'12345')
    known, system = make_client(verify=str(nginx.certificate)), make_client()

    assert body(known.open('GET', nginx.tls_url + path)) == b'12345'
    with pytest.raises(contract.Unavailable, match='secure'):
        system.open('GET', nginx.tls_url + path)


def test_a_certificate_must_name_the_requested_host(make_client, nginx):
    path = nginx.put('tls', b'12345')
    client = make_client(verify=str(nginx.certificate))

    with pytest.raises(contract.Unavailable, match='secure'):
        client.open('GET', f'https://127.0.0.1:{nginx.tls_port}{path}')


@pytest.mark.filterwarnings('ignore:Unverified HTTPS request')
def test_without_checks_every_certificate_is_accepted(make_client, nginx):
    path = nginx.put('tls', b'12345')
    client = make_client(verify=False)

    for host in ('127.0.0.1', 'localhost'):
        url = f'https://{host}:{nginx.tls_port}{path}'
        assert body(client.open('GET', url)) == b'12345'


def test_a_server_without_tls_is_an_error(make_client, hostile):
    client = make_client(read_timeout=2)

    with pytest.raises(contract.Unavailable):
        client.open('GET', hostile.url.replace('http', 'https') + '/data')


# --- proxies

@pytest.fixture
def proxy():
    with hostile_web.proxy() as server:
        server.hosts['only-the-proxy-knows.example'] = '127.0.0.1'
        yield server


HOSTS = {'allowed_hosts': ['only-the-proxy-knows.example', 'localhost'], 'allowed_ports': []}


@pytest.mark.parametrize('scheme', ['', 'http://', 'http://user:secret@'])
def test_a_proxy_connects_to_the_host(make_client, hostile, proxy, scheme):
    client = make_client(HOSTS, proxies={'http': f'{scheme}127.0.0.1:{proxy.port}'})
    url = f'http://only-the-proxy-knows.example:{hostile.port}/data'

    assert client.check(url).host == 'only-the-proxy-knows.example'
    assert body(client.open('GET', url)) == DATA
    assert proxy.requests[0].path == url
    assert ('proxy-authorization' in proxy.requests[0].headers) is ('secret' in scheme)


def test_tls_is_tunnelled_through_a_proxy(make_client, nginx, proxy):
    path = nginx.put('tls', b'12345')
    client = make_client(HOSTS, verify=str(nginx.certificate),
                         proxies={'https': f'127.0.0.1:{proxy.port}'})

    assert body(client.open('GET', nginx.tls_url + path)) == b'12345'
    assert [(each.method, each.path) for each in proxy.requests] == [
        ('CONNECT', f'localhost:{nginx.tls_port}')]


def test_the_rules_apply_behind_a_proxy(make_client, proxy):
    client = make_client({}, proxies={'http': f'127.0.0.1:{proxy.port}'})

    for url in ('http://127.0.0.1/', 'http://localhost/', 'http://169.254.169.254/'):
        with pytest.raises(contract.Invalid):
            client.open('GET', url)

    assert proxy.requests == []


def test_an_unreachable_proxy_is_an_error_without_its_password(make_client):
    client = make_client(HOSTS, proxies={'http': 'http://user:secret@127.0.0.1:9'})

    with pytest.raises(contract.Unavailable) as failure:
        client.open('GET', 'http://localhost/')

    assert 'secret' not in str(failure.value)


@pytest.mark.parametrize('named', [
    {'verify': '/nonexistent'}, {'verify': __file__}, {'proxies': {'http': 'ftp://x'}},
    {'proxies': {'http': 'http://user:secret@'}}, {'proxies': {'http': 'http://x:y'}}])
def test_invalid_options_prevent_the_start(make_client, named):
    with pytest.raises(contract.Misconfigured) as refused:
        make_client(**named)

    assert 'secret' not in str(refused.value)


def test_logs_and_errors_have_no_password_and_no_path(make_client, hostile, caplog):
    client = make_client(read_timeout=0.3)
    secret = hostile.url.replace('://', '://user:secret@')

    with caplog.at_level(logging.DEBUG, logger='glancelite'):
        for path in ('/silent?token=secret', '/garbage?secret', '/to?http://u:secret@[::1]/secret',
                     '/short?secret'):
            with pytest.raises(contract.Error) as failure:
                body(client.open('GET', secret + path))
            assert 'secret' not in f'{failure.value} {failure.value.details}'

    assert caplog.records
    assert 'secret' not in caplog.text
