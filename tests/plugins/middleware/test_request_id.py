"""The middleware ``request_id`` keeps the contract; every request has one id."""

import re

import pytest
import webob
from oslo_context import context

from glancelite.plugins.middleware.request_id import RequestId
from glancelite.testing.contracts.middleware import Answer, Client, MiddlewareContract, request


def call(middleware, app=None, **headers):
    """Returns the status, and the request ids of the response and inside."""
    seen = {}

    def inner(environ, start_response):
        seen['id'] = environ['openstack.request_id']
        seen['log'] = context.get_current().request_id
        return (app or Answer(b''))(environ, start_response)

    client = Client(middleware.wrap(inner))
    client(request(**headers))
    answered = [value for key, value in client.headers if key.lower() == 'x-openstack-request-id']
    assert seen.get('id') == seen.get('log')
    return client.status, answered, seen.get('id')


class TestRequestId(MiddlewareContract):

    @pytest.fixture
    def middleware(self, make_plugin):
        return make_plugin(RequestId)

    def test_a_request_without_an_id_gets_one(self, middleware):
        _, [answered], inside = call(middleware)

        assert re.fullmatch('req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', answered)
        assert inside == answered
        assert call(middleware)[1] != [answered]

    @pytest.mark.parametrize(('sent', 'expected'), [
        ('req-mine', 'req-mine'), ('mine', 'req-mine'), (' mine ', 'req-mine'),
        ('x' * 64, 'req-' + 'x' * 64)])
    def test_the_id_of_the_client_is_kept(self, middleware, sent, expected):
        assert call(middleware, HTTP_X_OPENSTACK_REQUEST_ID=sent) == (
            '200 OK', [expected], expected)

    @pytest.mark.parametrize('sent', ['', '  '])
    def test_an_empty_id_is_replaced(self, middleware, sent):
        assert len(call(middleware, HTTP_X_OPENSTACK_REQUEST_ID=sent)[2]) == 40

    def test_an_id_that_is_too_long_is_refused(self, middleware):
        status, (request_id,), inside = call(middleware, HTTP_X_OPENSTACK_REQUEST_ID='x' * 65)

        assert status == '431 Request Header Fields Too Large'
        assert inside is None
        assert request_id.startswith('req-')

    def test_the_refusal_is_plain_text_also_in_json(self, middleware):
        asked = webob.Request.blank('/', accept='application/json', headers={
            'X-Openstack-Request-ID': 'x' * 65})

        answer = asked.get_response(middleware.wrap(None))

        assert answer.json['message'] == 'X-Openstack-Request-ID has more than 64 characters.'

    @pytest.mark.parametrize(('maximum', 'length', 'status'), [
        (0, 5000, '200 OK'), (3, 3, '200 OK'), (3, 4, '431 Request Header Fields Too Large')])
    def test_the_maximum_length_is_an_option(self, make_plugin, maximum, length, status):
        middleware = make_plugin(RequestId, max_request_id_length=maximum)

        assert call(middleware, HTTP_X_OPENSTACK_REQUEST_ID='x' * length)[0] == status

    def test_401_has_no_request_id(self, middleware):
        assert call(middleware, Answer(b'', status='401 Unauthorized'))[1] == []

    @pytest.mark.parametrize('status', ['204 No Content', '403 Forbidden', '500 Internal'])
    def test_other_statuses_have_one(self, middleware, status):
        _, [answered], inside = call(middleware, Answer(b'', status=status))

        assert answered == inside

    def test_a_response_that_has_an_id_keeps_it(self, middleware):
        remote = Answer(b'', headers=[('X-OpenStack-Request-Id', 'req-of-another-server')])

        assert call(middleware, remote)[1] == ['req-of-another-server']

    def test_oslo_log_finds_it_in_the_thread(self, middleware):
        call(middleware, HTTP_X_OPENSTACK_REQUEST_ID='req-7')

        assert context.get_current().get_logging_values()['request_id'] == 'req-7'
