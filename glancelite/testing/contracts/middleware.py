"""The suite for middleware.  Subclass ``MiddlewareContract`` and override ``middleware``."""

from __future__ import annotations

import io
import wsgiref.util
import wsgiref.validate

import pytest


def request(method='GET', path='/v2/images', body=None, **headers):
    """Return a WSGI environment that ``wsgiref.validate`` accepts."""
    environ = {'REQUEST_METHOD': method, 'SCRIPT_NAME': '', 'PATH_INFO': path,
               'QUERY_STRING': '', **headers}
    wsgiref.util.setup_testing_defaults(environ)
    environ['wsgi.input'] = io.BytesIO() if body is None else body
    return environ


class Unreadable:
    """A body that must not be read."""

    def __getattr__(self, name):
        raise AssertionError(f'wsgi.input.{name} was used: bodies stay unread')


class Answer:
    """An application that counts the chunks of its response and records ``close``."""

    def __init__(self, *chunks, status='200 OK', headers=(('Content-Type', 'text/plain'),)):
        self.chunks = chunks
        self.status = status
        self.headers = list(headers)
        self.sent = 0
        self.closed = False

    def __call__(self, environ, start_response):
        start_response(self.status, list(self.headers))
        return self

    def __iter__(self):
        for chunk in self.chunks:
            self.sent += 1
            yield chunk

    def close(self):
        self.closed = True


class Client:
    """Calls an application and records the status and headers."""

    def __init__(self, app):
        self._app = app
        self.status = None
        self.headers = None

    def __call__(self, environ):
        def start_response(status, headers, exc_info=None):
            self.status, self.headers = status, headers
        return self._app(environ, start_response)


class MiddlewareContract:

    @pytest.fixture
    def middleware(self):
        raise NotImplementedError('override the `middleware` fixture')

    @pytest.mark.parametrize('headers', [{}, {'HTTP_ORIGIN': 'https://page.test'},
                                         {'HTTP_X_FORWARDED_FOR': '192.0.2.1'}])
    def test_a_response_passes_through(self, middleware, headers):
        app = Answer(b'one', b'two', status='404 Not Found',
                     headers=[('Content-Type', 'text/plain'), ('X-Own', 'kept')])
        client = Client(middleware.wrap(app))

        body = b''.join(client(request(**headers)))

        assert (client.status, body) == ('404 Not Found', b'onetwo')
        assert client.headers is not None
        assert ('X-Own', 'kept') in client.headers

    def test_both_sides_conform_to_wsgi(self, middleware):
        inner = wsgiref.validate.validator(Answer(b'body'))
        client = Client(wsgiref.validate.validator(middleware.wrap(inner)))

        response = client(request())
        body = b''.join(response)
        response.close()

        assert body == b'body'

    def test_a_response_is_not_buffered(self, middleware):
        app = Answer(*[b'x'] * 10)

        response = iter(Client(middleware.wrap(app))(request()))
        next(response)

        assert app.sent <= 2

    def test_an_abandoned_response_is_closed(self, middleware):
        app = Answer(b'x')
        response = Client(middleware.wrap(app))(request())

        response.close()

        assert app.closed

    @pytest.mark.parametrize('method', ['PUT', 'POST', 'PATCH', 'GET'])
    def test_a_request_body_stays_unread(self, middleware, method):
        wrapped = middleware.wrap(Answer(b'x'))

        environ = request(method, '/v2/images/i/file', body=Unreadable(), CONTENT_LENGTH='10',
                          CONTENT_TYPE='application/x-www-form-urlencoded')

        assert b''.join(Client(wrapped)(environ)) == b'x'

    def test_errors_of_the_application_pass_through(self, middleware):
        class Failure(Exception):
            pass

        def app(environ, start_response):
            raise Failure

        with pytest.raises(Failure):
            Client(middleware.wrap(app))(request())

    def test_one_middleware_can_wrap_several_applications(self, middleware):
        one, other = middleware.wrap(Answer(b'one')), middleware.wrap(Answer(b'other'))

        assert b''.join(Client(one)(request())) == b'one'
        assert b''.join(Client(other)(request())) == b'other'
