"""The suite for authenticators.  Subclass ``AuthContract`` and override ``auth``.

An authenticator that checks credentials subclasses ``IdentityContract`` instead.
"""

from __future__ import annotations

import concurrent.futures
import copy
import logging

import pytest

from glancelite import contract


class Unreadable:
    """A body that must not be read."""

    def __getattr__(self, name):
        raise AssertionError(f'wsgi.input.{name} was used: the body must stay untouched')


def request(**headers):
    """A WSGI environment with the given ``HTTP_...`` entries."""
    return {'REQUEST_METHOD': 'GET', 'SCRIPT_NAME': '', 'PATH_INFO': '/v2/images',
            'QUERY_STRING': '', 'SERVER_NAME': 'images.test', 'SERVER_PORT': '9292',
            'SERVER_PROTOCOL': 'HTTP/1.1', 'wsgi.url_scheme': 'http',
            'wsgi.input': Unreadable(), **headers}


#: headers without valid credentials
INVALID = [
    {}, {'HTTP_AUTHORIZATION': ''}, {'HTTP_AUTHORIZATION': 'Basic'},
    {'HTTP_AUTHORIZATION': 'Basic !!'}, {'HTTP_AUTHORIZATION': 'Basic YWJj'},
    {'HTTP_AUTHORIZATION': 'Bearer \xe9'}, {'HTTP_AUTHORIZATION': 'Basic ' + '=' * 10_000},
    {'HTTP_X_AUTH_TOKEN': ''},
    # headers of a gateway, sent by a client
    {'HTTP_X_IDENTITY_STATUS': 'Confirmed', 'HTTP_X_ROLES': 'admin', 'HTTP_X_USER_ID': 'u',
     'HTTP_X_PROJECT_ID': 'p'},
    {'REMOTE_USER': ''},
]


def outcome(auth, environ):
    """Return ``(caller, None)`` or ``(None, error)``."""
    try:
        return auth.identify(environ), None
    except contract.Unauthenticated as error:
        return None, error


class AuthContract:

    @pytest.fixture
    def auth(self):
        raise NotImplementedError('override the `auth` fixture')

    @pytest.mark.parametrize('headers', INVALID)
    def test_unknown_callers_are_rejected_unless_it_is_open(self, auth, headers):
        caller, error = outcome(auth, request(**headers))

        if auth.OPEN:
            assert caller.read_only is False
        elif error:
            assert str(error)
            assert error.challenge is None or error.challenge.isprintable()
        else:       # anonymous callers may read
            assert caller.read_only
            assert (caller.user, caller.project, caller.roles) == (None, None, frozenset())

    def test_declares_whether_it_is_open(self, auth):
        assert isinstance(auth.OPEN, bool)

    def test_reports_its_health_or_what_is_wrong(self, auth):
        try:
            report = auth.health()
        except contract.Error as error:
            report = str(error)

        assert report


class IdentityContract(AuthContract):

    @pytest.fixture
    def credentials(self):
        """``HTTP_...`` entries of a request with valid credentials."""
        raise NotImplementedError('override the `credentials` fixture')

    def test_a_caller_has_a_project_and_roles(self, auth, credentials):
        caller = auth.identify(request(**credentials))

        assert caller.project
        assert isinstance(caller.roles, frozenset)
        assert all(role == role.lower() for role in caller.roles)
        assert caller.read_only is False

    def test_is_admin_and_request_id_are_left_to_the_core(self, auth, credentials):
        caller = auth.identify(request(**credentials))

        assert caller.is_admin is False
        assert caller.request_id is None

    def test_the_same_credentials_give_the_same_caller(self, auth, credentials):
        first = auth.identify(request(**credentials))

        assert auth.identify(request(**credentials)) == first

    def test_a_valid_request_does_not_admit_invalid_ones(self, auth, credentials):
        auth.identify(request(**credentials))

        for name in credentials:
            caller, error = outcome(
                auth, request(**{**credentials, name: 'x' + credentials[name]}))
            assert error or auth.OPEN or caller.read_only

    def test_a_caller_cannot_add_roles_with_headers(self, auth, credentials):
        plain = auth.identify(request(**credentials))

        forged = auth.identify(request(**credentials, HTTP_X_ROLES='admin,owner-of-all',
                                       HTTP_X_PROJECT_ID='another',
                                       HTTP_X_SERVICE_ROLES='service'))

        assert (forged.roles, forged.project) == (plain.roles, plain.project)
        assert forged.service_roles == plain.service_roles

    def test_credentials_stay_out_of_logs_and_of_the_context(self, auth, credentials, caplog):
        environ = request(**credentials)
        before = copy.copy(environ)
        caplog.set_level(logging.DEBUG)

        caller = auth.identify(environ)

        for secret in credentials.values():
            assert secret not in caplog.text
            assert secret not in repr(caller)
        assert environ == before

    def test_many_can_be_identified_at_once(self, auth, credentials):
        expected = auth.identify(request(**credentials))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            callers = list(pool.map(lambda _: auth.identify(request(**credentials)), range(40)))

        assert callers == [expected] * 40
