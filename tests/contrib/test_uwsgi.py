"""The uWSGI example serves the Image API, alone and behind nginx."""

import os
import sys

import pytest

from tests.contrib import examples
from tests.servers import live, process, programs

MIB = 1 << 20
CONFIG = {
    'DEFAULT': {'enabled_backends': 'file:file'}, 'glance_store': {'default_backend': 'file'},
    'layers': {'auth': 'noauth', 'sync_database': 'true', 'inspector': ''}}


@pytest.fixture(scope='module')
def home():
    with process.directory('uwsgi') as home:
        yield home


@pytest.fixture(scope='module')
def port(home):
    """The port of a uWSGI that listens on a socket for nginx, and directly."""
    uwsgi, port = programs.require(programs.UWSGI), process.free_port()
    libraries = [str(examples.CONTRIB.parent),
                 *(path for path in sys.path if 'site-packages' in path)]
    live.write_config(home / 'glancelite-api.conf', CONFIG | {
        'file': {'filesystem_store_datadir': home / 'images'},
        'database': {'connection': f'sqlite:///{home}/images.sqlite'}})
    (home / 'glancelite.ini').write_text(examples.adapted('uwsgi/glancelite.ini', {
        '/etc/glancelite': home, '/run/glancelite': home, 'processes = 4': 'processes = 1'}))
    with process.running(
            [uwsgi, '--ini', home / 'glancelite.ini', '--http-socket', f'127.0.0.1:{port}'],
            answers=lambda: live.answers(port), log=home / 'log', cwd=home,
            env={**live.private(home), 'PYTHONPATH': os.pathsep.join(libraries)}):
        yield port


@pytest.fixture(scope='module')
def nginx(home, port):
    """The port of an nginx with the block of the example."""
    nginx, port = programs.require('nginx'), process.free_port()
    block = examples.commented(examples.adapted('uwsgi/glancelite.ini', {
        '/run/glancelite': home, 'include uwsgi_params': 'include /etc/nginx/uwsgi_params'}),
        'location / {')
    user = 'user root;' if os.getuid() == 0 else ''
    temporary = ''.join(f'{kind}_temp_path {home}/{kind};\n' for kind in (
        'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    (home / 'nginx.conf').write_text(
        f'daemon off; {user} pid {home}/pid; error_log {home}/nginx-log;\nevents {{}}\n'
        f'http {{\naccess_log off;\n{temporary}\nserver {{\nlisten 127.0.0.1:{port};\n'
        f'{block}\n}}\n}}\n')
    with process.running([nginx, '-p', home, '-c', home / 'nginx.conf'], log=home / 'nginx-log',
                         cwd=home, answers=lambda: process.listens(port)):
        yield port


@pytest.mark.parametrize('size', [MIB - 1, MIB, 3 * MIB + 1])
def test_an_upload_in_chunks_of_any_size_arrives_whole(port, size):
    path, _ = examples.create(port)
    chunks = [b'a' * size, b'b' * 5, b'c' * size]

    status = examples.upload(port, path, iter(chunks))

    assert status == 204
    assert examples.request(port, 'GET', path)[2] == b''.join(chunks)


def test_a_part_of_an_image_is_refused(port):
    path, _ = examples.create(port)

    assert examples.upload(port, path, b'abcd', **{'Content-Range': 'bytes 0-3/8'}) == 400


def test_an_upload_through_nginx_arrives_whole(nginx):
    path, _ = examples.create(nginx)

    status = examples.upload(nginx, path, iter([b'a' * (2 * MIB), b'b']))

    assert status == 204
    assert examples.request(nginx, 'GET', path)[2] == b'a' * (2 * MIB) + b'b'


def test_links_behind_nginx_have_its_port(nginx):
    _, location = examples.create(nginx)

    assert location.startswith(f'http://127.0.0.1:{nginx}/v2/images/')
    assert f'"http://127.0.0.1:{nginx}/v2/"' in examples.request(
        nginx, 'GET', '/versions')[2].decode()
