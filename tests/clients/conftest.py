"""One service without authentication and one with a Keystone, for all tests of clients."""

import contextlib
import dataclasses
import pathlib

import openstack
import pytest
from glanceclient import client as glanceclient

from tests.clients import cli
from tests.servers import dropping_web, live
from tests.servers import keystone as keystone_starter


@dataclasses.dataclass
class Service:
    """A live service, and clients for it.

    :ivar keystone: None where there is no authentication.
    :ivar other_project: id of a project that is not the one of ``me``.
    :ivar stored: where its store has the files.
    """

    server: live.LiveServer
    keystone: keystone_starter.Keystone | None
    me: str
    project: str
    other_project: str
    stored: pathlib.Path
    closing: contextlib.ExitStack
    _connections: dict = dataclasses.field(default_factory=dict)
    _tokens: dict = dataclasses.field(default_factory=dict)

    @property
    def url(self):
        return self.server.url

    def sdk(self, user=None, token=None):
        """openstacksdk, as this user or with this token; connections are kept."""
        user = user or self.me
        key = user, token
        if key not in self._connections:
            self._connections[key] = self.closing.enter_context(self._connect(user, token))
        return self._connections[key]

    def _connect(self, user, token):
        alone = {'load_envvars': False, 'load_yaml_config': False}
        if token is not None:
            return openstack.connect(auth_type='admin_token', **alone, auth={
                'endpoint': self.url, 'token': token}, image_endpoint_override=self.url)
        if self.keystone is None:
            return openstack.connect(auth_type='none', image_endpoint_override=self.url,
                                     auth={'endpoint': self.url}, **alone)
        return openstack.connect(
            region_name=keystone_starter.REGION, **alone, auth={
                'auth_url': self.keystone.url, 'username': user,
                'password': keystone_starter.PASSWORD, 'user_domain_id': 'default',
                'project_name': user.partition('-')[0], 'project_domain_id': 'default'})

    def glance(self, user=None):
        """python-glanceclient; with Keystone, it uses a session, as Nova and Cinder do."""
        if self.keystone is None:
            return glanceclient.Client('2', endpoint=self.url, token='none')
        return glanceclient.Client('2', session=self.sdk(user).session,
                                   region_name=keystone_starter.REGION)

    def token(self, user=None):
        """A token for requests without a client."""
        user = user or self.me
        if user not in self._tokens:
            self._tokens[user] = 'none' if self.keystone is None else self.keystone.token(user)
        return self._tokens[user]

    def openstack(self, home, user=None):
        """The ``openstack`` command."""
        if self.keystone is None:
            return cli.Command(home, {}, 'openstack', '--os-auth-type', 'none',
                               '--os-endpoint', self.url)
        return cli.Command(home, self.keystone.environment(user or self.me), 'openstack')

    def glance_command(self, home, user=None):
        """The ``glance`` command."""
        if self.keystone is None:
            return cli.Command(home, {}, 'glance', '--os-image-url', self.url,
                               '--os-auth-token', 'none')
        return cli.Command(home, self.keystone.environment(user or self.me), 'glance')


@pytest.fixture(scope='session')
def embedded():
    """The service without any configuration."""
    with contextlib.ExitStack() as running:
        server = running.enter_context(live.server())
        yield Service(server, None, 'noauth', 'noauth', '0f5c4b7ea8d94cf2b1e6a7d3c2f10e98',
                      server.dir / 'state/glancelite/images', running)


@contextlib.contextmanager
def behind_keystone(keystone, **sections):
    """A service that uses this Keystone.

    :param sections: more of its configuration: section -> option -> value.
    """
    with contextlib.ExitStack() as running, \
            live.process.directory('clients') as home:
        server = running.enter_context(live.server({
            'DEFAULT': {'enabled_backends': 'fast:file', 'workers': 2},
            'glance_store': {'default_backend': 'fast'},
            'fast': {'filesystem_store_datadir': home / 'images'},
            'database': {'connection': f'sqlite:///{home}/glancelite.sqlite'},
            'layers': {'sync_database': 'true'},
            'paste_deploy': {'flavor': 'keystone'},
            'keystone_authtoken': keystone.authtoken(),
            **sections,
        }))
        yield Service(server, keystone, 'alpha-member', keystone.projects['alpha'],
                      keystone.projects['beta'], home / 'images', running)


@pytest.fixture(scope='session')
def _behind_keystone(keystone):
    with behind_keystone(keystone) as service:
        yield service


@pytest.fixture(scope='module')
def with_keystone(_behind_keystone):
    """The service of a cloud, found in the catalog of its Keystone."""
    _behind_keystone.keystone.set_image_url(_behind_keystone.url)
    return _behind_keystone


@dataclasses.dataclass
class Importing(Service):
    """A service with two stores and all import methods.

    :ivar web: a web server, from which it may download.
    :ivar cold: where its second store has the files.
    """

    web: object = None
    cold: pathlib.Path | None = None


@pytest.fixture(scope='session')
def _importing(keystone):
    methods = '[glance-direct, web-download, copy-image, glance-download]'
    with dropping_web.running(b'') as web, live.process.directory('cold') as cold, \
            behind_keystone(
                keystone,
                DEFAULT={'enabled_backends': 'fast:file, cold:file', 'workers': 2,
                         'enabled_import_methods': methods},
                cold={'filesystem_store_datadir': cold / 'images'},
                import_filtering_opts={'allowed_hosts': '127.0.0.1', 'allowed_ports': ''},
                worker={'retries': 1}) as service:
        yield Importing(**{field.name: getattr(service, field.name)
                           for field in dataclasses.fields(Service)},
                        web=web, cold=cold / 'images')


@pytest.fixture(scope='module')
def with_imports(_importing):
    """The service of a cloud that imports images, found in the catalog of its Keystone."""
    _importing.keystone.set_image_url(_importing.url)
    return _importing
