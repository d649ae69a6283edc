"""Options of the conformance command that prepare a backend and show valid requests."""

import base64
import json
import shlex

import bcrypt
import pytest

from glancelite.testing import conformance
from glancelite.testing.contracts.store.toolbox import pattern
from tests.testing.test_conformance import report

pytest_plugins = ['pytester']

CONFIGURATION = '[oslo_middleware]\nhttp_basic_auth_user_file = $conformance_dir/users\n'
PASSWORD = 'secret-of-ada'


@pytest.fixture
def run(pytester):
    """Runs the command for an auth plugin in this process."""
    return lambda *arguments: pytester.runpytest_inprocess(
        '-q', '-p', 'no:hypothesispytest', '--pyargs', conformance.__name__, '--layer', 'auth',
        *arguments)


@pytest.fixture
def configured(pytester):
    """Options for ``http_basic`` with a user file that ``--setup`` writes."""
    (pytester.path / 'auth.conf').write_text(CONFIGURATION)
    user = f'ada:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}:lab:Member'
    return ('--driver', 'http_basic', '--config', 'auth.conf', '--setup',
            f'printf "%s\\n" {shlex.quote(user)} > "$CONFORMANCE_DIR/users"')


@pytest.fixture
def headers(pytester):
    """Call it for a file with the headers of a password."""
    def write(password):
        token = base64.b64encode(f'ada:{password}'.encode()).decode()
        (pytester.path / 'headers').write_text(f'\nAuthorization:  Basic {token}\n')
        return '--credentials', 'headers'
    return write


def test_valid_credentials_of_a_file_show_the_positive_claims(run, configured, headers):
    ran = run(*configured, *headers(PASSWORD))

    said = report(ran.stdout.str())
    assert ran.ret == 0, ran.stdout.str()
    assert said['conforms']
    assert said['not_shown'] == {}
    assert said['claims']['a_caller_has_a_project_and_roles'] == 'passed'
    assert PASSWORD not in ran.stdout.str()


def test_wrong_credentials_do_not_conform(run, configured, headers):
    ran = run(*configured, *headers('wrong'), '-k', 'a_caller_has_a_project')

    assert ran.ret == 1
    assert report(ran.stdout.str())['failed'] == ['test_a_caller_has_a_project_and_roles']


def test_the_report_says_that_valid_credentials_are_not_shown(run, configured):
    ran = run(*configured, '-k', 'declares')

    assert report(ran.stdout.str())['not_shown'] == {'valid credentials': '--credentials FILE'}


def test_an_open_plugin_needs_no_credentials(run):
    assert report(run('--driver', 'noauth', '-k', 'declares').stdout.str())['not_shown'] == {}


@pytest.mark.parametrize(('arguments', 'sentence'), [
    ('--driver noauth --credentials nowhere', '--credentials nowhere: No such file'),
    ('--driver noauth --credentials empty', '--credentials empty has no line such as '
                                            'X-Auth-Token: TOKEN'),
    ('--driver limits --layer quota --credentials empty', '--credentials are for the layer auth'),
    ("--driver noauth --setup 'echo no disk >&2; exit 4'", '--setup ended with 4: no disk')])
def test_an_option_that_cannot_work_is_reported_in_one_sentence(run, pytester, arguments,
                                                                sentence):
    (pytester.path / 'empty').write_text('nothing\n')

    ran = run(*shlex.split(arguments))

    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in ran.errlines if sentence in line]
    assert len([line for line in ran.errlines if line]) == 1


# --- importers

@pytest.fixture
def run_importer(pytester, nginx):
    """Runs the command for ``web-download``, with a file that nginx serves."""
    data = pattern(200_000)
    (pytester.path / 'sample').write_bytes(data)
    (pytester.path / 'method').write_text(json.dumps(
        {'name': 'web-download', 'uri': nginx.url + nginx.put('sample', data)}))
    (pytester.path / 'web.conf').write_text(
        f'[import_filtering_opts]\nallowed_hosts = 127.0.0.1\nallowed_ports = {nginx.port}\n')
    return lambda *arguments: pytester.runpytest_inprocess(
        '-q', '-p', 'no:hypothesispytest', '--pyargs', conformance.__name__, '--layer',
        'importer', '--driver', 'web-download', '--config', 'web.conf', *arguments)


def test_a_method_of_a_file_shows_that_an_importer_fetches(run_importer):
    ran = run_importer('--method', 'method', '--sample-file', 'sample')

    said = report(ran.stdout.str())
    assert ran.ret == 0, ran.stdout.str()
    assert said['not_shown'] == {}
    assert said['claims']['the_data_is_staged'] == 'passed'


def test_the_report_says_that_no_data_was_fetched(run_importer):
    said = report(run_importer().stdout.str())

    assert said['conforms']
    assert said['not_shown'] == {'fetching data': '--method FILE and --sample-file FILE'}


@pytest.mark.parametrize(('arguments', 'sentence'), [
    ('--method method', 'give a file with the data that --method fetches'),
    ('--method nowhere --sample-file sample', '--method nowhere: '),
    ('--method sample --sample-file sample', '--method sample: '),
    ('--method list --sample-file sample', '--method list must be a JSON object'),
    ('--sample-file sample', 'are for the layer store'),
    ('--layer store --driver memory --method method --sample-file sample',
     '--method is for the layer importer')])
def test_a_method_that_cannot_be_used_is_reported_in_one_sentence(run_importer, pytester,
                                                                  arguments, sentence):
    (pytester.path / 'list').write_text('[]')

    ran = run_importer(*arguments.split())

    said = [line for line in ran.errlines if line]
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    assert len(said) == 1
    assert sentence in said[0]
