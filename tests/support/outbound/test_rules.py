"""Users may name public URLs, but no internal or forbidden addresses."""

import logging
import socket

import pytest
from oslo_config import cfg

from glancelite import contract
from glancelite.support import outbound

PUBLIC = '93.184.215.14'


@pytest.fixture
def names(monkeypatch):
    """Addresses by host name; addresses resolve to themselves."""
    known = {'images.example': [PUBLIC]}
    real = socket.getaddrinfo

    def look_up(host, port, *args, **named):
        if isinstance(known.get(host), OSError):
            raise known[host]
        return [answer for each in known.get(host, [host])
                for answer in real(each, port, *args, flags=socket.AI_NUMERICHOST, **named)]

    monkeypatch.setattr(socket, 'getaddrinfo', look_up)
    return known


@pytest.fixture
def rules(names):
    """Build rules from options of ``[import_filtering_opts]``."""
    def make(**options):
        conf = cfg.ConfigOpts()
        outbound.register(conf)
        for name, value in options.items():
            conf.set_override(name, value, group=outbound.SECTION)
        return outbound.Rules(conf)
    return make


def refused(rules, url):
    try:
        rules.check(url)
    except contract.Invalid:
        return True
    return False


# --- parsing

@pytest.mark.parametrize(('url', 'normal'), [
    ('http://images.example', 'http://images.example/'),
    ('HTTP://Images.Example./b/?c=/../d#e', 'http://images.example/b/?c=/../d'),
    ('https://images.example:443/x', 'https://images.example/x'),
    ('http://images.example:443/x', 'http://images.example:443/x'),
    ('http://[2606:2800:0:0::1]:80/x', 'http://[2606:2800::1]/x'),
    ('http://images.example/\xe4 '.strip(), 'http://images.example/%C3%A4'),
])
def test_a_url_is_normalized(rules, names, url, normal):
    assert rules().check(url).url == normal


@pytest.mark.parametrize('url', [
    '', 'x', '//images.example/x', 'images.example/x', 'http:images.example', 'http:///x',
    'http://', 'http:/images.example/x', 'file:///etc/passwd', 'ftp://images.example/x',
    'gopher://images.example/x', 'swift+http://images.example/x', 'http+unix://images.example/x',
    ' http://images.example/x', 'http://images.example/a b', 'http://images.example/\n',
    'http://images.example/x\0', 'http://images.example\r\nHost: evil/', 'http://images.example\\x',
    'http://images.example\\@evil.example/', 'http://evil@evil@images.example/',
    'http://images.example:x/', 'http://images.example:99999/', 'http://images.example:0/',
    'http://images.example:-1/', 'http://images%2eexample/', 'http://[::1/', 'http://::1/',
    'http://[fe80::1%25eth0]/', 'http://images..example/', 'http://.images.example/',
    'http://images.example/a/../b', 'http://images.example/%2e%2E/b', 'http://images.example/.',
    'http://-/', 'http://a' + '.a' * 130 + '/', 'http://\u2460.example/', None, 7, b'http://x/'])
def test_a_malformed_url_is_refused(rules, url):
    assert refused(rules(), url)


def test_user_and_password_are_not_in_the_texts_of_a_target(rules):
    target = rules().check('http://user:p%40ss@images.example/x')

    assert target.authorization == 'Basic dXNlcjpwQHNz'
    assert target.url == 'http://images.example/x'
    assert 'Basic' not in repr(target)
    assert 'user' not in repr(target)


# --- internal addresses

@pytest.mark.parametrize('host', [
    '127.0.0.1', '127.1', '127.0.1', '127.8.9.10', '2130706433', '0x7f000001', '0x7f.1',
    '0177.0.0.1', '017700000001', '0x7F.0x0.0x0.0x1', '127.0.0.1.', '0', '0.0.0.0', '0x0',
    '169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.1.1',
    '224.0.0.1', '255.255.255.255', '240.0.0.1', '100.100.100.200', '[::1]', '[::]',
    '[0:0:0:0:0:0:0:1]', '[fe80::1]', '[febf::1]', '[ff02::1]', '[fd00:ec2::254]',
    '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::ffff:169.254.169.254]', '[::127.0.0.1]',
    '[::ffff:0:127.0.0.1]', '[64:ff9b::7f00:1]', '[64:ff9b::169.254.169.254]',
    '[64:ff9b:1::a9fe:a9fe]', '[2002:7f00:1::]', '[2002:a9fe:a9fe::1]',
    '[2001:0:7f00:1::]', '[2001:0:1:2:3:4:80ff:fffe]', '[2606:2800::5efe:7f00:1]',
    '[2606:2800::200:5efe:a9fe:a9fe]'])
def test_internal_addresses_are_refused_in_every_notation(rules, names, host):
    assert refused(rules(), f'http://{host}/x')

    names['images.example'] = [host.strip('[]')]
    assert refused(rules(), 'http://images.example/x')


@pytest.mark.parametrize('host', [
    PUBLIC, '10.0.0.1', '172.16.0.1', '192.168.1.1', '167772161', '[fd12::1]', '[2606:2800::1]',
    '[::ffff:10.0.0.1]', '[64:ff9b::5db8:d70e]', '[2002:5db8:d70e::1]'])
def test_other_addresses_are_allowed(rules, host):
    assert rules().check(f'http://{host}/x')


@pytest.mark.parametrize('host', ['1.2.3.4.5', '256.1.1.1', '0x', '1.2.3.0x1ff', '08.1.1.1',
                                  '4294967296', '1.example.0x7f'])
def test_a_malformed_number_is_not_a_host(rules, host):
    assert refused(rules(), f'http://{host}/x')


def test_one_internal_address_is_enough_to_refuse_a_host(rules, names):
    names['images.example'] = [PUBLIC, '127.0.0.1']

    assert refused(rules(), 'http://images.example/x')


def test_resolve_returns_the_addresses_of_a_host(rules, names):
    names['images.example'] = [PUBLIC, '2606:2800::1', PUBLIC]
    checker = rules()

    assert checker.resolve(checker.parse('http://images.example/')) == [PUBLIC, '2606:2800::1']


def test_an_unknown_host_is_invalid_and_a_failed_lookup_is_unavailable(rules, names):
    names['gone.example'] = socket.gaierror(socket.EAI_NONAME, 'no')
    names['later.example'] = socket.gaierror(socket.EAI_AGAIN, 'later')

    assert refused(rules(), 'http://gone.example/')
    with pytest.raises(contract.Unavailable):
        rules().check('http://later.example/')


# --- lists

@pytest.mark.parametrize(('options', 'url', 'allowed'), [
    ({'allowed_schemes': ['https']}, 'http://images.example/', False),
    ({'allowed_schemes': ['HTTPS']}, 'https://images.example/', True),
    ({'allowed_schemes': [], 'disallowed_schemes': ['http']}, 'http://images.example/', False),
    ({'allowed_schemes': [], 'disallowed_schemes': ['http']}, 'https://images.example/', True),
    ({'allowed_schemes': ['http'], 'disallowed_schemes': ['http']}, 'http://images.example/',
     True),
    ({'allowed_schemes': ['file']}, 'file:///etc/passwd', False),
    ({}, 'http://images.example:8080/', False),
    ({}, 'http://images.example:443/', True),
    ({'allowed_ports': [8080]}, 'http://images.example:8080/', True),
    ({'allowed_ports': [8080]}, 'http://images.example:80/', False),
    ({'allowed_ports': [8080]}, 'http://images.example/', True),
    ({'allowed_ports': [], 'disallowed_ports': [22]}, 'http://images.example:22/', False),
    ({'allowed_ports': [], 'disallowed_ports': [22]}, 'http://images.example:23/', True),
    ({'allowed_ports': [22], 'disallowed_ports': [22]}, 'http://images.example:22/', True),
    ({'allowed_hosts': ['images.example']}, 'http://images.example/', True),
    ({'allowed_hosts': ['Images.Example.']}, 'http://IMAGES.example/', True),
    ({'allowed_hosts': ['images.example']}, f'http://{PUBLIC}/', False),
    ({'allowed_hosts': ['images.example']}, 'http://x.images.example/', False),
    ({'allowed_hosts': ['images.example'], 'disallowed_hosts': ['images.example']},
     'http://images.example/', True),
    ({'allowed_hosts': ['images.example'], 'disallowed_hosts': [PUBLIC]},
     'http://images.example/', True),
    ({'allowed_hosts': ['127.0.0.1']}, 'http://127.0.0.1/', True),
    ({'allowed_hosts': ['127.0.0.1']}, 'http://2130706433/', True),
    ({'allowed_hosts': ['127.0.0.1']}, 'http://127.0.0.2/', False),
    ({'allowed_hosts': ['127.0.0.0/8']}, 'http://127.0.0.2/', True),
    ({'allowed_hosts': ['[::1]']}, 'http://[::1]/', True),
    ({'allowed_hosts': ['::1']}, 'http://[0:0::1]/', True),
    ({'allowed_hosts': ['images.example:80']}, 'http://images.example/', False),
    ({'disallowed_hosts': ['images.example']}, 'http://images.example/', False),
    ({'disallowed_hosts': ['images.example']}, 'http://Images.Example./', False),
    ({'disallowed_hosts': ['images.example']}, f'http://{PUBLIC}/', True),
    ({'disallowed_hosts': [PUBLIC]}, 'http://images.example/', False),
    ({'disallowed_hosts': [PUBLIC]}, f'http://[::ffff:{PUBLIC}]/', False),
    ({'disallowed_hosts': ['10.0.0.0/8']}, 'http://10.1.2.3/', False),
    ({'disallowed_hosts': ['10.0.0.0/8']}, 'http://0xa010203/', False),
    ({'disallowed_hosts': ['b\xfccher.example']}, 'http://b\xfccher.example/', False),
    ({'disallowed_hosts': ['b\xfccher.example']}, 'http://xn--bcher-kva.example/', False),
])
def test_lists_of_the_operator_apply(rules, names, options, url, allowed):
    names['xn--bcher-kva.example'] = [PUBLIC]

    assert refused(rules(**options), url) is not allowed


@pytest.mark.parametrize(('options', 'url', 'reason'), [
    ({'allowed_schemes': ['https']}, 'http://images.example/',
     'the scheme http is not listed in [import_filtering_opts] allowed_schemes'),
    ({'allowed_schemes': [], 'disallowed_schemes': ['http']}, 'http://images.example/',
     'the scheme http is listed in [import_filtering_opts] disallowed_schemes'),
    ({}, 'http://images.example:8080/',
     'the port 8080 is not listed in [import_filtering_opts] allowed_ports'),
    ({'allowed_ports': [], 'disallowed_ports': [22]}, 'http://images.example:22/',
     'the port 22 is listed in [import_filtering_opts] disallowed_ports'),
    ({'allowed_hosts': ['a.example']}, 'http://images.example/',
     'its host is not listed in [import_filtering_opts] allowed_hosts'),
    ({}, 'http://127.1/', 'the address of its host is internal, and the host is not listed in '
                          '[import_filtering_opts] allowed_hosts'),
    ({'disallowed_hosts': ['images.example']}, 'http://images.example/',
     'its host is listed in [import_filtering_opts] disallowed_hosts'),
    ({'disallowed_hosts': [PUBLIC]}, 'http://images.example/',
     'its host is listed in [import_filtering_opts] disallowed_hosts'),
    ({}, 'http://gone.example/', 'its host is unknown'),
    ({}, 'http://images.example/..', 'its path has . or .. as a segment'),
    ({}, 'ftp://images.example/', 'it does not begin with http:// or https://'),
    ({}, 'http://images.example/\\', 'it is not a valid URL')])
def test_a_refusal_names_the_option_that_decides(rules, names, options, url, reason):
    names['gone.example'] = socket.gaierror(socket.EAI_NONAME, 'no')

    with pytest.raises(contract.Invalid) as refused:
        rules(**options).check(url)

    assert str(refused.value) == f'This URL does not pass filtering: {reason}.'


def test_an_allowed_host_may_have_an_internal_address(rules, names):
    names['images.example'] = ['127.0.0.1']

    assert rules(allowed_hosts=['images.example']).check('http://images.example/')


def test_lists_without_effect_are_reported(rules, caplog):
    with caplog.at_level(logging.WARNING):
        rules(allowed_hosts=['a.example'], disallowed_hosts=['b.example'])
        rules(disallowed_hosts=['a b'])

    assert [record.getMessage() for record in caplog.records] == [
        '[import_filtering_opts] disallowed_hosts has no effect, because allowed_hosts is not '
        'empty', "[import_filtering_opts] 'a b' is not a valid host and matches nothing"]


def test_the_defaults_are_those_of_glance():
    assert {opt.dest: opt.default for opt in outbound.OPTS} == {
        'allowed_schemes': ['http', 'https'], 'disallowed_schemes': [],
        'allowed_hosts': [], 'disallowed_hosts': [],
        'allowed_ports': [80, 443], 'disallowed_ports': []}


def test_lists_may_have_the_brackets_that_glance_requires(tmp_path):
    file = tmp_path / 'glance-api.conf'
    file.write_text('[import_filtering_opts]\nallowed_ports = [80, 8080]\n'
                    'allowed_hosts = web.example, [::1]\nallowed_schemes = [HTTPS]\n'
                    'disallowed_hosts = [bad.example]\n')
    conf = cfg.ConfigOpts()
    conf(['--config-file', str(file)], project='glancelite')
    outbound.rules.register(conf)

    found = conf.import_filtering_opts

    assert found.allowed_ports == [80, 8080]
    assert found.allowed_hosts == ['web.example', '[::1]']
    assert found.disallowed_hosts == ['bad.example']
    assert [each.lower() for each in found.allowed_schemes] == ['https']
