"""Real servers for tests, and the summary of what was missing."""

import pytest

from tests.services import mariadb as mariadb_starter
from tests.services import postgresql, programs


def pytest_configure(config):
    config.addinivalue_line(
        'markers', 'requires(program, ...): programs without which the test makes no sense')


def pytest_runtest_setup(item):
    for marker in item.iter_markers('requires'):
        for program in marker.args:
            programs.require(program)


def pytest_terminal_summary(terminalreporter):
    reports = [report for outcome in ('skipped', 'failed', 'error')
               for report in terminalreporter.stats.get(outcome, ())]
    missing = programs.missing(reports)
    if missing:
        terminalreporter.section('missing programs')
    for (program, package), tests in sorted(missing.items()):
        terminalreporter.line(
            f'{program}: Debian package {package}; {tests} test(s) did not run')


@pytest.fixture(scope='session')
def postgres_server():
    """PostgreSQL, started when the first test asks."""
    with postgresql.server(programs.require('postgres')) as server:
        yield server


@pytest.fixture(scope='session')
def mariadb_server():
    """MariaDB, started when the first test asks."""
    with mariadb_starter.server(programs.require('mariadbd'),
                                programs.require('mariadb-install-db')) as server:
        yield server


@pytest.fixture(scope='session')
def postgres_url(postgres_server):
    """Call it for the URL of a new, empty database; for fixtures of any scope."""
    return postgres_server.create


@pytest.fixture(scope='session')
def mariadb_url(mariadb_server):
    """Call it for the URL of a new, empty database; for fixtures of any scope."""
    return mariadb_server.create


@pytest.fixture
def fresh_postgres(postgres_server):
    """SQLAlchemy URL of an empty PostgreSQL database of this test's own."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def fresh_mariadb(mariadb_server):
    """SQLAlchemy URL of an empty MariaDB database of this test's own."""
    url = mariadb_server.create()
    yield url
    mariadb_server.drop(url)
