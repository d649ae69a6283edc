"""A test that fails shows the log of its server."""

import subprocess
import sys
import textwrap

from tests.clients import case

FAILING = '''
import pathlib
import types

import pytest

from tests.clients import case

LOG = pathlib.Path(__file__).with_name('log')


@pytest.fixture
def pretended():
    LOG.write_text('logged before the test\\n')
    return types.SimpleNamespace(server=types.SimpleNamespace(log=LOG))


class TestSomething(case.Case):

    MODE = 'pretended'

    def test_fails(self):
        with LOG.open('a') as log:
            log.write('the server had a reason\\n')
        assert 1 == 2
'''


def test_a_failure_shows_the_log_since_the_test_began(tmp_path):
    file = tmp_path / 'test_something.py'
    file.write_text(textwrap.dedent(FAILING))

    done = subprocess.run([sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', '--rootdir',
                           tmp_path, '-c', '/dev/null', file], capture_output=True, text=True)

    assert done.returncode == 1
    assert case.LOG in done.stdout
    assert 'the server had a reason' in done.stdout
    assert 'logged before the test' not in done.stdout
    assert 'assert 1 == 2' in done.stdout


def test_the_log_is_read_when_it_is_shown(tmp_path):
    log = tmp_path / 'log'
    log.write_text('early\n')
    detail = case.logged_since_now(log)

    log.write_text('early\nlate\n')

    assert detail.as_text() == 'late\n'
