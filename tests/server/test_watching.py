"""The application can end a request while the server waits for its client."""

import contextlib
import time

import pytest

from tests.server.conftest import read_all
from tests.server.test_requests import BODY, DIGEST, head, status


@pytest.fixture(scope='module')
def watching(start):
    """A server that looks often whether a request should go on."""
    return start(body_wait=0.02, client_socket_timeout=2)


@pytest.fixture(scope='module')
def watching_tls(start_tls):
    """As `watching`, with TLS."""
    return start_tls(body_wait=0.02, client_socket_timeout=2)


@pytest.mark.parametrize('sent', [
    head('/watched', 'Content-Length: 100000'),
    head('/watched', 'Content-Length: 100000') + bytes(99_999),
    head('/watched', 'Content-Length: 10', 'Expect: 100-continue'),
    head('/watched', 'Transfer-Encoding: chunked'),
    head('/watched', 'Transfer-Encoding: chunked') + b'10000\r\n12345',
], ids=['nothing', 'nearly all', 'expects 100', 'no chunk', 'half a chunk'])
@pytest.mark.parametrize('kind', ['watching', 'watching_tls'])
def test_the_application_can_end_a_request_whose_client_is_silent(request, kind, sent):
    server = request.getfixturevalue(kind)
    answer = server.raw(sent.replace(b'/watched', b'/watched?looks=4'))
    answer = answer.removeprefix(b'HTTP/1.1 100 Continue\r\n\r\n')

    assert (status(answer), answer[-4:]) == (410, b'gone')
    assert b'Connection: close' in answer


@pytest.mark.parametrize('lines', ['Content-Length: 100000', 'Transfer-Encoding: chunked'])
@pytest.mark.parametrize('kind', ['watching', 'watching_tls'])
def test_the_application_can_end_a_request_whose_client_trickles(request, kind, lines):
    server = request.getfixturevalue(kind)
    answer = b''
    with server.connect() as sock:
        sock.sendall(head('/watched?looks=10', lines) + b'8000\r\n')
        sock.settimeout(0.005)
        for _ in range(2000):
            with contextlib.suppress(TimeoutError):
                answer = sock.recv(1 << 16)
                break
            sock.sendall(b'x')

    assert status(answer) == 410


@pytest.mark.parametrize('lines', ['Content-Length: 300000000', 'Transfer-Encoding: chunked'])
def test_a_client_that_still_sends_reads_that_the_request_was_ended(watching, lines):
    with watching.connect() as sock:
        sock.sendall(head('/watched?looks=3', lines))
        for _ in range(100):
            sock.sendall(b'10000\r\n' + bytes(1 << 16) + b'\r\n')

        assert status(read_all(sock)) == 410


@pytest.mark.parametrize('kind', ['watching', 'watching_tls'])
def test_a_body_may_come_with_pauses(request, kind):
    server = request.getfixturevalue(kind)
    with server.connect() as sock:
        sock.sendall(head('/watched?looks=10000', f'Content-Length: {len(BODY)}',
                          'Connection: close'))
        for start in range(0, len(BODY), 1 << 20):
            time.sleep(0.05)
            sock.sendall(BODY[start:start + (1 << 20)])

        assert read_all(sock).endswith(DIGEST.encode())
