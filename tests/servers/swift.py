"""Starts a Swift: one proxy, account, container and object server."""

import contextlib
import getpass
import http.client
import json
import socket

from tests.servers import process, virtualenv

VERSION = '2.38.3'
MIDDLEWARE = '13.0.1'  # of Keystone
USER, KEY = 'test:tester', 'testing'
#: users of the built-in authentication: user -> key
USERS = {USER: KEY, 'test:reader': 'reading', 'other:tester': 'testing2',
         'admin:admin': 'admin'}
PAGE, SHORT_PAGE = 10_000, 5    # names in a listing; the short one with Keystone

COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {home}
workers = 0
log_address = {home}/no-syslog
log_level = WARNING
"""

BACKEND = COMMON + """
devices = {home}/devices
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
# Long timeouts: a busy machine is slow, and no updater runs for what a timeout defers.
conn_timeout = 30
node_timeout = 60
container_update_timeout = 60
"""

PROXY = COMMON + """
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats tempurl bulk {auth} \
copy container_quotas account_quotas slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
recheck_account_existence = 1
recheck_container_existence = 1
conn_timeout = 30
node_timeout = 60
error_suppression_limit = 1000000
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:tempurl]
use = egg:swift#tempurl
[filter:bulk]
use = egg:swift#bulk
[filter:copy]
use = egg:swift#copy
[filter:container_quotas]
use = egg:swift#container_quotas
[filter:account_quotas]
use = egg:swift#account_quotas
[filter:slo]
use = egg:swift#slo
max_manifest_segments = {segments}
# No expirer runs that would delete the segments later.
allow_async_delete = false
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""

TEMPAUTH = """
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = s3.localhost
min_segment_size = 5242880
[filter:tempauth]
use = egg:swift#tempauth
storage_url_scheme = default
user_admin_admin = admin .admin .reseller_admin
user_test_tester = testing .admin
user_test_reader = reading
user_other_tester = testing2 .admin
"""

# Tokens are cached for a second only, so that a revoked one is soon rejected.
KEYSTONE = """
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
reseller_prefix = AUTH
reseller_admin_role = ResellerAdmin
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
token_cache_time = 1
"""

SWIFT = """
[swift-hash]
swift_hash_path_prefix = prefix
swift_hash_path_suffix = suffix
[storage-policy:0]
name = Policy-0
default = yes
[swift-constraints]
container_listing_limit = {listing}
"""

# Builds a ring with one device, as swift-ring-builder does.
RINGS = """
import sys
from swift.common.ring import RingBuilder
from swift.common.utils import set_swift_dir
home = sys.argv[1]
set_swift_dir(home)
for kind, port in zip(('account', 'container', 'object'), map(int, sys.argv[2:])):
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
    builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': port,
                     'replication_ip': '127.0.0.1', 'replication_port': port,
                     'device': 'sda', 'weight': 1.0, 'meta': ''})
    builder.rebalance()
    builder.get_ring().save(f'{home}/{kind}.ring.gz')
"""


class Swift:
    """A running Swift.

    ``url`` has no path. With Keystone, accounts are ``AUTH_<project id>`` and ``auth_url`` is
    None; the proxy accepts 10 segments per manifest and lists 5 objects per page. Otherwise
    ``auth_url`` is that of version 1, USERS has the users, and the S3 interface is at ``url``
    with the user names as access keys (region us-east-1).
    """

    def __init__(self, url, memcached, auth_url=None):
        self.url = url
        self.auth_url = auth_url
        self._memcached = memcached
        self._page = PAGE if auth_url else SHORT_PAGE

    def token(self, user=USER):
        """Return ``(storage URL, token)`` of a user of the built-in authentication."""
        response = _request(self.auth_url, 'GET',
                            {'X-Auth-User': user, 'X-Auth-Key': USERS[user]})
        return response.headers['X-Storage-Url'], response.headers['X-Auth-Token']

    def forget_tokens(self):
        """Let all tokens of the built-in authentication expire."""
        with socket.create_connection(('127.0.0.1', self._memcached), 10) as cache:
            cache.sendall(b'flush_all\r\n')
            assert cache.recv(100) == b'OK\r\n'

    def request(self, method, path, token, headers=None, body=None):
        """Return the response, whatever its status; ``path`` is below ``url``, or a URL."""
        url = path if path.startswith('http') else self.url + path
        return _request(url, method, {'X-Auth-Token': token, **(headers or {})}, body)

    def objects(self, storage_url, token, prefix=''):
        """Return ``container/object`` for all objects in containers with a prefix.

        Set the prefix, because other tests create many containers.
        """
        return [f'{container}/{name}' for container in self._list(storage_url, token, prefix)
                for name in self._list(f'{storage_url}/{container}', token)]

    def _list(self, url, token, prefix=''):
        names, marker = [], ''
        while True:
            page = json.loads(self.request(
                'GET', f'{url}?format=json&prefix={prefix}&marker={marker}', token).body or '[]')
            names += [entry['name'] for entry in page]
            if len(page) < self._page:
                return names
            marker = names[-1]


class Response:
    """Status, headers and body."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()


@contextlib.contextmanager
def server(venv, memcached, keystone=None):
    """Run a Swift while the block runs.

    :param venv: the result of ``install``.
    :param memcached: path of the program.
    :param keystone: a running Keystone instead of the built-in authentication; this Swift is
        added to its catalog.
    """
    ports = dict(zip(('proxy', 'account', 'container', 'object', 'memcached'),
                     _free_ports(5), strict=True))
    url = f'http://127.0.0.1:{ports["proxy"]}'
    with process.directory('swift') as home, contextlib.ExitStack() as running:
        _configure(home, ports, keystone)
        process.run([venv / 'bin/python', '-c', RINGS, home, ports['account'],
                     ports['container'], ports['object']], log=home / 'rings.log', cwd=home)

        def run(name, *command):
            port = ports[name]
            running.enter_context(process.running(
                command, answers=lambda: process.listens(port), log=home / f'{name}.log',
                cwd=home))

        run('memcached', memcached, '-l', '127.0.0.1', '-p', ports['memcached'], '-U', '0',
            '-m', '16', '-u', getpass.getuser())
        for kind in 'account', 'container', 'object', 'proxy':
            run(kind, venv / f'bin/swift-{kind}-server', home / f'{kind}.conf', '--verbose')
        if keystone:
            keystone.add_service('object-store', f'{url}/v1/AUTH_%(project_id)s')
        yield Swift(url, ports['memcached'], None if keystone else f'{url}/auth/v1.0')


def install():
    """Return the path of a virtual environment with Swift, which is created if missing."""
    return virtualenv.install('swift', VERSION, f'swift=={VERSION}',
                              f'keystonemiddleware=={MIDDLEWARE}')


def _configure(home, ports, keystone):
    (home / 'devices/sda').mkdir(parents=True)
    common = {'home': home, 'user': getpass.getuser()}
    for kind in 'account', 'container', 'object':
        (home / f'{kind}.conf').write_text(BACKEND.format(
            kind=kind, port=ports[kind], **common))
    auth, filters = 's3api tempauth', TEMPAUTH
    if keystone:
        auth = 'authtoken keystoneauth'
        filters = KEYSTONE + '\n'.join(f'{name} = {value}' for name, value
                                       in keystone.authtoken().items())
    (home / 'proxy.conf').write_text(PROXY.format(
        port=ports['proxy'], memcached=ports['memcached'], auth=auth,
        segments=10 if keystone else 1000, **common) + filters)
    (home / 'swift.conf').write_text(SWIFT.format(listing=SHORT_PAGE if keystone else PAGE))


def _free_ports(count):
    with contextlib.ExitStack() as probes:
        taken = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in taken:
            probe.bind(('127.0.0.1', 0))
        return [probe.getsockname()[1] for probe in taken]


def _request(url, method, headers, body=None):
    host, _, path = url.partition('://')[2].partition('/')
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request(method, f'/{path}', body=body, headers=headers)
        return Response(connection.getresponse())
    finally:
        connection.close()
