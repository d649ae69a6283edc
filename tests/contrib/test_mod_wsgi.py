"""The example for Apache with mod_wsgi serves the Image API."""

import grp
import os
import pwd
import shutil
import signal
import sys

import pytest

from tests.contrib import examples
from tests.servers import live, process, programs

CONFIG = {
    'DEFAULT': {'enabled_backends': 'file:file'}, 'glance_store': {'default_backend': 'file'},
    'layers': {'auth': 'noauth', 'sync_database': 'true', 'inspector': ''}}
#: Apache serves no requests as root
NOBODY = ('nobody', 'nogroup')


@pytest.fixture(scope='module')
def port():
    apache, module = programs.require('apache2'), programs.require(programs.MOD_WSGI)
    libraries = [str(examples.CONTRIB.parent),
                 *(path for path in sys.path if 'site-packages' in path)]
    user, group = NOBODY if os.getuid() == 0 else (
        pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name)
    with process.directory('apache') as home:
        port = process.free_port()
        live.write_config(home / 'glancelite-api.conf', CONFIG | {
            'file': {'filesystem_store_datadir': home / 'images'},
            'database': {'connection': f'sqlite:///{home}/images.sqlite'}})
        (home / 'glancelite.wsgi').write_text('from glancelite.wsgi import application\n')
        site = examples.adapted('mod_wsgi/glancelite.conf', {
            'Listen 9292': f'Listen 127.0.0.1:{port}', '*:9292': f'127.0.0.1:{port}',
            'user=glance group=glance': f'user={user} group={group}', 'processes=2': 'processes=1',
            'python-home=/opt/glancelite': f'python-path={":".join(libraries)}',
            '/opt/glancelite': home})
        (home / 'apache.conf').write_text(
            ''.join(f'LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n'
                    for name in ('mpm_event', 'authz_core', 'alias'))
            + f'LoadModule wsgi_module {module}\nServerName localhost\nUser {user}\n'
            f'Group {group}\nPidFile {home}/pid\nErrorLog {home}/log\n'
            f'WSGISocketPrefix {home}/wsgi\n{site}')
        if os.getuid() == 0:
            shutil.chown(home, *NOBODY)
        with process.running([apache, '-f', home / 'apache.conf', '-DFOREGROUND'],
                             answers=lambda: live.answers(port), log=home / 'out', cwd=home,
                             env=live.private(home), stop=signal.SIGTERM):
            yield port


def test_an_upload_in_chunks_arrives_whole(port):
    path, location = examples.create(port)

    status = examples.upload(port, path, iter([b'a' * 3_000_000, b'b']))

    assert status == 204
    assert examples.request(port, 'GET', path)[2] == b'a' * 3_000_000 + b'b'
    assert location.startswith(f'http://127.0.0.1:{port}/v2/images/')


def test_a_part_of_an_image_is_refused(port):
    path, _ = examples.create(port)

    assert examples.upload(port, path, b'abcd', **{'Content-Range': 'bytes 0-3/8'}) == 400
