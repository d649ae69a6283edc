"""Why ``Api`` replaces some steps of Pecan: each is shown on an unmodified Pecan.

If one of these fails with a new Pecan, a replacement in ``glancelite/api/app.py`` or
``message.py`` is no longer needed.
"""

import io

import pecan
import pytest
import webtest
from pecan import rest

from glancelite.api.json_body import JSONParser
from glancelite.api.message import Response
from glancelite.api.operation import operation
from glancelite.api.resource import Resource


class Controller(rest.RestController):

    def __init__(self):
        self.seen = []

    @pecan.expose(content_type='application/octet-stream')
    def get(self, **arguments):
        self.seen.append(arguments)
        return b'x'

    @pecan.expose()
    def put(self):
        self.seen.append(pecan.request.body_file_raw.read())
        return 'x'

    @pecan.expose()
    def delete(self):
        self.seen.append('deleted')
        return 'x'


class Whole(rest.RestController):
    """Returns an iterator as a body."""

    def __init__(self, chunks):
        self._chunks = chunks

    @pecan.expose()
    def get(self):
        pecan.response.app_iter = self._chunks
        return pecan.response


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def plain(controller):
    return webtest.TestApp(pecan.Pecan(controller))


def test_pecan_reads_a_form_before_the_controller_runs(plain, controller):
    plain.put('/', 'abc=d', content_type='application/x-www-form-urlencoded')

    assert controller.seen == [b'']


def test_pecan_passes_the_query_as_arguments(plain, controller):
    plain.get('/?name=value')

    assert controller.seen == [{'name': 'value'}]


def test_pecan_lets_a_parameter_change_the_method(plain, controller):
    plain.put('/?_method=delete', '')

    assert controller.seen == ['deleted']


def test_pecan_returns_406_for_an_accept_that_does_not_match(plain):
    plain.get('/', headers={'Accept': 'image/png'}, status=406)


class Chunks:

    def __init__(self):
        self.left = 3
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.taken == self.left:
            raise StopIteration
        self.taken += 1
        return b'x'


def start(status, headers, exc_info=None):
    pass


def environ(method='GET', path='/', **more):
    return {'REQUEST_METHOD': method, 'SCRIPT_NAME': '', 'PATH_INFO': path, 'SERVER_NAME': 'h',
            'SERVER_PORT': '80', 'wsgi.url_scheme': 'http', 'wsgi.input': io.BytesIO(),
            'QUERY_STRING': '', **more}


def test_pecan_reads_a_whole_body_into_memory():
    chunks = Chunks()

    pecan.Pecan(Whole(chunks))(environ(), start)

    assert chunks.taken == 3


def test_this_api_does_not_read_a_body_into_memory():
    from glancelite.api.app import Api
    from glancelite.api.hooks import CheckRequest, ErrorResponses

    class Ours(Resource):
        @operation('Give.')
        def get(self, request):
            return Response(body=Chunks())

    body = Api(Ours(), JSONParser(), [CheckRequest(), ErrorResponses()])(environ(path=''), start)

    assert body.taken == 0


@pytest.fixture
def inspections(monkeypatch):
    """How often Pecan has inspected a function."""
    from pecan import core, rest, routing
    count = []

    def counting(original):
        def counted(function):
            count.append(function)
            return original(function)
        return counted

    for module in (core, rest, routing):
        monkeypatch.setattr(module, 'getargspec', counting(module.getargspec))
    return count


def test_pecan_inspects_a_controller_again_for_every_request(inspections):
    app = webtest.TestApp(pecan.Pecan(Controller()))
    app.get('/')
    inspections.clear()

    app.get('/')

    assert len(inspections) >= 5


def test_this_api_inspects_no_controller(app, inspections):
    app.get('/v2/images')

    assert inspections == []
