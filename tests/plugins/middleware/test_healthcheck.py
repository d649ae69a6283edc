"""The middleware ``healthcheck`` keeps the contract and answers load balancers."""

import re

import pytest

from glancelite import contract
from glancelite.plugins.middleware.healthcheck import Healthcheck
from glancelite.testing.contracts.middleware import Answer, Client, MiddlewareContract, request


def ask(middleware, method='GET', path='/healthcheck', **headers):
    """``(status, content type, body)``."""
    client = Client(middleware.wrap(Answer(b'the API', status='299 Of The API')))
    body = b''.join(client(request(method, path, **headers)))
    return client.status, dict(client.headers).get('Content-Type'), body


class TestHealthcheck(MiddlewareContract):

    @pytest.fixture
    def middleware(self, make_middleware, tmp_path):
        return make_middleware(
            Healthcheck, healthcheck={'disable_by_file_path': str(tmp_path / 'disabled')})

    def test_get_returns_ok(self, middleware):
        assert ask(middleware) == ('200 OK', 'text/plain; charset=UTF-8', b'OK')

    def test_head_returns_no_body(self, middleware):
        status, _, body = ask(middleware, 'HEAD')

        assert (status, body) == ('204 No Content', b'')

    @pytest.mark.parametrize('method', ['GET', 'HEAD'])
    def test_a_file_disables_the_server(self, middleware, tmp_path, method):
        (tmp_path / 'disabled').touch()

        status, _, body = ask(middleware, method)

        assert status == '503 Service Unavailable'
        assert body == (b'DISABLED BY FILE' if method == 'GET' else b'')

    def test_the_response_may_be_json(self, middleware):
        _, kind, body = ask(middleware, HTTP_ACCEPT='application/json')

        assert kind.startswith('application/json')
        assert b'"OK"' in body

    @pytest.mark.parametrize('path', ['/', '/v2/images', '/healthcheck/more', '/healthchecks'])
    def test_other_paths_reach_the_api(self, middleware, path):
        assert ask(middleware, path=path)[2] == b'the API'

    def test_requests_from_other_addresses_reach_the_api(self, make_middleware):
        middleware = make_middleware(
            Healthcheck, healthcheck={'allowed_source_ranges': ['192.0.2.0/24']})

        assert ask(middleware, REMOTE_ADDR='198.51.100.1')[2] == b'the API'
        assert ask(middleware, REMOTE_ADDR='192.0.2.7')[2] == b'OK'

    def test_a_server_can_be_disabled_without_any_configuration(self, make_middleware):
        options = make_middleware(Healthcheck).conf.healthcheck

        assert options.backends == ['disable_by_file']
        assert options.disable_by_file_path == '/etc/glance/healthcheck_disable'


@pytest.mark.parametrize(('options', 'complaint'), [
    ({'backends': ['disable_by_fiel']},
     "[healthcheck] backends: there is no backend 'disable_by_fiel'; there are: disable_by_file, "
     'disable_by_files_ports, enable_by_files'),
    ({'backends': ['disable_by_file', 'enable_by_files']}, 'cannot be used together'),
    ({'allowed_source_ranges': ['here']}, "'here' does not appear to be")])
def test_options_that_cannot_work_stop_the_start(make_middleware, options, complaint):
    with pytest.raises(contract.Misconfigured, match=re.escape(complaint)):
        make_middleware(Healthcheck, healthcheck=options)
