"""Starts the Glance that imports are compared with, under uWSGI, as its manual recommends."""

import pathlib
import shutil
import tempfile

import servers

from tests.servers import glance, live, process, programs

#: what keystonemiddleware, which is left out, would tell Glance of the caller
HEADERS = ('X-Identity-Status: Confirmed', 'X-User-Id: bench', 'X-Project-Id: bench',
           'X-Roles: admin,member,reader')


def start(workers, connection, stores, port_of_files, base=None):
    """Start Glance 33 with file stores.  It believes the headers of requests.

    :param connection: SQLAlchemy URL of an empty database of MariaDB.
    :param stores: the names of the stores.
    :param port_of_files: the port from which it may fetch data.
    """
    venv = glance.install()
    libraries, = venv.glob('lib/python*/site-packages')
    uwsgi = programs.require(programs.UWSGI)
    home = pathlib.Path(tempfile.mkdtemp(prefix='bench-glance-', dir=base))
    file, port = home / 'glance-api.conf', servers.free_port()
    paste = (venv / 'etc/glance/glance-api-paste.ini').read_text()
    (home / 'paste.ini').write_text(paste.replace(' authtoken ', ' '))
    live.write_config(file, {
        'DEFAULT': {'enabled_backends': ', '.join(f'{name}:file' for name in stores),
                    'enabled_import_methods': '[glance-direct,web-download]'},
        'glance_store': {'default_backend': stores[0]},
        'import_filtering_opts': {'allowed_hosts': '[127.0.0.1]',
                                  'allowed_ports': f'[{port_of_files}]'},
        'paste_deploy': {'config_file': home / 'paste.ini', 'flavor': 'keystone'},
        'database': {'connection': connection},
        **{name: {'filesystem_store_datadir': home / name}
           for name in (*stores, 'os_glance_staging_store', 'os_glance_tasks_store')}})
    try:
        process.run([venv / 'bin/glance-manage', '--config-file', file, 'db', 'sync'],
                    log=home / 'sync.log', cwd=home)
    except BaseException:
        shutil.rmtree(home)
        raise
    return servers.Server(
        # uWSGI has a Python of its own, which must see no other libraries than these
        ['env', f'OS_GLANCE_CONFIG_DIR={home}', f'PYTHONPATH={libraries}', uwsgi,
         '--http-socket', f'127.0.0.1:{port}', '--module', 'glance.wsgi.api:application',
         '--no-site', '--master', '--need-app', '--single-interpreter',
         '--processes', str(workers), '--threads', '4', '--enable-threads', '--lazy-apps',
         '--die-on-term', '--buffer-size', '65535', '--disable-logging', '--chdir', str(home)],
        port, home, home / 'api.log', ready='/v2/images?limit=1',
        headers=HEADERS)
