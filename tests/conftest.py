"""Fixtures with real servers, and the summary of missing programs."""

import collections
import contextlib
import gc
import os
import sys

import pytest

from tests.servers import barbican as barbican_starter
from tests.servers import ceph as ceph_starter
from tests.servers import hostile_web, live, postgresql, process, programs
from tests.servers import keystone as keystone_starter
from tests.servers import mariadb as mariadb_starter
from tests.servers import nginx as nginx_starter
from tests.servers import rabbitmq as rabbitmq_starter
from tests.servers import sheepdog as sheepdog_starter
from tests.servers import swift as swift_starter

LIVE = pytest.StashKey[list]()
BACKENDS = pytest.StashKey[dict]()
#: servers that take long to start: tests that share them go to one process.  The names are
#: those of fixtures, of parameters that choose a fixture, or the MODE of a test class.
TOGETHER = {
    'ceph': {'ceph', 'ceph_s3', 'rbd', 's3', 'two_stores'},
    'keystone': {'keystone', 'barbican', 'swift_keystone', 'keystone_swift', 'with_keystone',
                 'with_barbican', 'with_imports'},
    'rabbitmq': {'rabbitmq'},
    'swift': {'swift'},
}
#: files that take long for their number of tests; the processes start with them, after the groups
#: of TOGETHER, so that none is left alone with one at the end
LONG = tuple(f'tests/{name}.py' for name in (
    'plugins/database/test_migrations', 'plugins/store/test_sheepdog',
    'plugins/database/test_mariadb', 'plugins/database/test_postgresql',
    'server/test_processes', 'plugins/database/test_frozen', 'contrib/test_example_store',
    'testing/test_conformance', 'crash/test_hung_mount', 'crash/test_crash',
    'clients/test_http_basic', 'plugins/database/test_with_glance', 'cmd/test_existing',
    'crash/test_failures', 'cmd/test_manage', 'cmd/test_check', 'cmd/test_logging'))


def pytest_configure(config):
    gc.disable()        # until all tests are collected
    # compiled modules are kept: tests start hundreds of Python processes
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
    sys.dont_write_bytecode = False
    config.stash[LIVE] = []
    config.stash[BACKENDS] = {}
    config.addinivalue_line(
        'markers', 'requires(program, ...): programs that the test needs')
    config.addinivalue_line(
        'markers', 'long: takes minutes; run by `make test-long` only')


def pytest_make_parametrize_id(val):
    """Keep long values out of the names of tests, which go into the environment of programs."""
    if isinstance(val, (bytes, str)) and len(val) > 200:
        return f'{val[:20]!a} and {len(val) - 20} more'
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Run tests that share servers in one process, and otherwise the tests of a file."""
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    if hasattr(config, 'workerinput'):  # a worker of xdist, which takes groups in this order
        first, sizes = [*TOGETHER, *LONG], collections.Counter(groups.values())
        items.sort(key=lambda item: (
            first.index(groups[item]) if groups[item] in first else len(first),
            -sizes[groups[item]], groups[item]))


def pytest_collection_finish(session):
    """Keep the garbage collector away from the millions of objects of the collection."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids):
    if node.config.option.dist == 'loadgroup' and not all('@' in name for name in ids):
        pytest.exit('this pytest-xdist does not group tests with this pytest: each process would '
                    'start all servers; see setup.cfg', returncode=pytest.ExitCode.USAGE_ERROR)


def _group(item):
    """Return the name of the group of tests that run in one process."""
    params = item.callspec.params if hasattr(item, 'callspec') else {}
    names = [*item.fixturenames, getattr(item.cls, 'MODE', None),
             params.get('store'), params.get('s3_server')]
    for group, servers in TOGETHER.items():
        if any(isinstance(name, str) and name in servers for name in names):
            return group
    return item.nodeid.partition('::')[0]


def pytest_sessionfinish(session):
    if hasattr(session.config, 'workeroutput'):     # a worker of xdist
        session.config.workeroutput['backends'] = session.config.stash[BACKENDS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Called by xdist in the main process."""
    node.config.stash[BACKENDS].update(getattr(node, 'workeroutput', {}).get('backends', {}))


def pytest_runtest_setup(item):
    for marker in item.iter_markers('requires'):
        for program in marker.args:
            programs.require(program)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.failed:
        for server in item.config.stash[LIVE]:
            report.sections.append((f'log of {server.url}', process.tail(server.log, 20_000)))
    return report


def pytest_terminal_summary(terminalreporter, config):
    for backend, used in sorted(config.stash[BACKENDS].items()):
        terminalreporter.line(f'{backend}: {used}')
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
    """PostgreSQL, started by the first test that uses it."""
    with postgresql.server(programs.require('postgres')) as server:
        yield server


@pytest.fixture(scope='session')
def mariadb_server():
    """MariaDB, started by the first test that uses it."""
    with mariadb_starter.server(programs.require('mariadbd'),
                                programs.require('mariadb-install-db')) as server:
        yield server


@pytest.fixture(scope='session')
def postgres_url(postgres_server):
    """Returns the URL of a new, empty database; for fixtures of any scope."""
    return postgres_server.create


@pytest.fixture(scope='session')
def mariadb_url(mariadb_server):
    """Returns the URL of a new, empty database; for fixtures of any scope."""
    return mariadb_server.create


@pytest.fixture
def fresh_postgres(postgres_server):
    """SQLAlchemy URL of a new, empty PostgreSQL database."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def fresh_mariadb(mariadb_server):
    """SQLAlchemy URL of a new, empty MariaDB database."""
    url = mariadb_server.create()
    yield url
    mariadb_server.drop(url)


@pytest.fixture(scope='session')
def keystone():
    """Keystone, started by the first test that uses it; see tests/servers/keystone.py."""
    with keystone_starter.server(keystone_starter.install()) as server:
        yield server


@pytest.fixture(scope='session')
def ceph():
    """A Ceph cluster, started by the first test that uses it; see tests/servers/ceph.py."""
    with ceph_starter.server() as cluster:
        yield cluster


@pytest.fixture(scope='session')
def ceph_s3(ceph):
    """An S3 gateway: ``url``, ``access_key``, ``secret_key``, ``region``."""
    with ceph_starter.gateway(ceph) as service:
        yield service


@pytest.fixture(scope='session')
def swift():
    """Swift with its built-in authentication and S3; see tests/servers/swift.py."""
    with swift_starter.server(swift_starter.install(), programs.require('memcached')) as server:
        yield server


@pytest.fixture(scope='session')
def swift_keystone(keystone):
    """Swift with the users of Keystone."""
    with swift_starter.server(swift_starter.install(), programs.require('memcached'),
                              keystone) as server:
        yield server


@pytest.fixture(scope='session')
def barbican(keystone):
    """Barbican with the users of Keystone; see tests/servers/barbican.py."""
    with barbican_starter.server(barbican_starter.install(), keystone) as server:
        yield server


@pytest.fixture(scope='session')
def hostile_server():
    """A web server that misbehaves; see tests/servers/hostile_web.py."""
    with hostile_web.running() as server:
        yield server


@pytest.fixture
def hostile(hostile_server):
    """``hostile_server`` without recorded requests and connections."""
    hostile_server.requests.clear()
    hostile_server.connections = 0
    return hostile_server


@pytest.fixture(scope='session')
def run_server(pytestconfig):
    """``with run_server(config) as server:`` for fixtures of any scope.

    Arguments are those of ``tests.servers.live.server``. A test that fails
    while the server runs shows its log.
    """
    @contextlib.contextmanager
    def run(*args, **kwargs):
        with live.server(*args, **kwargs) as server:
            pytestconfig.stash[LIVE].append(server)
            try:
                yield server
            finally:
                pytestconfig.stash[LIVE].remove(server)
    return run


@pytest.fixture
def live_server(run_server):
    """Starts ``glancelite-api``; it is stopped after the test."""
    with contextlib.ExitStack() as running:
        yield lambda *args, **kwargs: running.enter_context(run_server(*args, **kwargs))


@pytest.fixture(scope='session')
def nginx():
    """nginx with files, started by the first test that uses it; see tests/servers/nginx.py."""
    with nginx_starter.server(programs.require('nginx'), programs.require('openssl')) as server:
        yield server


@pytest.fixture(scope='session')
def sheepdog(pytestconfig):
    """Starts Sheepdog clusters, or a stand-in; see tests/servers/sheepdog.py."""
    with sheepdog_starter.factory() as farm:
        pytestconfig.stash[BACKENDS]['sheepdog'] = farm.description
        yield farm


@pytest.fixture(scope='session')
def rabbitmq_broker():
    """RabbitMQ, started by the first test that uses it; see tests/servers/rabbitmq.py."""
    with rabbitmq_starter.server(programs.require(rabbitmq_starter.SERVER),
                                 programs.require('epmd'),
                                 programs.require('openssl')) as broker:
        yield broker


@pytest.fixture
def rabbitmq(rabbitmq_broker):
    """The broker, which runs, also if the test before has stopped it."""
    if rabbitmq_broker.process is None:
        rabbitmq_broker.start()
    return rabbitmq_broker
