"""The middleware ``proxy_headers`` keeps the contract and behaves as the library does."""

import time

import pytest
from oslo_middleware import http_proxy_to_wsgi as library

from glancelite.plugins.middleware.proxy_headers import ProxyHeaders, parse_forwarded
from glancelite.testing.contracts.middleware import Answer, Client, MiddlewareContract, request

COMPARED = ('wsgi.url_scheme', 'HTTP_HOST', 'REMOTE_ADDR', 'REMOTE_PORT', 'SCRIPT_NAME')
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


SEEN = {'scheme': 'wsgi.url_scheme', 'host': 'HTTP_HOST', 'address': 'REMOTE_ADDR',
        'port': 'REMOTE_PORT', 'prefix': 'SCRIPT_NAME'}


@pytest.mark.parametrize(('headers', 'seen'), [
    ({'FORWARDED': 'For="[2001:db8::1]:8080";PROTO=HTTPS;Host="images.example:9292"'},
     {'address': '2001:db8::1', 'port': '8080', 'scheme': 'https',
      'host': 'images.example:9292'}),
    ({'FORWARDED': 'for="192.0.2.1:80";host=a.example:81 ; proto = https'},
     {'address': '192.0.2.1', 'port': '80', 'host': 'a.example:81', 'scheme': 'https'}),
    ({'FORWARDED': 'for="[2001:db8::1]"'}, {'address': '2001:db8::1'}),
    ({'FORWARDED': r'for="192.0.\2.1";host="[2001:db8::2]:9292"'},
     {'address': '192.0.2.1', 'host': '[2001:db8::2]:9292'}),
    ({'FORWARDED': 'for=192.0.2.1;by="a,b;host=evil.test", proto=https;host=b.example, host=c'},
     {'address': '192.0.2.1', 'scheme': 'https', 'host': 'b.example'}),
    ({'FORWARDED': ', ;for=192.0.2.1;;'}, {'address': '192.0.2.1'}),
    ({'FORWARDED': 'for=unknown;proto=ftp;host="evil.test/path"'}, {}),
    ({'FORWARDED': 'for=_hidden;proto=javascript;host=""'}, {}),
    ({'FORWARDED': 'proto="https;host=open.example'}, {}),
    ({'X_FORWARDED_PROTO': 'HTTPS, http', 'X_FORWARDED_HOST': 'a.example , b.example',
      'X_FORWARDED_FOR': '192.0.2.1, 192.0.2.2', 'X_FORWARDED_PREFIX': '/image, /other'},
     {'scheme': 'https', 'host': 'a.example', 'address': '192.0.2.1', 'prefix': '/image'}),
    ({'X_FORWARDED_FOR': '2001:db8::1'}, {'address': '2001:db8::1'}),
    ({'X_FORWARDED_FOR': '192.0.2.1:4711'}, {'address': '192.0.2.1', 'port': '4711'}),
    ({'X_FORWARDED_PROTO': 'wss', 'X_FORWARDED_HOST': 'a b', 'X_FORWARDED_FOR': 'x'}, {}),
    ({'X_FORWARDED_PREFIX': 'image'}, {'prefix': '/image'}),
    ({'X_FORWARDED_PREFIX': '//image//v//'}, {'prefix': '/image/v'}),
    ({'X_FORWARDED_PREFIX': '/'}, {}),
    ({'X_FORWARDED_PREFIX': '/a?b'}, {}),
], ids=str)
def test_headers_are_read_as_the_standard_says(make_middleware, headers, seen):
    middleware = make_middleware(ProxyHeaders, **ON)
    headers = {f'HTTP_{name}': value for name, value in headers.items()}

    found, before = seen_behind(middleware.wrap, headers), seen_behind(middleware.wrap, {})

    assert found == before | {SEEN[name]: value for name, value in seen.items()}


@pytest.mark.parametrize('header', ['a=' + ' ' * 16000 + '"', ' ' * 16000 + '"',
                                    'a="b"' + ' ' * 16000 + '"', ' ,' * 8000 + '"'])
def test_no_header_takes_long_to_read(header):
    began = time.thread_time()

    assert parse_forwarded(header) == {}

    assert time.thread_time() - began < 0.5


def test_headers_are_ignored_by_default(make_middleware):
    middleware = make_middleware(ProxyHeaders)

    assert seen_behind(middleware.wrap, {'HTTP_X_FORWARDED_HOST': 'evil.test'}) == seen_behind(
        middleware.wrap, {})


def test_the_headers_of_a_tls_proxy_are_used_if_the_option_is_set(make_middleware):
    middleware = make_middleware(ProxyHeaders, **ON)

    seen = seen_behind(middleware.wrap, {
        'HTTP_X_FORWARDED_PROTO': 'https', 'HTTP_X_FORWARDED_HOST': 'images.example'})

    assert (seen['wsgi.url_scheme'], seen['HTTP_HOST']) == ('https', 'images.example')
