"""The middleware ``cors`` keeps the contract and behaves as the library does."""

import pytest
from oslo_middleware import cors as library

from glancelite.plugins.middleware import cors
from glancelite.plugins.middleware.cors import CORS
from glancelite.testing.contracts.middleware import Answer, Client, MiddlewareContract, request

PAGE = 'https://page.test'
PREFLIGHT = {'HTTP_ORIGIN': PAGE, 'HTTP_ACCESS_CONTROL_REQUEST_METHOD': 'PATCH',
             'HTTP_ACCESS_CONTROL_REQUEST_HEADERS': 'X-Auth-Token'}


def ask(app, method='GET', **headers):
    """``(status, headers, body)``."""
    client = Client(app)
    body = b''.join(client(request(method, **headers)))
    return client.status, dict(client.headers), body


class TestCORS(MiddlewareContract):

    @pytest.fixture
    def middleware(self, make_middleware):
        return make_middleware(CORS, cors={'allowed_origin': [PAGE]})

    def test_a_request_from_an_allowed_origin_is_permitted(self, middleware):
        status, headers, body = ask(middleware.wrap(Answer(b'not called')), 'OPTIONS', **PREFLIGHT)

        assert (status, body) == ('200 OK', b'')
        assert headers['Access-Control-Allow-Origin'] == PAGE
        assert headers['Access-Control-Allow-Methods'] == 'PATCH'
        assert headers['Access-Control-Allow-Headers'] == 'X-Auth-Token'

    @pytest.mark.parametrize('change', [
        {'HTTP_ORIGIN': 'https://other.test'}, {'HTTP_ACCESS_CONTROL_REQUEST_METHOD': 'TRACE'},
        {'HTTP_ACCESS_CONTROL_REQUEST_HEADERS': 'X-Odd'}])
    def test_other_origins_and_requests_are_not(self, middleware, change):
        status, headers, body = ask(
            middleware.wrap(Answer(b'')), 'OPTIONS', **{**PREFLIGHT, **change})

        assert (status, body) == ('200 OK', b'')
        assert not any(name.startswith('Access-Control') for name in headers)

    def test_a_response_has_the_allowed_origin_and_headers(self, middleware):
        _, headers, body = ask(middleware.wrap(Answer(b'data')), HTTP_ORIGIN=PAGE)

        assert body == b'data'
        assert headers['Access-Control-Allow-Origin'] == PAGE
        assert headers['Access-Control-Expose-Headers'] == ','.join(cors.EXPOSE_HEADERS)

    @pytest.mark.parametrize('path', ['/', '/v2/images', '/nothing/here'])
    def test_options_on_any_path_does_not_call_the_application(self, make_middleware, path):
        def app(environ, start_response):
            raise AssertionError('the application was called')

        client = Client(make_middleware(CORS).wrap(app))
        body = b''.join(client(request('OPTIONS', path)))

        assert (client.status, client.headers, body) == ('200 OK', [('Content-Length', '0')], b'')

    @pytest.mark.parametrize('allowed', [None, [PAGE], ['*'], ['https://a.test', PAGE]])
    @pytest.mark.parametrize('origin', [None, PAGE, 'https://other.test', ''])
    @pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
    def test_responses_are_those_of_the_library(self, make_middleware, allowed, origin, method):
        middleware = make_middleware(CORS, cors={'allowed_origin': allowed})
        headers = {} if origin is None else {'HTTP_ORIGIN': origin}

        ours = ask(middleware.wrap(Answer(b'x')), method, **headers)

        assert ours == ask(library.CORS(Answer(b'x'), middleware.conf), method, **headers)

    def test_the_defaults_are_those_of_the_image_service(self, make_middleware):
        options = make_middleware(CORS).conf.cors

        assert options.allow_methods == ['GET', 'PUT', 'POST', 'DELETE', 'PATCH']
        assert 'X-OpenStack-Request-ID' in options.allow_headers
        assert 'X-Subject-Token' in options.expose_headers
        assert not options.allowed_origin
