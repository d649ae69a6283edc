"""The conformance command prepares a backend, and shows that valid credentials are accepted."""

import base64
import shlex

import bcrypt
import pytest

from glancelite.testing import conformance
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
