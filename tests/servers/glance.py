"""The Image service of OpenStack itself, to which the databases belong."""

import contextlib
import http.client
import json

from tests.servers import live, process, virtualenv

VERSION = '33.0.0'
#: without authentication the caller has no role
POLICIES = dict.fromkeys((
    'default', 'add_image', 'get_image', 'get_images', 'modify_image', 'delete_image'), '@')
SERVE = """
from wsgiref.simple_server import make_server
from glance.wsgi.api import application
make_server('127.0.0.1', {port}, application).serve_forever()
"""


def install():
    """Path of its virtual environment."""
    return virtualenv.install('glance', VERSION, f'glance=={VERSION}', 'PyMySQL')


@contextlib.contextmanager
def server(venv, database):
    """Run Glance on a database, whose tables it creates or upgrades first.

    :returns: ``request(method, path, body) -> status, answer``.
    """
    port = process.free_port()
    with process.directory('glance') as home:
        log, config = home / 'log', home / 'glance-api.conf'
        live.write_config(config, {
            'DEFAULT': {'enabled_backends': 'f:file', 'enabled_import_methods': '[]'},
            'glance_store': {'default_backend': 'f'},
            'f': {'filesystem_store_datadir': home / 'f'},
            'os_glance_staging_store': {'filesystem_store_datadir': home / 'staging'},
            'os_glance_tasks_store': {'filesystem_store_datadir': home / 'tasks'},
            'paste_deploy': {'config_file': venv / 'etc/glance/glance-api-paste.ini'},
            'oslo_policy': {'policy_file': home / 'policy.json'},
            'database': {'connection': database}})
        (home / 'policy.json').write_text(json.dumps(POLICIES))
        process.run([venv / 'bin/glance-manage', '--config-file', config, 'db', 'sync'],
                    log=log, cwd=home)

        def request(method, path, body=None):
            connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
            with contextlib.closing(connection):
                media_type = ('application/openstack-images-v2.1-json-patch'
                              if method == 'PATCH' else 'application/json')
                connection.request(method, path, body and json.dumps(body),
                                   {'Content-Type': media_type})
                answer = connection.getresponse()
                text = answer.read()
                return answer.status, json.loads(text) if text else None

        with process.running(
                [venv / 'bin/python', '-c', SERVE.format(port=port)], log=log, cwd=home,
                answers=lambda: process.listens(port),
                env={'OS_GLANCE_CONFIG_DIR': str(home)}, timeout=120):
            yield request
