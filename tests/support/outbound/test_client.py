"""The web client keeps the rules at every step, and nobody holds it up for long."""

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


def body(reply):
    with_all = b''.join(iter(lambda: reply.read(1000), b''))
    reply.close()
    return with_all


def ask(client, server, path):
    return body(client.open('GET', server.url + path))


# --- redirects

@pytest.mark.parametrize('status', [301, 302, 303, 307, 308])
def test_redirects_are_followed(client, hostile, status):
    assert ask(client, hostile, f'/hops/4/{status}') == DATA
    assert [request.method for request in hostile.asked] == ['GET'] * 6


def test_a_redirect_may_be_relative(client, hostile):
    assert ask(client, hostile, '/to?../x/../data') == DATA


def test_a_redirect_does_not_change_the_question(client, hostile):
    client.open('HEAD', f'{hostile.url}/hops/1/303', {'Range': 'bytes=1-2'}).close()

    assert [(each.method, each.headers['range']) for each in hostile.asked] == [
        ('HEAD', 'bytes=1-2')] * 3


@pytest.mark.parametrize('path', ['/hops/5/302', '/loop'])
def test_more_than_five_redirects_are_a_game(client, hostile, path):
    with pytest.raises(contract.Invalid):
        client.open('GET', hostile.url + path)

    assert len(hostile.asked) == 6


@pytest.mark.parametrize('there', [
    'file:///etc/passwd', 'ftp://127.0.0.1/', 'gopher://127.0.0.1/', 'http://[::1]/',
    'http://169.254.169.254/latest/meta-data', 'http://2852039166/', 'http://[::ffff:7f00:1]/',
    '//169.254.169.254/', 'http:/\\169.254.169.254', 'https://evil.example/'])
def test_a_redirect_to_where_users_may_not_send_us_is_refused(client, hostile, there):
    with pytest.raises(contract.Invalid):
        client.open('GET', f'{hostile.url}/to?{urllib.parse.quote(there, safe="")}')

    assert len(hostile.asked) == 1


def test_the_rules_are_kept_for_addresses_behind_a_redirect(make_client, hostile, monkeypatch):
    client = make_client({'disallowed_hosts': ['10.0.0.0/8'], 'allowed_ports': []})
    monkeypatch.setattr(outbound.rules, '_NOT_FOR_USERS', ())
    monkeypatch.setattr(socket, 'getaddrinfo', _names({'inside.example': '10.0.0.1'}))

    with pytest.raises(contract.Invalid):
        client.open('GET', f'{hostile.url}/to?http://inside.example/')


def test_a_redirect_to_nowhere_is_no_answer(client, hostile):
    with pytest.raises(contract.Unavailable):
        client.open('GET', f'{hostile.url}/nowhere')


def test_a_password_is_for_those_only_whom_the_user_meant(client, hostile):
    with hostile_web.running() as other:
        secret = hostile.url.replace('://', '://user:secret@')
        for there in (other.url, hostile.url):
            client.open('GET', f'{secret}/to?{there}/data').close()

        assert [each.headers.get('authorization') for each in hostile.asked] == [
            'Basic dXNlcjpzZWNyZXQ='] * 3
        assert ['authorization' in each.headers for each in other.asked] == [False]


# --- the address that was checked is the one that is used

def _names(known):
    real = socket.getaddrinfo

    def look_up(host, *args, **named):
        answer = known.get(host, host)
        return real(answer() if callable(answer) else answer, *args, **named)
    return look_up


def test_another_answer_for_the_same_name_changes_nothing(make_client, hostile, monkeypatch):
    client = make_client({'allowed_ports': []})
    monkeypatch.setattr(outbound.rules, '_NOT_FOR_USERS', (
        outbound.rules.ipaddress.ip_network('127.0.0.2/32'),))
    answers = iter(['127.0.0.1'] + ['127.0.0.2'] * 9)
    monkeypatch.setattr(socket, 'getaddrinfo', _names({'two.example': lambda: next(answers)}))
    url = f'http://two.example:{hostile.port}/data'

    assert body(client.open('GET', url)) == DATA
    assert hostile.asked[0].headers['host'] == f'two.example:{hostile.port}'
    with pytest.raises(contract.Invalid):
        client.open('GET', url)


def test_loopback_is_refused_unless_the_operator_allows_it(make_client, hostile):
    client = make_client({'allowed_ports': []})

    for host in ('127.0.0.1', 'localhost', '0x7f.1', '[::1]'):
        with pytest.raises(contract.Invalid):
            client.open('GET', f'http://{host}:{hostile.port}/data')

    assert (hostile.asked, hostile.connections) == ([], 0)


def test_the_next_address_of_a_host_is_tried(make_client, hostile, monkeypatch):
    client = make_client({'allowed_hosts': ['many.example'], 'allowed_ports': []})
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, 'getaddrinfo', lambda host, *args, **named: [
        found for each in (('127.0.0.3', '127.0.0.1') if host == 'many.example' else (host,))
        for found in real(each, *args, **named)])

    assert body(client.open('GET', f'http://many.example:{hostile.port}/data')) == DATA


# --- servers that do not behave

@pytest.mark.parametrize('path', ['/headers', '/long-header', '/continue', '/garbage',
                                  '/two-lengths'])
def test_an_answer_without_end_or_sense_is_none(client, hostile, path):
    start = time.monotonic()

    with pytest.raises(contract.Unavailable):
        ask(client, hostile, path)

    assert time.monotonic() - start < 5


@pytest.mark.parametrize('path', ['/slow-head', '/slow-body', '/silent'])
def test_who_is_too_slow_is_left(make_client, hostile, path):
    client = make_client(read_timeout=0.3)
    start = time.monotonic()

    with pytest.raises(contract.Unavailable):
        ask(client, hostile, path)

    assert time.monotonic() - start < 3


@pytest.mark.parametrize('path', ['/short', '/chunked-cut'])
def test_a_body_that_is_cut_is_noticed(client, hostile, path):
    reply = client.open('GET', hostile.url + path)

    with pytest.raises(contract.Unavailable):
        body(reply)


def test_who_does_not_listen_cannot_be_reached(client):
    with socket.socket() as nobody:
        nobody.bind(('127.0.0.1', 0))
        with pytest.raises(contract.Unavailable, match='reached'):
            client.open('GET', f'http://127.0.0.1:{nobody.getsockname()[1]}/')


# --- connections

def test_a_connection_is_used_again(client, hostile):
    for _ in range(5):
        assert ask(client, hostile, '/data') == DATA
        client.open('HEAD', f'{hostile.url}/hops/1/302').forget()

    assert hostile.connections == 1


def test_a_connection_that_the_server_has_closed_is_made_again(client, hostile):
    assert [ask(client, hostile, '/gives-up') for _ in range(3)] == [DATA] * 3


def test_what_follows_an_answer_is_not_taken_for_the_next_one(client, hostile):
    assert ask(client, hostile, '/smuggled') == b'1234'
    time.sleep(0.05)

    assert ask(client, hostile, '/data') == DATA


def test_a_body_that_nobody_reads_to_its_end_disturbs_nobody(client, hostile):
    client.open('GET', f'{hostile.url}/data').close()

    assert ask(client, hostile, '/data') == DATA


def test_many_ask_at_once(client, hostile):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ask(client, hostile, '/data'), range(64)))

    assert found == [DATA] * 64


# --- TLS

def test_a_certificate_must_be_known(make_client, nginx):
    path = nginx.put('tls', b'12345')
    known, system = make_client(verify=str(nginx.certificate)), make_client()

    assert body(known.open('GET', nginx.tls_url + path)) == b'12345'
    with pytest.raises(contract.Unavailable, match='safe'):
        system.open('GET', nginx.tls_url + path)


def test_a_certificate_must_be_of_the_host_that_was_asked_for(make_client, nginx):
    path = nginx.put('tls', b'12345')
    client = make_client(verify=str(nginx.certificate))

    with pytest.raises(contract.Unavailable, match='safe'):
        client.open('GET', f'https://127.0.0.1:{nginx.tls_port}{path}')


@pytest.mark.filterwarnings('ignore:Unverified HTTPS request')
def test_without_checks_every_certificate_will_do(make_client, nginx):
    path = nginx.put('tls', b'12345')
    client = make_client(verify=False)

    for host in ('127.0.0.1', 'localhost'):
        url = f'https://{host}:{nginx.tls_port}{path}'
        assert body(client.open('GET', url)) == b'12345'


def test_a_server_without_tls_is_no_safe_place(make_client, hostile):
    client = make_client(read_timeout=2)

    with pytest.raises(contract.Unavailable):
        client.open('GET', hostile.url.replace('http', 'https') + '/data')


# --- proxies

@pytest.fixture
def proxy():
    with hostile_web.proxy() as server:
        server.leads['only-the-proxy-knows.example'] = '127.0.0.1'
        yield server


HOSTS = {'allowed_hosts': ['only-the-proxy-knows.example', 'localhost'], 'allowed_ports': []}


@pytest.mark.parametrize('scheme', ['', 'http://', 'http://user:secret@'])
def test_a_proxy_goes_for_us(make_client, hostile, proxy, scheme):
    client = make_client(HOSTS, proxies={'http': f'{scheme}127.0.0.1:{proxy.port}'})
    url = f'http://only-the-proxy-knows.example:{hostile.port}/data'

    assert client.check(url).host == 'only-the-proxy-knows.example'
    assert body(client.open('GET', url)) == DATA
    assert proxy.asked[0].path == url
    assert ('proxy-authorization' in proxy.asked[0].headers) is ('secret' in scheme)


def test_a_proxy_sees_nothing_of_what_is_in_tls(make_client, nginx, proxy):
    path = nginx.put('tls', b'12345')
    client = make_client(HOSTS, verify=str(nginx.certificate),
                         proxies={'https': f'127.0.0.1:{proxy.port}'})

    assert body(client.open('GET', nginx.tls_url + path)) == b'12345'
    assert [(each.method, each.path) for each in proxy.asked] == [
        ('CONNECT', f'localhost:{nginx.tls_port}')]


def test_a_proxy_does_not_change_the_rules(make_client, proxy):
    client = make_client({}, proxies={'http': f'127.0.0.1:{proxy.port}'})

    for url in ('http://127.0.0.1/', 'http://localhost/', 'http://169.254.169.254/'):
        with pytest.raises(contract.Invalid):
            client.open('GET', url)

    assert proxy.asked == []


def test_a_proxy_that_is_not_there_is_no_way(make_client):
    client = make_client(HOSTS, proxies={'http': 'http://user:secret@127.0.0.1:9'})

    with pytest.raises(contract.Unavailable) as failure:
        client.open('GET', 'http://localhost/')

    assert 'secret' not in str(failure.value)


@pytest.mark.parametrize('named', [
    {'verify': '/nonexistent'}, {'verify': __file__}, {'proxies': {'http': 'ftp://x'}},
    {'proxies': {'http': 'http://user:secret@'}}, {'proxies': {'http': 'http://x:y'}}])
def test_what_makes_no_sense_stops_the_start(make_client, named):
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
