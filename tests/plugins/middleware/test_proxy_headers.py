"""The middleware ``proxy_headers`` keeps the contract and behaves as the library does."""

import pytest
from oslo_middleware import http_proxy_to_wsgi as library

from glancelite.plugins.middleware.proxy_headers import ProxyHeaders
from glancelite.testing.contracts.middleware import Answer, Client, MiddlewareContract, request

COMPARED = ('wsgi.url_scheme', 'HTTP_HOST', 'REMOTE_ADDR', 'SCRIPT_NAME')
ON = {'oslo_middleware': {'enable_proxy_headers_parsing': True}}
FORWARDED = [
    {}, {'HTTP_X_FORWARDED_PROTO': 'https'}, {'HTTP_X_FORWARDED_HOST': 'images.example'},
    {'HTTP_X_FORWARDED_FOR': '192.0.2.1'}, {'HTTP_X_FORWARDED_PREFIX': '/image'},
    {'HTTP_FORWARDED': 'for=192.0.2.60;proto=https;host=a, for=192.0.2.43;host=b'},
    {'HTTP_FORWARDED': ''}, {'HTTP_FORWARDED': 'nonsense'},
    {'HTTP_FORWARDED': 'proto=https', 'HTTP_X_FORWARDED_HOST': 'ignored.test'}]


def seen_behind(wrap, headers):
    seen = {}

    def app(environ, start_response):
        seen.update((name, environ.get(name)) for name in COMPARED)
        return Answer(b'')(environ, start_response)

    Client(wrap(app))(request(REMOTE_ADDR='198.51.100.7', **headers))
    return seen


@pytest.mark.parametrize('on', [True, False])
class TestProxyHeaders(MiddlewareContract):

    @pytest.fixture
    def middleware(self, make_middleware, on):
        return make_middleware(
            ProxyHeaders, oslo_middleware={'enable_proxy_headers_parsing': on})

    @pytest.mark.parametrize('headers', FORWARDED)
    def test_the_headers_have_the_same_effect_as_in_the_library(self, middleware, headers):
        ours = seen_behind(middleware.wrap, headers)

        assert ours == seen_behind(
            lambda app: library.HTTPProxyToWSGI(app, middleware.conf), headers)


def test_headers_are_ignored_by_default(make_middleware):
    middleware = make_middleware(ProxyHeaders)

    assert seen_behind(middleware.wrap, {'HTTP_X_FORWARDED_HOST': 'evil.test'}) == seen_behind(
        middleware.wrap, {})


def test_the_headers_of_a_tls_proxy_are_used_if_the_option_is_set(make_middleware):
    middleware = make_middleware(ProxyHeaders, **ON)

    seen = seen_behind(middleware.wrap, {
        'HTTP_X_FORWARDED_PROTO': 'https', 'HTTP_X_FORWARDED_HOST': 'images.example'})

    assert (seen['wsgi.url_scheme'], seen['HTTP_HOST']) == ('https', 'images.example')
