"""The Image service of OpenStack itself, to which the databases belong."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil

from tests.servers import live, process, virtualenv

VERSION = '33.0.0'
#: without authentication the caller has no role
POLICIES = dict.fromkeys((
    'default', 'add_image', 'get_image', 'get_images', 'modify_image', 'delete_image',
    'metadef_admin', 'get_metadef_namespace', 'get_metadef_namespaces', 'get_metadef_object',
    'get_metadef_objects', 'get_metadef_property', 'get_metadef_properties', 'get_metadef_tag',
    'get_metadef_tags', 'list_metadef_resource_types', 'get_metadef_resource_type'), '@')
SERVE = """
from wsgiref.simple_server import make_server
from glance.wsgi.api import application
make_server('127.0.0.1', {port}, application).serve_forever()
"""


def install():
    """Path of its virtual environment."""
    return virtualenv.install('glance', VERSION, f'glance=={VERSION}', 'PyMySQL')


class Glance:
    """A running Glance."""

    def __init__(self, port):
        self.port = port

    def __call__(self, method, path, body=None):
        """Send JSON; return the status of the answer, and its JSON or None."""
        answer = self.send(method, path, body and json.dumps(body), {
            'Content-Type': 'application/openstack-images-v2.1-json-patch'
            if method == 'PATCH' else 'application/json'})
        return answer.status, json.loads(answer.body) if answer.body else None

    def send(self, method, path, body=None, headers=None):
        """Send a request; return the answer, with ``body`` read."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer


@contextlib.contextmanager
def server(venv, database=None, config=None, *, identified=False):
    """Run Glance on a database, whose tables it creates or upgrades first.

    :param database: None for a new SQLite database.
    :param config: more of its configuration: section -> option -> value.
    :param identified: the headers of keystonemiddleware name each caller, and the policies are
        those of Glance.  Otherwise all is allowed to everybody.
    """
    port = process.free_port()
    with process.directory('glance') as home:
        log, file = home / 'log', home / 'glance-api.conf'
        given = venv / 'etc/glance/glance-api-paste.ini'
        paste = home / 'glance-api-paste.ini'
        paste.write_text(given.read_text().replace(' authtoken ', ' ') if identified
                         else given.read_text())
        sections = {
            'DEFAULT': {'enabled_backends': 'f:file', 'enabled_import_methods': '[]'},
            'glance_store': {'default_backend': 'f'},
            'f': {'filesystem_store_datadir': home / 'f'},
            'os_glance_staging_store': {'filesystem_store_datadir': home / 'staging'},
            'os_glance_tasks_store': {'filesystem_store_datadir': home / 'tasks'},
            'paste_deploy': {'config_file': paste, 'flavor': 'keystone' if identified else ''},
            'oslo_policy': {} if identified else {'policy_file': home / 'policy.json'},
            'database': {'connection': database or f'sqlite:///{home}/glance.sqlite'}}
        for section, values in (config or {}).items():
            sections[section] = {**sections.get(section, {}), **values}
        live.write_config(file, sections)
        (home / 'policy.json').write_text(json.dumps(POLICIES))
        _sync(venv, file, sections['database']['connection'], log)
        with process.running(
                [venv / 'bin/python', '-c', SERVE.format(port=port)], log=log, cwd=home,
                answers=lambda: process.listens(port),
                env={'OS_GLANCE_CONFIG_DIR': str(home)}, timeout=120):
            yield Glance(port)


def _sync(venv, config, database, log):
    """Create or upgrade the tables; those of SQLite are created once, beside Glance."""
    path = pathlib.Path(database.removeprefix('sqlite:///'))
    seed = venv.with_name('tables.sqlite')
    new = database.startswith('sqlite:///') and not path.exists()
    if new and seed.exists():
        shutil.copy(seed, path)
        return
    process.run([venv / 'bin/glance-manage', '--config-file', config, 'db', 'sync'],
                log=log, cwd=config.parent)
    if new:
        copy = seed.with_name(f'tables-{os.getpid()}.sqlite')
        shutil.copy(path, copy)
        copy.replace(seed)      # other runs of the tests see the whole file
