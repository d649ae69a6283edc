"""The access log has one line for each answer, without secrets."""

import json
import logging
import re
import time

import pytest
from oslo_config import cfg
from oslo_log import log

from glancelite.server import access, options
from tests.server.conftest import read_all, wait_for

COMMON = re.compile(r'(?P<address>\S+) - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                    r'"(?P<request>[^"]*)" (?P<status>\d{3}|-) (?P<size>\d+) '
                    r'(?P<seconds>\d+\.\d{4}) (?P<id>\S+)')


@pytest.fixture(scope='module')
def logged(start):
    """A server with the default form of log."""
    return start(log_to_file=True, client_socket_timeout=2)


@pytest.fixture(scope='module')
def tls_logged(start_tls):
    return start_tls(log_to_file=True)


def lines(server):
    path = server.folder / 'log'
    return path.read_text().splitlines() if path.exists() else []


def line_with(server, text):
    """The fields of the last line of the access log that contains ``text``."""
    wait_for(lambda: any(text in line for line in lines(server)))
    line = [line for line in lines(server) if text in line][-1]
    found = COMMON.fullmatch(line)
    assert found, line
    return found.groupdict()


@pytest.mark.parametrize('kind', ['logged', 'tls_logged'])
def test_a_line_has_address_request_status_size_time_and_request_id(request, kind):
    server = request.getfixturevalue(kind)
    server.get('/identified?name=req-7')

    line = line_with(server, 'req-7 HTTP')

    assert 0 <= float(line.pop('seconds')) < 20
    assert line == {'address': '127.0.0.1', 'request': 'GET /identified?name=req-7 HTTP/1.1',
                    'status': '200', 'size': '2', 'id': 'req-7'}


def test_the_size_is_that_of_the_body_that_was_sent(logged):
    (logged.folder / 'data').write_bytes(bytes(3_000_000))

    logged.get('/stream?count=3')
    logged.get('/file?length=2999999')
    logged.get('/environ?x=head', 'HEAD')

    assert line_with(logged, '/stream')['size'] == str(3 << 16)
    assert line_with(logged, '/file')['size'] == '2999999'
    assert line_with(logged, 'x=head')['size'] == '0'


@pytest.mark.parametrize(('sent', 'request_', 'status'), [
    (b'X\r\n\r\n', '', 400),
    (b'GET /' + b'a' * 9000 + b' HTTP/1.1\r\nHost: lab\r\n\r\n', '', 414),
    (b'PUT /digest HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\nworse\r\n',
     'PUT /digest HTTP/1.1', 400),
    (b'PUT /digest?slow HTTP/1.1\r\nHost: lab\r\nContent-Length: 5\r\n\r\n1',
     'PUT /digest?slow HTTP/1.1', 408),
    (b'GET /half HTTP/1.1\r\nHost: lab\r\n', '', 408),
    (b'GET /fail HTTP/1.1\r\nHost: lab\r\n\r\n', 'GET /fail HTTP/1.1', 500),
    (b'PUT /early/413 HTTP/1.1\r\nHost: lab\r\nContent-Length: 999999\r\n\r\n',
     'PUT /early/413 HTTP/1.1', 413),
])
def test_refused_requests_are_logged(start, sent, request_, status):
    server = start(log_to_file=True, client_socket_timeout=1)

    with server.connect() as sock:
        sock.sendall(sent)
        read_all(sock, until=b'thanks')

    line = line_with(server, f'"{request_ or "-"}" {status} ')
    assert int(line['size']) > 5


def test_each_answer_has_one_line(logged):
    before = len(lines(logged))

    logged.raw(b'GET /hello HTTP/1.1\r\nHost: lab\r\n\r\n' * 5
               + b'GET /hello?last HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n')

    wait_for(lambda: 'last' in lines(logged)[-1])
    assert len(lines(logged)) - before == 6


def test_no_line_of_the_log_can_be_forged(logged):
    logged.raw(b'GET /identified?name=a%20"\\b HTTP/1.1\r\nHost: lab\r\n'
               b'Connection: close\r\n\r\n')

    line = line_with(logged, '/identified?name=a')

    assert line['request'] == 'GET /identified?name=a%20%22%5Cb HTTP/1.1'
    assert line['id'] == 'a%20%22%5Cb'


def test_json_lines_have_the_same_contents(start):
    server = start(log_to_file=True, access_log='json')
    server.get('/identified?name=req-8')
    server.raw(b'X\r\n\r\n')
    wait_for(lambda: any('400' in line for line in lines(server)))

    found = [json.loads(line) for line in lines(server) if line.startswith('{')]

    request = next(entry for entry in found if entry['request_id'])
    assert request.pop('seconds') >= 0
    assert re.fullmatch(r'\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}', request.pop('time'))
    assert request == {'address': '127.0.0.1', 'method': 'GET', 'protocol': 'HTTP/1.1',
                       'uri': '/identified?name=req-8', 'status': 200, 'bytes': 2,
                       'request_id': 'req-8'}
    refused = next(entry for entry in found if entry['status'] == 400)
    assert (refused['method'], refused['uri'], refused['protocol']) == (None, None, None)


def test_the_access_log_can_be_switched_off(start):
    server = start(log_to_file=True, access_log='none')
    server.get('/hello')
    server.stop()

    assert not any('GET' in line for line in lines(server))


@pytest.mark.parametrize(('uri', 'logged'), [
    ('/a?limit=3&token=geheim', '/a?limit=3&token=***'),
    ('/a?X-Auth-Token=geheim&b=1', '/a?X-Auth-Token=***&b=1'),
    ('/a?temp_url_sig=geheim', '/a?temp_url_sig=***'),
    ('/a?AWSAccessKeyId=geheim&password=geheim', '/a?AWSAccessKeyId=***&password=***'),
    ('/token/a?name=in:b', '/token/a?name=in:b'),
    ('/a?token=geheim?more', '/a?token=***'),
    ('/a?next=/b?token=geheim&c=1', '/a?next=***&c=1'),
    ('/a??token=geheim', '/a??token=***'),
])
def test_values_of_secrets_in_the_query_are_left_out(uri, logged):
    written = []
    log = access.AccessLog(access.JSON)
    log.is_on, log._lines = True, written

    log.write('::1', 'GET', uri, 1, 200, 0, 0.1, None)

    assert json.loads(written[0])['uri'] == logged


@pytest.mark.parametrize('part', ['?key', 'key', '&key', '?key=', '?'])
def test_no_query_takes_long_to_log(part):
    log = access.AccessLog(access.COMMON)
    log.is_on = True
    uri = '/a?' + part * (8000 // len(part))
    began = time.thread_time()

    log.write('::1', 'GET', uri, 1, 200, 0, 0.1, None)

    assert time.thread_time() - began < 0.5


@pytest.fixture
def log_of_the_program(monkeypatch, tmp_path):
    """``attach(name, file, level)`` gives a logger a handler; no logger has others."""
    handlers = []
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, ('glancelite', access.NAME))]
    for logger in loggers:
        monkeypatch.setattr(logger, 'handlers', [])
    monkeypatch.setattr(root, 'level', logging.INFO)
    root.manager._clear_cache()

    def attach(name, file, level=logging.NOTSET):
        handler = logging.FileHandler(tmp_path / file)
        handler.setLevel(level)
        handlers.append(handler)
        logging.getLogger(name).addHandler(handler)
        return tmp_path / file

    yield attach

    for handler in handlers:
        handler.close()
    root.manager._clear_cache()


def write_one_line():
    log = access.AccessLog(access.COMMON)
    log.write('::1', 'GET', '/hello', 1, 200, 0, 0.1, None)
    log.flush()


@pytest.mark.parametrize('name', [access.NAME, None])
def test_a_handler_for_errors_gets_no_line(log_of_the_program, name):
    everything = log_of_the_program(name, 'log')
    errors = log_of_the_program(None, 'errors', logging.ERROR)

    write_one_line()

    assert 'GET /hello' in everything.read_text()
    assert errors.read_text() == ''


def test_lines_go_where_the_other_lines_of_the_service_go(log_of_the_program, monkeypatch):
    monkeypatch.setattr(logging.getLogger('glancelite'), 'propagate', False)
    others = log_of_the_program(None, 'others')
    ours = log_of_the_program('glancelite', 'ours')

    write_one_line()

    assert 'GET /hello' in ours.read_text()
    assert others.read_text() == ''


@pytest.mark.parametrize(('given', 'expected'), [
    ({}, access.COMMON), ({'use_json': False}, access.COMMON), ({'use_json': True}, access.JSON),
    ({'use_json': True, 'access_log': access.COMMON}, access.COMMON),
    ({'use_json': True, 'access_log': access.NONE}, access.NONE),
    ({'access_log': access.JSON}, access.JSON)], ids=str)
def test_the_form_is_json_if_all_of_the_log_is_json_unless_it_is_set(given, expected):
    conf = cfg.ConfigOpts()
    options.register(conf)
    if 'use_json' in given:
        log.register_options(conf)
    conf([], default_config_files=[])
    for name, value in given.items():
        conf.set_override(name, value)

    assert access.form(conf) == expected
