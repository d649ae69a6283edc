"""A private Keystone with projects, and users for every role."""

import contextlib
import functools
import getpass
import grp
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from tests.servers import process, virtualenv

VERSION = '30.0.0'
REGION = 'RegionOne'
PASSWORD = 'password'
PROJECTS = 'alpha', 'beta'
ROLES = 'admin', 'manager', 'member', 'reader', 'service'

CONFIGURATION = """
[DEFAULT]
public_endpoint = {url}
[database]
connection = sqlite:///{home}/keystone.db
[fernet_tokens]
key_repository = {home}/fernet
[fernet_receipts]
key_repository = {home}/receipts
[credential]
key_repository = {home}/credential
[identity]
password_hash_rounds = 4
# One process with one thread: its cache in memory stays correct, and SQLite
# is never locked.
[cache]
enabled = true
backend = dogpile.cache.memory
"""

GUNICORN = """
wsgi_app = 'keystone.wsgi.api:application'
bind = '127.0.0.1:{port}'
workers = 1
loglevel = 'warning'
"""


class Keystone:
    """A running Keystone.

    Users are named after their project and role: ``alpha-member``,
    ``beta-reader``, and so on for PROJECTS and ROLES. ``admin`` administers
    the cloud; ``glance`` is the Image service's own account, in the project
    ``service``. The password of all users is PASSWORD.

    ``url`` is the identity endpoint, with its version.
    """

    def __init__(self, url):
        self.url = url
        self._admin = None
        self._granted = set()

    def token(self, user, *, project=None, system=False):
        """A new token.

        :param project: name of the project it is for; None for the user's own.
        :param system: make it a token for the whole cloud instead.
        """
        scope = {'system': {'all': True}} if system else {'project': {
            'name': project or self._project_of(user), 'domain': {'id': 'default'}}}
        account = {'name': user, 'password': PASSWORD, 'domain': {'id': 'default'}}
        _, headers = self._call('POST', '/auth/tokens', {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': account}},
            'scope': scope}})
        return headers['X-Subject-Token']

    def token_data(self, token):
        """What Keystone returns when the token is validated."""
        found, _ = self._admin_call('GET', '/auth/tokens', subject=token)
        return found['token']

    def revoke(self, token):
        """Revoke a token."""
        self._call('DELETE', '/auth/tokens', token=token, subject=token)

    def environment(self, user, *, project=None):
        """What ``openrc`` files set for OpenStack's clients: name -> value."""
        return {
            'OS_AUTH_URL': self.url, 'OS_IDENTITY_API_VERSION': '3', 'OS_REGION_NAME': REGION,
            'OS_USERNAME': user, 'OS_PASSWORD': PASSWORD, 'OS_USER_DOMAIN_ID': 'default',
            'OS_PROJECT_NAME': project or self._project_of(user),
            'OS_PROJECT_DOMAIN_ID': 'default',
        }

    def authtoken(self):
        """Options for the section ``[keystone_authtoken]`` of an Image service."""
        return {
            'auth_url': self.url, 'www_authenticate_uri': self.url, 'auth_type': 'password',
            'username': 'glance', 'password': PASSWORD, 'user_domain_id': 'default',
            'project_name': 'service', 'project_domain_id': 'default',
            'service_token_roles': 'service', 'service_token_roles_required': 'true',
        }

    @functools.cached_property
    def projects(self):
        """Name -> id."""
        return self._ids('project')

    @functools.cached_property
    def users(self):
        """Name -> id."""
        return self._ids('user')

    def set_image_url(self, url):
        """Put this Image service into the catalogue of tokens issued from now on."""
        self._set_endpoint('image', url)

    def add_service(self, kind, url):
        """Put a service into the catalogue; its URL may contain ``%(project_id)s``."""
        found, _ = self._admin_call('GET', f'/services?type={kind}')
        if not found['services']:
            self._make('service', name=kind, type=kind)
        self._set_endpoint(kind, url)

    def add_user(self, name, role, project='service'):
        """Grant a role to a user; both are created if they do not exist."""
        if (name, role, project) in self._granted:
            return
        users, roles = self._ids('user'), self._ids('role')
        user = users.get(name) or self._make_user(name)
        role_id = roles.get(role) or self._make('role', name=role)
        self._admin_call('PUT', f'/projects/{self._ids("project")[project]}/users/{user}'
                                f'/roles/{role_id}')
        self._granted.add((name, role, project))

    def set_identity_url(self):
        """Put this Keystone into the catalogue."""
        self._set_endpoint('identity', self.url)

    def seed(self):
        """Create the projects, users and catalogue entries; needed once."""
        roles = self._ids('role')
        for name in set(ROLES) - set(roles):
            roles[name] = self._make('role', name=name)
        for project in PROJECTS:
            project_id = self._make('project', name=project, domain_id='default')
            for role in ROLES:
                user = self._make_user(f'{project}-{role}')
                self._admin_call('PUT', f'/projects/{project_id}/users/{user}/roles/{roles[role]}')
        service = self._make('project', name='service', domain_id='default')
        glance = self._make_user('glance')
        self._admin_call('PUT', f'/projects/{service}/users/{glance}/roles/{roles["service"]}')
        self._admin_call('PUT', f'/system/users/{glance}/roles/{roles["reader"]}')
        self._make('service', name='glance', type='image')
        self.set_image_url('http://127.0.0.1:9292')

    def answers(self):
        """Whether the service answers."""
        with urllib.request.urlopen(self.url, timeout=10) as reply:
            return reply.status == 200

    def _project_of(self, user):
        return {'admin': 'admin', 'glance': 'service'}.get(user) or user.partition('-')[0]

    def _make_user(self, name):
        return self._make('user', name=name, password=PASSWORD, domain_id='default')

    def _make(self, kind, **fields):
        made, _ = self._admin_call('POST', f'/{kind}s', {kind: fields})
        return made[kind]['id']

    def _ids(self, kind):
        found, _ = self._admin_call('GET', f'/{kind}s')
        return {entry['name']: entry['id'] for entry in found[f'{kind}s']}

    def _set_endpoint(self, kind, url):
        found, _ = self._admin_call('GET', f'/services?type={kind}')
        service = found['services'][0]['id']
        found, _ = self._admin_call('GET', f'/endpoints?service_id={service}')
        have = {entry['interface']: entry['id'] for entry in found['endpoints']}
        for interface in 'public', 'internal', 'admin':
            body = {'endpoint': {'service_id': service, 'interface': interface, 'url': url,
                                 'region_id': REGION}}
            if interface in have:
                self._admin_call('PATCH', f'/endpoints/{have[interface]}', body)
            else:
                self._admin_call('POST', '/endpoints', body)

    def _admin_call(self, method, path, body=None, subject=None):
        if self._admin is None:
            self._admin = self.token('admin', system=True)
        return self._call(method, path, body, self._admin, subject)

    def _call(self, method, path, body=None, token=None, subject=None):
        headers = {'Content-Type': 'application/json'} | ({'X-Auth-Token': token} if token else {})
        if subject:
            headers['X-Subject-Token'] = subject
        request = urllib.request.Request(self.url + path, method=method, headers=headers,
                                         data=json.dumps(body).encode() if body else None)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.loads(reply.read() or 'null'), reply.headers
        except urllib.error.HTTPError as error:
            raise RuntimeError(
                f'{method} {path}: {error.code} {error.read().decode()[:500]}') from None


@contextlib.contextmanager
def server(venv):
    """Run a Keystone with the seed data only, while the block runs.

    :param venv: what ``install`` returned; the seed is kept beside it, as
        creating it takes longer than everything else.
    """
    seed = venv.with_name('seed-' + hashlib.sha256(
        pathlib.Path(__file__).read_bytes()).hexdigest()[:12])
    with process.directory('keystone') as home:
        log, port = home / 'log', process.free_port()
        found = Keystone(f'http://127.0.0.1:{port}/v3')
        (home / 'keystone.conf').write_text(
            CONFIGURATION.format(home=home, url=f'http://127.0.0.1:{port}/'))
        (home / 'gunicorn.conf.py').write_text(GUNICORN.format(port=port))
        known = seed.exists()
        if known:
            _copy(seed, home)
        else:
            _bootstrap(venv, home, found.url, log)
        # Keystone reads the command line of its process, so gunicorn gets no arguments.
        with process.running([venv / 'bin/gunicorn'], answers=found.answers, log=log, cwd=home,
                             env={'OS_KEYSTONE_CONFIG_DIR': str(home)}):
            if known:
                found.set_identity_url()
            else:
                found.seed()
                _keep(home, seed)
            yield found


def install():
    """Path of a virtual environment with Keystone, built the first time."""
    return virtualenv.install('keystone', VERSION, f'keystone=={VERSION}', 'gunicorn')


def _bootstrap(venv, home, url, log):
    me, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    for command in (
            ['db_sync'],
            ['fernet_setup', '--keystone-user', me, '--keystone-group', group],
            ['credential_setup', '--keystone-user', me, '--keystone-group', group],
            ['bootstrap', '--bootstrap-password', PASSWORD, '--bootstrap-region-id', REGION,
             '--bootstrap-admin-url', url, '--bootstrap-internal-url', url,
             '--bootstrap-public-url', url]):
        process.run([venv / 'bin/keystone-manage', '--config-file', home / 'keystone.conf',
                     *command], log=log, cwd=home)


def _keep(home, seed):
    with tempfile.TemporaryDirectory(dir=seed.parent) as folder:
        ready = pathlib.Path(folder) / seed.name
        ready.mkdir()
        _copy(home, ready)
        with contextlib.suppress(OSError):  # another run was faster
            ready.rename(seed)


def _copy(source, target):
    shutil.copy(source / 'keystone.db', target)
    for keys in 'fernet', 'receipts', 'credential':
        shutil.copytree(source / keys, target / keys)
