"""A typical glance-api.conf starts the service; options that are not used are reported."""

import http.client

import pytest

from tests.cmd import programs
from tests.servers import live

COMMON = """
transport_url = rabbit://openstack:secret@controller:5672/
log_dir = {home}
debug = false
use_syslog = false
image_size_cap = 2199023255552
show_image_direct_url = True
node_staging_uri = file:///var/lib/glance/staging
enabled_import_methods = [glance-direct,web-download]
image_cache_dir = /var/lib/glance/image-cache
disk_formats = raw,qcow2,exotic
worker_self_reference_url = http://controller:9292

[database]
connection = sqlite:///{home}/glance.sqlite
max_retries = -1
connection_recycle_time = 10

[keystone_authtoken]
www_authenticate_uri = http://controller:5000
auth_url = http://controller:5000
memcached_servers =
auth_type = password
project_domain_name = Default
user_domain_name = Default
project_name = service
username = glance
password = secret
service_token_roles = service
service_token_roles_required = true

[paste_deploy]
flavor = keystone

[oslo_messaging_notifications]
driver = messagingv2
transport_url = rabbit://openstack:secret@controller:5672/

[oslo_messaging_rabbit]
rabbit_quorum_queue = true

[oslo_concurrency]
lock_path = /var/lib/glance/tmp

[oslo_policy]
policy_file = policy.yaml
enforce_new_defaults = true

[oslo_limit]
auth_url = http://controller:5000

[cors]
allowed_origin = http://dashboard
max_age = 3600

[taskflow_executor]
max_workers = 5
"""

SINGLE = """
[DEFAULT]
bind_host = 127.0.0.1
bind_port = 9292
workers = 2
""" + COMMON + """
[glance_store]
stores = file,http
default_store = file
filesystem_store_datadir = {home}/images/
"""

MULTI = """
[DEFAULT]
bind_host = 127.0.0.1
workers = 2
enabled_backends = fast:file, cold:file
""" + COMMON + """
[glance_store]
default_backend = fast

[fast]
filesystem_store_datadir = {home}/images
store_description = "Disks that turn quickly"
weight = 100

[cold]
filesystem_store_datadir = {home}/cold

[os_glance_staging_store]
filesystem_store_datadir = /var/lib/glance/staging

[os_glance_tasks_store]
filesystem_store_datadir = /var/lib/glance/tasks_work_dir
"""

MISSING = [
    '[DEFAULT] transport_url: no event is sent to a message bus here; ',
    '[oslo_messaging_notifications] driver: no event is sent to a message bus here; ',
    '[DEFAULT] image_cache_dir: images are not cached here',
]
UNKNOWN = [
    '[oslo_messaging_notifications] transport_url', '[oslo_messaging_rabbit] rabbit_quorum_queue',
    '[oslo_concurrency] lock_path',
]
KNOWN = ['[DEFAULT] debug', '[DEFAULT] log_dir', '[DEFAULT] image_size_cap', '[cors] max_age',
         '[DEFAULT] disk_formats',
         '[database] max_retries', '[keystone_authtoken] username', '[paste_deploy] flavor',
         '[keystone_authtoken] project_domain_name', '[oslo_policy] policy_file']


@pytest.fixture(params=[SINGLE, MULTI], ids=['single store', 'several stores'])
def existing(request, tmp_path):
    """The directory of a glance-api.conf with an up-to-date database."""
    (tmp_path / 'glance-api.conf').write_text(request.param.format(home=tmp_path))
    programs.run('manage', ['db', 'sync'], tmp_path, env={'OS_GLANCE_CONFIG_DIR': str(tmp_path)})
    return tmp_path


def test_the_service_starts_and_requires_authentication(existing, live_server):
    # the name of the log file is that of the executable
    server = live_server(env={'OS_GLANCE_CONFIG_DIR': str(existing)}, executable=True)

    connection = http.client.HTTPConnection('127.0.0.1', server.port)
    connection.request('GET', '/v2/images')
    reply = connection.getresponse()
    reply.read()
    connection.close()

    assert reply.status == 401
    assert reply.getheader('WWW-Authenticate') == 'Keystone uri="http://controller:5000"'
    logged = (existing / 'glancelite-api.log').read_text()
    assert [logged.count(f'not used by glancelite: {name}\n') for name in UNKNOWN] == \
        [1] * len(UNKNOWN)
    assert [logged.count(text) for text in MISSING] == [1] * len(MISSING)
    assert [name for name in KNOWN if f'not used by glancelite: {name}\n' in logged] == []
    assert 'secret' not in logged


def test_the_check_lists_unused_options_and_backends_that_do_not_answer(existing):
    ended = programs.run('manage', ['check'], existing,
                         env={'OS_GLANCE_CONFIG_DIR': str(existing)})

    failed = [line for line in ended.out.splitlines() if line.startswith('FAIL')]
    assert ended.code == 1
    assert [line.partition(' does not answer: ')[0] for line in failed] == [
        'FAIL  auth keystone: http://controller:5000']
    assert 'secret' not in ended.out + ended.err
    for name in UNKNOWN:
        assert f'note  not used by glancelite: {name}\n' in ended.out
    assert [name for name in KNOWN if f'note  not used by glancelite: {name}\n' in ended.out] == []
    assert [ended.out.count(f'note  {text}') for text in MISSING] == [1] * len(MISSING)


def test_the_own_configuration_file_takes_precedence_over_that_of_glance(
        existing, tmp_path_factory):
    own = tmp_path_factory.mktemp('own')
    live.write_config(own / 'glancelite-api.conf', {
        'DEFAULT': {'enabled_backends': 'owned:memory'}, 'glance_store': {
            'default_backend': 'owned'}, 'layers': {'auth': 'noauth', 'database': 'memory'}})

    ended = programs.run('manage', ['layers'], own, env={'OS_GLANCE_CONFIG_DIR': str(existing)})

    assert 'owned (driver memory)' in ended.out
    assert 'fast' not in ended.out


@pytest.mark.parametrize('arguments', [
    [], ['--config-dir', 'more'], ['--config-dir', 'more', '--config-dir', 'empty']],
    ids=['default', 'one', 'two'])
def test_files_in_a_directory_complete_the_configuration_file(existing, arguments):
    folder = existing / (arguments[1] if arguments else 'glance-api.conf.d')
    folder.mkdir()
    (existing / 'empty').mkdir()
    (folder / '20-auth.conf').write_text('[layers]\nauth = noauth\n')
    (folder / '10-other.conf').write_text('[layers]\nauth = keyston\n[DEFAULT]\nsurplus = 1\n')
    (folder / 'note.txt').write_text('nonsense')

    ended = programs.run('manage', [*arguments, 'check'], existing,
                         env={'OS_GLANCE_CONFIG_DIR': str(existing)})

    assert 'ok    auth noauth: ' in ended.out, ended.out + ended.err
    assert 'note  not used by glancelite: [DEFAULT] surplus\n' in ended.out
    assert f'note  {MISSING[0]}' in ended.out
