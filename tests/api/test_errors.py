"""Error responses: media type by Accept, escaping, status."""

import logging

import pytest

from glancelite import contract
from glancelite.api import errors
from tests.api.conftest import CHALLENGE

PATH = '/v2/images/00000000-0000-4000-8000-000000000000'
HTML = """<html>
 <head>
  <title>404 Not Found</title>
 </head>
 <body>
  <h1>404 Not Found</h1>
  The resource could not be found.<br /><br />



 </body>
</html>"""


@pytest.mark.parametrize('accept', ['*/*', 'text/html', 'text/*',
                                    'text/html, application/json;q=0.9'])
def test_an_error_is_html_if_any_type_is_accepted(app, accept):
    answer = app.get('/v2/nothing', headers={'Accept': accept}, status=404)

    assert answer.headers['Content-Type'] == 'text/html; charset=UTF-8'
    assert answer.text == HTML


@pytest.mark.parametrize('headers', [{}, {'Accept': ''}, {'Accept': 'text/plain'},
                                     {'Accept': 'application/xml'}])
def test_an_error_is_text_without_accept_or_with_an_unknown_type(app, headers):
    answer = app.get('/v2/nothing', headers=headers, status=404)

    assert answer.headers['Content-Type'] == 'text/plain; charset=UTF-8'
    assert answer.text == '404 Not Found\n\nThe resource could not be found.\n\n   '


@pytest.mark.parametrize('accept', ['application/json', 'application/*',
                                    'application/json, text/html;q=0.5'])
def test_an_error_is_flat_json_without_markup_on_request(app, accept):
    answer = app.get('/v2/nothing', headers={'Accept': accept}, status=404)

    assert answer.headers['Content-Type'] == 'application/json'
    assert answer.json == {'message': 'The resource could not be found.',
                           'code': '404 Not Found', 'title': 'Not Found'}


def test_html_is_escaped(app):
    answer = app.get('/v2/images?sort_key=<b>%26"', headers={'Accept': '*/*'}, status=400)

    assert '&lt;b&gt;&amp;"' in answer.text
    assert '<b>' not in answer.text


def test_an_error_of_head_has_headers_and_no_body(app):
    answer = app.head(PATH, status=405)

    assert answer.body == b''
    assert answer.headers['Allow'] == 'GET, PATCH, DELETE'


def test_an_unauthenticated_request_gets_401_before_any_other_error(no_token):
    for path in (PATH, '/v2/nothing', '/v2/images?limit=x'):
        answer = no_token.get(path, status=401)

        assert answer.headers['WWW-Authenticate'] == CHALLENGE


@pytest.mark.parametrize(('error', 'status'), [
    (contract.Invalid('x'), 400), (contract.Unsupported('x'), 400),
    (contract.Unauthenticated('x'), 401), (contract.Forbidden('x'), 403),
    (contract.NotFound('x'), 404), (contract.Conflict('x'), 409), (contract.InUse('x'), 409),
    (contract.Gone('x'), 410), (contract.ReadOnly('x'), 410), (contract.TooLarge('x'), 413),
    (contract.QuotaExceeded('x'), 413), (contract.WrongContent('x'), 415),
    (contract.RangeNotSatisfiable('x', size=7), 416), (contract.Unavailable('x'), 503),
])
def test_each_error_has_its_status(error, status):
    environ = {'REQUEST_METHOD': 'GET', 'HTTP_ACCEPT': 'application/json'}

    answer = errors.to_response(environ, error)

    assert answer.status_int == status
    assert answer.json_body['message'] == 'x'


def test_every_error_of_the_contract_has_a_status():
    without = [kind.__name__ for kind in contract.ERRORS_BY_CODE.values()
               if kind is not contract.Error and not set(kind.__mro__) & set(errors.STATUS)]

    assert without == []


def test_413_has_its_old_reason():
    answer = errors.to_response({'REQUEST_METHOD': 'GET'}, contract.TooLarge('x'))

    assert answer.status == '413 Request Entity Too Large'


def test_an_unsatisfiable_range_returns_the_size():
    answer = errors.to_response({'REQUEST_METHOD': 'GET'},
                           contract.RangeNotSatisfiable('x', size=7))

    assert answer.headers['Content-Range'] == 'bytes */7'


def test_an_unexpected_exception_is_logged_and_returns_no_details(app, core, monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError('password=secret')
    monkeypatch.setattr(type(core.use_cases.images), 'get', broken)

    with caplog.at_level(logging.ERROR):
        answer = app.get(PATH, headers={'Accept': 'application/json'}, status=500)

    assert 'secret' not in answer.text
    assert answer.json['code'] == '500 Internal Server Error'
    assert 'password=secret' in caplog.text
    assert f"GET '{PATH}' failed" in caplog.text
