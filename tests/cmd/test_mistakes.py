"""An invalid configuration stops the start with one line that names the right value."""

import importlib.metadata
import socket

import pytest

from tests.cmd import programs
from tests.servers import live

VALID = {
    'DEFAULT': {'bind_host': '127.0.0.1', 'enabled_backends': 'file:file'},
    'glance_store': {'default_backend': 'file'},
    'file': {'filesystem_store_datadir': '{home}/images'},
    'database': {'connection': 'sqlite:///{home}/glancelite.sqlite'},
    'layers': {'auth': 'noauth', 'sync_database': 'true'},
}
#: the same without tables, whose creation takes most of the time
WITHOUT_TABLES = {**VALID, 'DEFAULT': {**VALID['DEFAULT'], 'workers': '1'},
                  'layers': {'auth': 'noauth', 'database': 'memory'}}

STORES = sorted({plugin.name for plugin in importlib.metadata.entry_points(
    group='glancelite.store')})


def start(home, *arguments, **changes):
    """Start the API with these sections changed, and with tables if ``database`` is one."""
    valid = VALID if 'database' in changes else WITHOUT_TABLES
    config = {section: {**valid.get(section, {}), **changes.get(section, {})}
              for section in valid.keys() | changes.keys()}
    file = home / 'glancelite-api.conf'
    live.write_config(file, {
        section: {name: str(value).format(home=home) for name, value in options.items()
                  if value is not None} for section, options in config.items()})
    return programs.run('api', ['--config-file', file, *arguments], home)


@pytest.mark.parametrize(('changes', 'complaint'), [
    pytest.param({'layers': {'quota': 'limit'}},
                 "no quota plugin is called 'limit'; installed: limits", id='quota'),
    pytest.param({'layers': {'auth': 'keyston'}}, "no auth plugin is called 'keyston'; "
                 'installed: http_basic, keystone, noauth', id='auth'),
    pytest.param({'layers': {'database': 'mongo'}},
                 "no database plugin is called 'mongo'; installed: memory, sql", id='database'),
    pytest.param({'DEFAULT': {'enabled_backends': 'file:fiel'}},
                 f"no store plugin is called 'fiel'; installed: {', '.join(STORES)}", id='store'),
    pytest.param({'DEFAULT': {'bind_host': '0.0.0.0'}},
                 '[layers] auth = noauth accepts everyone, so the service must listen on '
                 'loopback only: set bind_host = 127.0.0.1, or [layers] allow_insecure_bind = '
                 'true', id='no authentication'),
    pytest.param({'DEFAULT': {'enabled_backends': 'file:memory', 'workers': '2'},
                  'layers': {'database': 'memory'}},
                 'database memory and store file: each process would have its own data; set '
                 '[DEFAULT] workers = 1', id='several processes'),
    pytest.param({'task': {'work_dir': 'work'}}, '[task] work_dir = work: it must be an absolute '
                 'path, such as /var/lib/glance/work', id='work_dir'),
    pytest.param({'database': {'connection': 'sqlite://'}},
                 'database sql: each process would have its own data; set [DEFAULT] workers = 1',
                 id='several processes, SQLite'),
    *(pytest.param({'DEFAULT': {name: value}}, f'[DEFAULT] {name} is not supported, and '
                   'what it protects would be unprotected; unset it to start without that '
                   'protection', id=name) for name, value in (
                       ('property_protection_file', '/etc/glance/protections.conf'),
                       ('use_keystone_limits', 'true'), ('metadata_encryption_key', '0' * 16))),
    pytest.param({'glance_store': {'default_backend': None}},
                 '[glance_store] default_backend is not set; it must be one of '
                 'enabled_backends: file', id='no default store'),
    pytest.param({'glance_store': {'default_backend': 'cold'}},
                 '[glance_store] default_backend = cold is not one of enabled_backends: file',
                 id='unknown default store'),
    pytest.param({'DEFAULT': {'enabled_backends': 'file:file,os_glance_tasks_store:file'}},
                 '[DEFAULT] enabled_backends: os_glance_tasks_store: names beginning with '
                 'os_glance_ are reserved', id='reserved'),
    pytest.param({'DEFAULT': {'enabled_backends': 'file'}},
                 '[DEFAULT] enabled_backends: write name:driver pairs separated by commas, such '
                 'as fast:file, cold:s3; each name once', id='no driver'),
    pytest.param({'DEFAULT': {'enabled_backends': 'file:file, file:http'}},
                 '[DEFAULT] enabled_backends: write name:driver pairs separated by commas, such '
                 'as fast:file, cold:s3; each name once', id='one name twice'),
    pytest.param({'database': {'connection': 'oracle://glance:secret@db/glance'}},
                 'database sql: [database] connection: oracle is not supported; use one of '
                 'mariadb, mysql, postgresql, sqlite', id='database driver'),
    pytest.param({'database': {'connection': 'postgresql://glance:sec@ret:secret@db/glance'}},
                 'database sql: [database] connection is not a URL such as '
                 'postgresql://user:password@host/database; in the password, write %40 for '
                 '"@", %3A for ":" and %2F for "/"', id='characters of a password'),
    pytest.param({'database': {'connection': None}},
                 'database sql: [database] connection must be set, such as '
                 'postgresql://user:password@host/glance or '
                 'sqlite:////var/lib/glance/glance.sqlite', id='no connection'),
    pytest.param({'database': {'connection': 'postgresql://glance:secret@127.0.0.1:1/glance'}},
                 'the database does not answer: connection refused', id='database down'),
    pytest.param({'layers': {'sync_database': 'false'}, 'database': {}},
                 'the database schema is not up to date; run: glancelite-manage db sync',
                 id='database not synced'),
    pytest.param({'DEFAULT': {'workers': 'many'}}, "[DEFAULT] workers: 'many' is not a whole "
                 'number', id='number'),
    pytest.param({'DEFAULT': {'bind_port': '99999'}},
                 '[DEFAULT] bind_port: Should be less than or equal to 65535', id='port'),
    pytest.param({'DEFAULT': {'public_endpoint': 'images.example'}},
                 '[DEFAULT] public_endpoint: the value is not a URL such as https://host:9292',
                 id='URL'),
    pytest.param({'DEFAULT': {'image_size_cap': 'big'}},
                 "quota limits: [DEFAULT] image_size_cap: 'big' is not a whole number",
                 id='number of a plugin'),
    pytest.param({'file': {'filesystem_store_chunk_size': 'x'}},
                 "store file: [file] filesystem_store_chunk_size: 'x' is not a whole number",
                 id='number of a store'),
    pytest.param({'database': {'pool_timeout': 'x'}},
                 "database sql: [database] pool_timeout: 'x' is not a whole number",
                 id='number of a library'),
    pytest.param({'DEFAULT': {'workers': '$many'}}, '[DEFAULT] workers: "$" begins the name of '
                 'another option, and there is none; write "$$" for "$"', id='dollar'),
    pytest.param({'database': {'connection': 'postgresql://glance:a$secret@db/glance'}},
                 'database sql: [database] connection: "$" begins the name of another option, '
                 'and there is none; write "$$" for "$"', id='dollar in a password'),
    pytest.param({'layers': {'sync_database': 'perhaps'}},
                 "[layers] sync_database: Unexpected boolean value 'perhaps'", id='switch'),
    pytest.param({'DEFAULT': {'user_storage_quota': '5 PB'}},
                 "quota limits, section [DEFAULT]: user_storage_quota is '5 PB'; it must be a "
                 'whole number, with or without one of the units B, KB, MB, GB, TB',
                 id='storage quota'),
    pytest.param({'layers': {'auth': 'keystone'}},
                 'auth keystone: [keystone_authtoken] auth_type must be set, for example to '
                 'password, with auth_url and the account of this service', id='keystone'),
    pytest.param({'paste_deploy': {'config_file': '/etc/glance/glance-api-paste.ini'}},
                 '[paste_deploy] config_file: there is no file /etc/glance/glance-api-paste.ini',
                 id='paste'),
    pytest.param({'DEFAULT': {'location_strategy': 'fastest'}},
                 '[DEFAULT] location_strategy = fastest is unknown; known: location_order, '
                 'store_type', id='strategy'),
    pytest.param({'key_manager': {'backend': 'vautl'}},
                 'key_manager castellan: [key_manager] backend = vautl: Castellan has no such '
                 'driver; it always has barbican and vault', id='key manager'),
    pytest.param({'pipeline': {'extra': 'request_id, gzip'}},
                 "no middleware plugin is called 'gzip'; installed: cors, healthcheck, "
                 'proxy_headers, request_id', id='extra'),
    pytest.param({'file': {'filesystem_store_datadirs': '/images:1'}},
                 'store file, section [file]: set either filesystem_store_datadir or '
                 'filesystem_store_datadirs, not both',
                 id='two kinds of directories'),
])
def test_the_line_names_the_error_and_the_right_value(changes, complaint, tmp_path):
    ended = start(tmp_path, **changes)

    assert ended.complaint == complaint
    assert ended.code == 1
    assert 'secret' not in ended.err


@pytest.mark.parametrize(('changes', 'words'), [
    pytest.param({'paste_deploy': {'flavor': 'keystone+cache'}},
                 ['[paste_deploy] flavor = keystone+cache is unknown', 'keystone+caching,'],
                 id='flavor'),
    pytest.param({'DEFAULT': {'hashing_algorithm': 'sha5'}},
                 ['[DEFAULT] hashing_algorithm = sha5 is unknown; known:', 'sha512'], id='hash'),
    pytest.param({'DEFAULT': {'hashing_algorithm': 'shake_256'}},
                 ['[DEFAULT] hashing_algorithm = shake_256 is unknown; known:', ' sha512'],
                 id='hash of variable length'),
    *(pytest.param({'DEFAULT': {name: '/nowhere/x'}}, [
        'the log cannot be written as configured', '/nowhere/x'], id=name)
      for name in ('log_file', 'log_dir', 'log_config_append')),
    pytest.param({'layers': {'auth': 'keystone'}, 'keystone_authtoken': {'auth_type': 'pass'}},
                 ['auth keystone: cannot start: ', 'plugin pass could not be found'],
                 id='kind of account'),
])
def test_the_line_names_the_option_and_its_allowed_values(changes, words, tmp_path):
    ended = start(tmp_path, **changes)

    assert [word for word in words if word not in ended.complaint] == []
    assert ended.code == 1


@pytest.mark.parametrize('rules', ['get_image: [', 'get_image: "role:reader and"',
                                   '- get_image'])
def test_a_broken_policy_file_stops_the_start(rules, tmp_path):
    (tmp_path / 'policy.yaml').write_text(rules)

    ended = start(tmp_path, oslo_policy={'policy_file': '{home}/policy.yaml'})

    assert ended.complaint.startswith('policy oslo: ')
    assert ended.code == 1


def test_two_stores_with_one_directory_are_one_line(tmp_path):
    ended = start(tmp_path, DEFAULT={'enabled_backends': 'file:file, cold:file'},
                  cold={'filesystem_store_datadir': '{home}/images'})

    assert ended.complaint == (f'the stores file and cold must not share {tmp_path}/images')
    assert ' ERROR ' not in ended.out + ended.err


def test_a_plugin_is_listed_once_at_the_start(tmp_path, live_server):
    config = {section: {name: value.format(home=tmp_path) for name, value in options.items()}
              for section, options in VALID.items()}
    config['DEFAULT'] |= {'workers': '2', 'log_file': 'api.log'}

    server = live_server(config)

    logged = (server.dir / 'api.log').read_text()
    assert logged.count('inspector: format is glancelite ') == 1


def test_a_warning_of_a_plugin_is_logged_once_for_all_workers(tmp_path, live_server):
    config = {section: {name: value.format(home=tmp_path) for name, value in options.items()}
              for section, options in VALID.items()}
    config['DEFAULT'] |= {'workers': '2', 'log_file': 'api.log'}
    config['oslo_policy'] = {'policy_file': '/nowhere/policy.yaml'}

    server = live_server(config)

    logged = (server.dir / 'api.log').read_text()
    assert logged.count('there is no policy file /nowhere/policy.yaml') == 1


def test_a_missing_configuration_file_is_named(tmp_path):
    ended = programs.run('api', ['--config-file', '/nowhere/glance.conf'], tmp_path)

    assert ended.complaint == 'Failed to find some config files: /nowhere/glance.conf'
    assert ended.code == 1


def test_a_line_without_an_option_is_named(tmp_path):
    file = tmp_path / 'glance.conf'
    file.write_text('[DEFAULT]\nenabled_backends\n')

    ended = programs.run('api', ['--config-file', file], tmp_path)

    assert f'{file}:2' in ended.complaint
    assert 'enabled_backends' not in ended.complaint    # the line may contain a password
    assert ended.code == 1


def test_a_file_in_another_encoding_is_one_line(tmp_path):
    (tmp_path / 'glancelite-api.conf').write_bytes(b'[DEFAULT]\n# Caf\xe9\n')

    ended = programs.run('api', ['--config-file', tmp_path / 'glancelite-api.conf'], tmp_path)

    assert ended.code == 1
    assert ended.err == 'glancelite-api: a configuration file is not in UTF-8\n'


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]

        ended = start(tmp_path, DEFAULT={'bind_port': port})

    assert ended.err.splitlines()[-1].startswith(
        f'cannot start: cannot listen on 127.0.0.1:{port}: ')
    assert ended.code == 2


def test_a_certificate_that_cannot_be_read_is_named(tmp_path):
    ended = start(tmp_path, DEFAULT={'cert_file': '/nowhere/cert.pem'})

    assert ended.err.splitlines()[-1].startswith('cannot start: cert_file')
    assert ended.code == 2


def test_an_unknown_argument_is_rejected(tmp_path):
    ended = start(tmp_path, '--verbosely')

    assert ended.err.splitlines()[-1] == \
        'glancelite-api: error: unrecognized arguments: --verbosely'
    assert ended.code == 2


def test_the_version_is_printed(tmp_path):
    ended = programs.run('api', ['--version'], tmp_path)

    assert ended.code == 0
    assert ended.out.count('.') == 2
