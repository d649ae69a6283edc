"""A private nginx that serves files, with and without TLS, ranges and passwords."""

import contextlib
import dataclasses
import pathlib
import subprocess

from tests.servers import process

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {home}/pid;
error_log {home}/log;
events {{}}
http {{
    log_format requests '$connection $request $status';
    access_log {home}/access requests;
    default_type application/octet-stream;
    client_body_temp_path {home}/temporary;
    proxy_temp_path {home}/temporary;
    fastcgi_temp_path {home}/temporary;
    uwsgi_temp_path {home}/temporary;
    scgi_temp_path {home}/temporary;
    root {home}/files;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {home}/web.pem;
        ssl_certificate_key {home}/web.key;
        location ~ /$ {{ return 404; }}
        location / {{ }}
        location /whole/ {{ max_ranges 0; alias {home}/files/; }}
        location /private/ {{
            auth_basic images;
            auth_basic_user_file {home}/passwords;
            alias {home}/files/;
        }}
    }}
}}
"""


@dataclasses.dataclass(frozen=True)
class Nginx:
    """A running nginx.

    ``/NAME`` is a file in ``files``; ``/whole/NAME`` does not support ranges;
    ``/private/NAME`` requires the user ``reader`` with the password ``secret``. The
    self-signed ``certificate`` names ``localhost`` only.
    """

    port: int
    tls_port: int
    files: pathlib.Path
    certificate: pathlib.Path
    access: pathlib.Path

    @property
    def url(self):
        return f'http://127.0.0.1:{self.port}'

    @property
    def tls_url(self):
        return f'https://localhost:{self.tls_port}'

    def put(self, name, data):
        (self.files / name).write_bytes(data)
        return f'/{name}'


@contextlib.contextmanager
def server(nginx, openssl):
    """Run nginx while the block runs.

    :param nginx: path of the program; ``openssl`` likewise.
    """
    with process.directory('nginx') as home:
        port, tls_port = process.free_port(), process.free_port()
        instance = Nginx(port, tls_port, home / 'files', home / 'web.pem', home / 'access')
        instance.files.mkdir(mode=0o755)
        (home / 'passwords').write_text('reader:{PLAIN}secret\n')
        (home / 'nginx.conf').write_text(CONFIGURATION.format(**vars(instance), home=home))
        subprocess.run(
            [openssl, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj',
             '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout',
             home / 'web.key', '-out', home / 'web.pem'], check=True, capture_output=True)
        with process.running([nginx, '-p', home, '-c', home / 'nginx.conf'], log=home / 'log',
                             cwd=home, answers=lambda: process.listens(tls_port)):
            yield instance
