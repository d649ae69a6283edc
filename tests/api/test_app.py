"""How the application is put together."""

import dataclasses
import json

import pytest
import webtest
from oslo_context import context

from glancelite import assembly, config, contract
from glancelite.api.app import make_app
from glancelite.contract.middleware import CONTEXT_KEY
from glancelite.plugins.middleware.request_id import RequestId
from glancelite.testing import service
from tests.api.conftest import CHALLENGE, SERVICE, Tokens, client


class Marks(contract.Middleware):
    """Appends its name to those of the middleware that ran before."""

    def __init__(self, name):
        super().__init__(None, None, name=name)

    def wrap(self, app):
        def marked(environ, start_response):
            environ['marks'] = environ.get('marks', '') + self.name
            return app(environ, start_response)

        return marked


def test_the_first_middleware_is_the_outermost(core):
    seen = {}

    def identify(environ):
        seen.update(environ)
        raise contract.Unauthenticated('no token')
    auth = type('Auth', (), {'identify': staticmethod(identify)})
    app = make_app(dataclasses.replace(core, authenticator=auth,
                                       middleware=(Marks('a'), Marks('b'))))

    webtest.TestApp(app).get('/v2/images', status=401)

    assert seen['marks'] == 'ab'


def test_extra_middleware_gets_the_caller_and_may_replace_it(core):
    seen = []

    class Guard(Marks):

        def wrap(self, app):
            def guarded(environ, start_response):
                caller = environ[CONTEXT_KEY]
                seen.append((environ.get('marks', ''), caller.project))
                environ[CONTEXT_KEY] = dataclasses.replace(caller, project=f'{caller.project}-sub')
                return app(environ, start_response)
            return guarded

    asked = []
    auth = type('Auth', (), {'identify': lambda self, environ: asked.append(1) or (
        Tokens().identify(environ))})()
    app = webtest.TestApp(make_app(dataclasses.replace(
        core, authenticator=auth, middleware=(Marks('a'),), extra=(Marks('b'), Guard('c')))))
    token = {'X-Auth-Token': 'own'}

    made = app.post_json('/v2/images', {}, headers=token)

    assert made.json['owner'] == 'own-sub'
    assert seen == [('ab', 'own')]
    assert len(asked) == 1


def test_unauthenticated_requests_do_not_reach_extra_middleware(core):
    app = webtest.TestApp(make_app(dataclasses.replace(core, extra=(Marks('a'),))))

    answer = app.get('/v2/images', status=401)
    versions = app.get('/versions', status=200)

    assert answer.headers['WWW-Authenticate'] == CHALLENGE
    assert 'marks' not in answer.request.environ
    assert 'marks' not in versions.request.environ


def test_extra_middleware_is_chosen_by_the_configuration(tmp_path):
    core = service.build(tmp_path, service.MEMORY + '[pipeline]\nextra = request_id\n')

    try:
        assert [type(each) for each in core.extra] == [RequestId]
    finally:
        core.close()


def test_every_response_except_401_has_the_request_id(core, make_plugin, recorder):
    wsgi = make_app(dataclasses.replace(core, middleware=(make_plugin(RequestId),)))
    app = webtest.TestApp(wsgi)
    token = {'X-Auth-Token': 'own', 'X-Openstack-Request-ID': 'own'}

    for path, status in (('/v2/images', 200), ('/v2/nothing', 404), ('/v2/images?limit=x', 400)):
        answer = app.get(path, headers=token, status=status)
        assert answer.headers['x-openstack-request-id'] == 'req-own'
    app.post_json('/v2/images', {}, headers=token)

    assert recorder.events[-1].context.request_id == 'req-own'
    assert 'x-openstack-request-id' not in app.get('/v2/images', status=401).headers


def test_one_process_may_run_two_services(core, wsgi, tmp_path_factory):
    second = service.build(tmp_path_factory.mktemp('second'), SERVICE)
    try:
        other = client(make_app(dataclasses.replace(second, authenticator=Tokens())))
        client(wsgi).post_json('/v2/images', {})

        assert other.get('/v2/images').json['images'] == []
        assert len(client(wsgi).get('/v2/images').json['images']) == 1
    finally:
        second.close()


@pytest.fixture
def extended(tmp_path):
    """Custom properties of a service, by what ``schema-image.json`` in folders says.

    The folders are below that of the configuration file; all but that one (``.``) are
    named with ``--config-dir``.
    """
    def extended(texts):
        arguments = ['--config-file', str(tmp_path / 'api.conf')]
        (tmp_path / 'api.conf').write_text(service.MEMORY)
        for name, text in texts.items():
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            (folder / 'schema-image.json').write_text(text)
            arguments += ['--config-dir', str(folder)] if name != '.' else []
        core = assembly.build(config.load(arguments))
        core.close()
        return {name for name in json.loads(core.documents['image'])['properties']
                if name.startswith('own_')}
    return extended


@pytest.mark.parametrize(('names', 'first'), [
    (['.'], '.'), (['more'], 'more'), (['more', '.'], '.'), (['more', 'last'], 'more')])
def test_the_schema_of_properties_is_read_beside_the_configuration(extended, names, first):
    texts = {name: json.dumps({f'own_{name}': {'type': 'string'}}) for name in names}

    assert extended(texts) == {f'own_{first}'}


@pytest.mark.parametrize('name', ['.', 'more'])
def test_the_error_names_a_schema_file_that_is_not_json(extended, tmp_path, name):
    with pytest.raises(contract.Misconfigured, match='is not JSON') as refused:
        extended({name: '{"own_os": '})

    assert str(tmp_path / name / 'schema-image.json') in str(refused.value)


def test_log_lines_name_the_caller_also_without_the_middleware_for_ids(wsgi, app):
    context.RequestContext(request_id='req-former', user_id='former')

    app.get('/v2/images')

    current = context.get_current()
    assert (current.user_id, current.project_id) == ('user-of-own', 'own')
    assert current.request_id != 'req-former'
