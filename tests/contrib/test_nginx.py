"""The nginx example passes images in both directions."""

import http.client
import json
import pathlib
import ssl
import subprocess

import pytest

from tests.servers import process, programs

EXAMPLE = pathlib.Path(__file__).parents[2] / 'contrib/nginx/glancelite.conf'
CHUNKS = [bytes([number]) * 70_000 for number in range(50)]


@pytest.fixture
def proxied(live_server):
    """A connection through nginx, configured as in the example."""
    nginx, openssl = programs.require('nginx'), programs.require('openssl')
    with process.directory('nginx') as home:
        port = process.free_port()
        subprocess.run(
            [openssl, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj',
             '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout',
             home / 'image.key', '-out', home / 'image.pem'], check=True, capture_output=True)
        site = EXAMPLE.read_text()
        for example, replacement in (
                ('127.0.0.1:9293', f'127.0.0.1:{live_server().port}'),
                ('listen 9292', f'listen 127.0.0.1:{port}'),
                ('/etc/ssl/certs', str(home)), ('/etc/ssl/private', str(home))):
            assert example in site
            site = site.replace(example, replacement)
        temporary = ''.join(f'{kind}_temp_path {home}/{kind};\n' for kind in (
            'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        (home / 'nginx.conf').write_text(
            f'daemon off; pid {home}/pid; error_log {home}/log;\nevents {{}}\n'
            f'http {{\naccess_log off;\n{temporary}{site}}}\n')
        with process.running([nginx, '-p', home, '-c', home / 'nginx.conf'], log=home / 'log',
                             cwd=home, answers=lambda: process.listens(port)):
            trusted = ssl.create_default_context(cafile=home / 'image.pem')
            connection = http.client.HTTPSConnection('localhost', port, context=trusted)
            yield connection
            connection.close()


def _request(connection, method, path, body=None, content_type='application/json'):
    connection.request(method, path, body, {'Content-Type': content_type})
    reply = connection.getresponse()
    return reply.status, reply.read()


def test_a_chunked_upload_is_downloaded_unchanged(proxied):
    image = {'name': 'one', 'disk_format': 'raw', 'container_format': 'bare'}
    _, created = _request(proxied, 'POST', '/v2/images', json.dumps(image))
    path = f'/v2/images/{json.loads(created)["id"]}/file'

    status, _ = _request(proxied, 'PUT', path, CHUNKS, 'application/octet-stream')
    answer = _request(proxied, 'GET', path)

    assert status == 204
    assert answer == (200, b''.join(CHUNKS))
