"""Fixtures: the whole API over a service in memory, and callers named by their token."""

from __future__ import annotations

import dataclasses

import pytest
import webtest

from glancelite import contract
from glancelite.api import message
from glancelite.api.app import make_app
from glancelite.support import buffers
from glancelite.testing import service

#: without inspectors, so that tests may upload any bytes
SERVICE = service.MEMORY + 'inspector =\nmiddleware =\n'
CHALLENGE = 'Keystone uri="http://identity.example"'


class Tokens(contract.Authenticator):
    """``X-Auth-Token: <project>[:<role>,...]``; member and reader if no roles are named.

    ``X-Auth-Token: ?`` stands for an anonymous caller, where that is allowed.
    """

    def __init__(self):
        super().__init__(None, None)

    def identify(self, environ):
        token = environ.get('HTTP_X_AUTH_TOKEN')
        if token is None:
            raise contract.Unauthenticated('Authentication required', challenge=CHALLENGE)
        if token == '?':
            return contract.Context(read_only=True)
        project, _, roles = token.partition(':')
        roles = frozenset((roles or 'member,reader').split(','))
        return contract.Context(user=f'user-of-{project}', project=project, roles=roles)


@pytest.fixture
def recorder():
    """Records the events."""
    from glancelite.testing.fakes import Recorder
    return Recorder()


@pytest.fixture
def core(tmp_path, recorder):
    """The service without middleware, so that tests see only the API itself."""
    core = service.build(tmp_path, SERVICE)
    yield dataclasses.replace(service.exchange(core, notifiers=[recorder]),
                              authenticator=Tokens(), middleware=())
    core.close()


@pytest.fixture
def wsgi(core):
    """The bare WSGI application."""
    return make_app(core)


@pytest.fixture
def app(wsgi):
    """The application, called by a member of the project ``own``."""
    return client(wsgi)


@pytest.fixture
def variant(core):
    """``variant(cache=True)``: the application with other settings."""
    def make(**settings):
        settings = dataclasses.replace(core.settings, **settings)
        return client(make_app(dataclasses.replace(core, settings=settings)))

    return make


@pytest.fixture
def other(wsgi):
    """A member of another project."""
    return client(wsgi, 'other')


@pytest.fixture
def admin(wsgi):
    """An administrator."""
    return client(wsgi, 'admins:admin,member,reader')


@pytest.fixture
def no_token(wsgi):
    """A caller without a token."""
    return webtest.TestApp(wsgi)


def client(wsgi, token='own'):
    return webtest.TestApp(wsgi, extra_environ={'HTTP_X_AUTH_TOKEN': token})


@pytest.fixture
def new(app):
    """Creates an image and returns its id."""
    def register(**attributes):
        attributes = {'disk_format': 'raw', 'container_format': 'bare', **attributes}
        return app.post_json('/v2/images', attributes).json['id']

    return register


@pytest.fixture
def upload(app):
    """Uploads the data of an image."""
    def send(image_id, data=b'abcdefghij', **headers):
        return app.put(f'/v2/images/{image_id}/file', data, headers=headers,
                       content_type='application/octet-stream')

    return send


def error(response):
    """The message of an error in JSON."""
    return response.json['message']


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test advances, for the reading of bodies."""
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    for module in message, buffers:
        monkeypatch.setattr(module, 'time', clock)
    return clock
