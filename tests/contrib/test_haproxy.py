"""The haproxy example serves images over TLS, and sees which servers are away."""

import contextlib
import http.client
import json
import ssl
import subprocess

import pytest

from tests.contrib import examples
from tests.servers import process, programs

CONFIG = {
    'DEFAULT': {'enabled_backends': 'memory:memory', 'workers': '1'},
    'glance_store': {'default_backend': 'memory'},
    'layers': {'auth': 'noauth', 'database': 'memory', 'inspector': ''},
    'oslo_middleware': {'enable_proxy_headers_parsing': 'true'},
}


@pytest.fixture
def proxied(live_server):
    """A connection through haproxy, configured as in the example; its second server is away."""
    haproxy, openssl = programs.require('haproxy'), programs.require('openssl')
    with process.directory('haproxy') as home:
        port = process.free_port()
        subprocess.run(
            [openssl, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj',
             '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout',
             home / 'key', '-out', home / 'certificate'], check=True, capture_output=True)
        (home / 'image.pem').write_text(
            (home / 'certificate').read_text() + (home / 'key').read_text())
        (home / 'haproxy.cfg').write_text(examples.adapted('haproxy/glancelite.cfg', {
            'bind :9292': f'bind 127.0.0.1:{port}', '/etc/haproxy': home,
            '10.0.0.11:9293': f'127.0.0.1:{live_server(CONFIG).port}',
            '10.0.0.12:9293': f'127.0.0.1:{process.free_port()}'}))
        trusted = ssl.create_default_context(cafile=home / 'certificate')

        def connection():
            return http.client.HTTPSConnection('localhost', port, context=trusted, timeout=30)

        def answers():
            with contextlib.closing(connection()) as first:
                return request(first, 'GET', '/versions')[0] == 200

        with (process.running([haproxy, '-db', '-f', home / 'haproxy.cfg'], log=home / 'log',
                              cwd=home, answers=answers),
              contextlib.closing(connection()) as through):
            yield through


def request(connection, method, path, body=None, **headers):
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read()


def test_images_pass_in_both_directions(proxied):
    chunks = [bytes([number]) * 70_000 for number in range(50)]
    _, _, created = request(proxied, 'POST', '/v2/images', json.dumps(examples.IMAGE))
    path = f'/v2/images/{json.loads(created)["id"]}/file'

    status, _, _ = request(proxied, 'PUT', path, iter(chunks),
                           **{'Content-Type': 'application/octet-stream'})

    assert status == 204
    status, _, data = request(proxied, 'GET', path)
    assert (status, data) == (200, b''.join(chunks))


def test_links_are_those_of_the_proxy_whatever_the_client_claims(proxied):
    _, headers, _ = request(proxied, 'POST', '/v2/images', '{}', **{
        'Forwarded': 'host=evil.test;proto=http', 'X-Forwarded-Host': 'evil.test',
        'X-Forwarded-Prefix': '/evil'})

    assert headers['Location'].startswith(f'https://localhost:{proxied.port}/v2/images/')
