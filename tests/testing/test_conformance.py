"""Tests of the conformance command: its report, and its errors in one sentence."""

import datetime
import functools
import http.server
import json
import pathlib
import platform
import re
import subprocess
import sys
import threading
from importlib import metadata

import pytest
import stevedore

from glancelite import contract, loader
from glancelite.testing import conformance, contracts

pytest_plugins = ['pytester']

SUITE = conformance.__name__

#: a package with plugins, installed by being on the path
PACKAGE = '''
import http.client
import pathlib
import urllib.error
import urllib.request

from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore
from oslo_config import cfg


class Good(MemoryStore):
    OPTS = (cfg.StrOpt('folder', required=True, help='Where it is.'),
            cfg.BoolOpt('down', help='The backend does not answer.'))

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        pathlib.Path(options.folder, f'built-by-{self.name}').touch()
        if options.down:
            self.write = self.discard = self.health = self._find = self._down

    def __getattribute__(self, name):
        if name in ('write', 'discard', 'health', '_find') and pathlib.Path(
                self.options.folder, 'away').exists():
            name = '_down'
        return super().__getattribute__(name)

    def _down(self, *asked, **named):
        raise contract.Unavailable('the backend does not answer')

    def exclusive_resources(self):
        return [self.options.folder + self.name]


class Litters(Good):
    def write(self, key, chunks, **named):
        pathlib.Path(self.options.folder, f'temporary-{key}').touch()
        return super().write(key, chunks, **named)


class Overwrites(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        self.discard(key)
        return super().write(key, chunks)


class Old(MemoryStore):
    CONTRACT = 0


class Unfinished(contract.Store):
    pass


class Web(contract.Store):
    CAPABILITIES = frozenset({'adopt'})
    SCHEMES = ('http',)
    OPTS = (cfg.StrOpt('proxy', help='URL of a proxy.'),)

    def read(self, url, *, offset=0, length=None, ctx=None):
        if offset or length is not None:
            raise contract.Unsupported('only as a whole')
        reply = self._open(url)

        def chunks():
            with reply:
                yield from iter(lambda: reply.read(65536), b'')
        return chunks()

    def size(self, url, *, ctx=None):
        with self._open(url) as reply:
            return int(reply.headers['Content-Length'])

    def _open(self, url):
        self.adopt(url)
        try:
            proxies = {'http': self.options.proxy} if self.options.proxy else {}
            return urllib.request.build_opener(urllib.request.ProxyHandler(proxies)).open(url)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise contract.NotFound('nothing there') from None
            raise contract.Unavailable(f'the server returned {error.code}') from None
        except http.client.InvalidURL:
            raise contract.Invalid('not a URL') from None
        except OSError:
            raise contract.Unavailable('the server does not answer') from None

    def owns(self, url):
        return url.startswith('http://') and url.isprintable() and ' ' not in url

    def adopt(self, url, *, ctx=None):
        if not self.owns(url) or '@' in url:
            raise contract.Invalid('not in the web')
        return url

    def health(self):
        if self.options.proxy:
            self._open('http://127.0.0.1')
        return 'there is no backend'
'''
ENTRY_POINTS = '''
[glancelite.store]
good = acme_stores:Good
litters = acme_stores:Litters
overwrites = acme_stores:Overwrites
old = acme_stores:Old
unfinished = acme_stores:Unfinished
web = acme_stores:Web
broken = acme_nowhere:Store
'''


@pytest.fixture(scope='module')
def package(tmp_path_factory):
    """Installs the package, for this process and for those that it starts."""
    home = tmp_path_factory.mktemp('acme')
    info = home / 'acme_stores-1.2.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme-stores\nVersion: 1.2\n')
    (info / 'entry_points.txt').write_text(ENTRY_POINTS)
    (home / 'acme_stores.py').write_text(PACKAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', str(home))
        patch.syspath_prepend(home)
        # caches of installed plugins
        patch.setattr(stevedore.ExtensionManager, 'ENTRY_POINT_CACHE', {})
        patch.setattr(loader, '_origins', functools.cache(loader._origins.__wrapped__))
        yield


@pytest.fixture
def command(package, pytester):
    """Runs the command with the given arguments; returns the finished process."""
    def run(*arguments):
        return subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '--pyargs', SUITE, *arguments],
            text=True, capture_output=True, cwd=pytester.path)
    return run


@pytest.fixture
def run_here(package, pytester):
    """Does the same as the command in this process; returns pytest's ``RunResult``."""
    return lambda *arguments: pytester.runpytest_inprocess(
        '-q', '-p', 'no:hypothesispytest', '--pyargs', SUITE, *arguments)


@pytest.fixture
def configured(pytester):
    """A configuration of two stores of the driver ``good``."""
    path = pytester.path / 'acme.conf'
    path.write_text('[DEFAULT]\nenabled_backends = other:memory, fast:good, cold:good\n'
                    '[backend_defaults]\nfolder = $conformance_dir\n')
    return str(path)


@pytest.fixture
def down(pytester):
    """A configuration of one store whose backend is down."""
    path = pytester.path / 'down.conf'
    path.write_text('[DEFAULT]\nenabled_backends = fast:good\n'
                    '[fast]\nfolder = $conformance_dir\ndown = true\n')
    return str(path)


@pytest.fixture
def web(tmp_path):
    """Options for a sample on a web server on loopback."""
    folder = tmp_path / 'web'
    folder.mkdir()
    (folder / 'sample').write_bytes(bytes(range(256)) * 800)
    (tmp_path / 'tiny').write_bytes(b'12345')
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f'http://127.0.0.1:{server.server_port}'
        yield ('--sample-url', f'{base}/sample', '--sample-file', str(folder / 'sample'),
               '--missing-url', f'{base}/missing')
        server.shutdown()


def report(text):
    """The JSON line among the lines of ``text``."""
    return next(json.loads(line) for line in text.splitlines() if line.startswith('{"report"'))


def test_a_good_plugin_conforms(command, configured, down, pytester):
    run = command('--layer', 'store', '--driver', 'good', '--config', configured, '--large',
                  '--config-broken', down, '--leftovers', 'ls $CONFORMANCE_DIR',
                  '--root-away', 'touch $CONFORMANCE_DIR/away',
                  '--root-back', 'rm $CONFORMANCE_DIR/away', '--backend', 'acme 7',
                  '--pause', '0.1', '--conformance-report', 'report.json')

    said = report(run.stdout)
    assert run.returncode == 0, run.stdout
    assert json.loads((pytester.path / 'report.json').read_text()) == said
    claims = said.pop('claims')
    assert set(claims.values()) == {'passed'}
    assert claims.keys() == {
        name.removeprefix('test_') for suite in (
            contracts.StoreContract, contracts.LargeImageContract, contracts.TwoStoresContract,
            contracts.BrokenBackendContract, contracts.MissingRootContract)
        for name in dir(suite) if name.startswith('test_')}
    assert said.pop('tests') > 100
    assert said.pop('seconds') > 0
    assert datetime.date.fromisoformat(said.pop('date'))
    assert said == {
        'report': 1, 'layer': 'store', 'driver': 'good', 'package': 'acme-stores',
        'version': '1.2', 'glancelite': metadata.version('glancelite'),
        'contract': contract.CONTRACT, 'python': platform.python_version(), 'backend': 'acme 7',
        'capabilities': ['range', 'write'], 'conforms': True, 'failed': [], 'not_shown': {}}
    assert f'conforms: {len(claims)} of {len(claims)} claims are true' in run.stdout


def test_a_bad_plugin_does_not_conform_and_the_report_names_the_claims(command):
    run = command('--layer', 'store', '--driver', 'overwrites', '--pause', '0')

    said = report(run.stdout)
    assert run.returncode == 1
    assert not said['conforms']
    assert 'test_never_overwrites' in said['failed']
    assert said['claims']['never_overwrites'] == 'failed'
    assert said['claims']['zeros_are_data'] == 'passed'
    assert said['backend'] == '0 objects, 0 bytes'
    assert 'does not conform' in run.stdout


def test_the_command_reports_a_plugin_that_is_not_installed(command):
    run = command('--layer', 'store', '--driver', 'nothing')

    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "no store plugin is called 'nothing'" in run.stderr
    assert 'Traceback' not in run.stdout + run.stderr


def test_data_that_is_left_behind_is_found(run_here, configured, pytester):
    pathlib.Path(configured).write_text(
        '[litters]\nfolder = $conformance_dir\n')
    run = run_here('--layer', 'store', '--driver', 'litters', '--config', configured,
                      '--leftovers', 'ls $CONFORMANCE_DIR', '-k', 'zeros')

    assert run.ret == 1
    assert report(run.stdout.str())['failed'] == ['test_zeros_are_data']
    assert 'temporary-' in run.stdout.str()


def test_a_run_without_all_claims_does_not_conform(run_here):
    run = run_here('--layer', 'store', '--driver', 'memory', '-k', 'zeros')

    said = report(run.stdout.str())
    assert run.ret == 0
    assert not said['conforms']
    assert said['claims']['zeros_are_data'] == 'passed'
    assert said['claims']['never_overwrites'] == 'not asked'
    assert re.search(r' is not shown to conform: 1 of 1 claims are true; \d\d were not asked\n',
                     run.stdout.str())


def test_claims_can_be_listed_without_a_report(run_here, pytester):
    run = run_here('--layer', 'store', '--driver', 'memory', '--collect-only',
                      '--conformance-report', 'report.json')

    assert run.ret == 0
    assert '::TestStore::test_never_overwrites' in run.stdout.str()
    assert 'conform:' not in run.stdout.str()
    assert not (pytester.path / 'report.json').exists()


def test_what_is_not_tested_is_reported(run_here):
    run = run_here('--layer', 'store', '--driver', 'memory', '-k', 'zeros')

    assert report(run.stdout.str())['not_shown'].keys() == {
        'a backend that is down', 'a root that is away', 'leftovers', 'more than 4 GiB',
        'two stores'}
    assert 'a backend that is down: not shown; give --config-broken FILE' in run.outlines


def test_a_read_only_store_conforms_with_a_sample(run_here, web, pytester):
    (pytester.path / 'down.conf').write_text('[web]\nproxy = http://127.0.0.1:9\n')

    run = run_here('--layer', 'store', '--driver', 'web', *web,
                      '--config-broken', 'down.conf')

    said = report(run.stdout.str())
    assert run.ret == 0, run.stdout.str()
    assert said['conforms']
    assert said['capabilities'] == ['adopt']
    assert said['not_shown'] == {}
    assert {'reports_the_size', 'adopts_no_hostile_url',
            'accepts_data_only_with_the_capability_write',
            'without_a_backend_nothing_is_read'} < said['claims'].keys()
    assert 'never_overwrites' not in said['claims']


def test_a_read_only_store_that_reads_other_data_does_not_conform(run_here, web, tmp_path):
    other = tmp_path / 'other'
    other.write_bytes(b'x' * 256 * 800)

    run = run_here('--layer', 'store', '--driver', 'web', *web, '--sample-file', str(other))

    said = report(run.stdout.str())
    assert run.ret == 1
    assert said['claims']['reads_all_data_in_chunks'] == 'failed'
    assert said['claims']['reports_the_size'] == 'passed'


def test_a_missing_broken_url_is_reported(run_here, web, pytester):
    (pytester.path / 'down.conf').write_text('')

    run = run_here('--layer', 'store', '--driver', 'web', *web,
                      '--config-broken', 'down.conf', '--broken-url', 'x://y')

    assert run.ret == 1
    assert 'give a URL of that store with --broken-url' in run.stdout.str()


@pytest.mark.parametrize(('arguments', 'sentence'), [
    ('--layer store --driver broken', "'broken' cannot be loaded: ModuleNotFoundError"),
    ('--layer store --driver old', 'was written for version 0 of the contract'),
    ('--layer store --driver unfinished',
     'lacks adopt, delete, discard, owns, read, share, size, write'),
    ('--layer store --driver web', 'is read-only; name existing data with --sample-url and'),
    ('--layer store --driver web --sample-url http://x/y --sample-file nowhere --missing-url '
     'http://x/z', '--sample-file must be a file'),
    ('--layer store --driver web --sample-url http://x/y --sample-file nowhere --missing-url '
     'http://x/z --large', '--large, --leftovers and --root-away do not apply'),
    ('--layer store --driver memory --root-away true', 'give both --root-away and --root-back'),
    ('--layer store --driver memory --missing-url memory://x', 'writes its samples itself'),
    ('--layer store --driver memory --config-broken nowhere.conf',
     'no configuration file nowhere.conf'),
    ('--layer quota --driver limits --large', 'are for the layer store'),
    ('--layer store --driver good', '[good] folder must be set'),
    ('--layer store --driver good --config nowhere.conf', 'no configuration file nowhere.conf'),
    ('--layer store --driver memory --config others.conf',
     "enabled_backends has no store of the driver 'memory'"),
    ('--layer store --driver memory --config-broken others.conf',
     "enabled_backends has no store of the driver 'memory'"),
    ('--layer nothing --driver good', "no suite for a layer 'nothing'"),
    ('--layer store', 'name the plugin to test with --driver'),
    ('', 'name the layer of the plugin with --layer'),
])
def test_what_cannot_be_tested_is_reported_in_one_sentence(run_here, pytester, arguments,
                                                       sentence):
    (pytester.path / 'others.conf').write_text('[DEFAULT]\nenabled_backends = fast:good\n')

    run = run_here(*arguments.split())

    said = [line for line in run.errlines if line]
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert len(said) == 1
    assert sentence in said[0]
    assert 'Traceback' not in run.stdout.str()


@pytest.mark.parametrize(('layer', 'driver'), [
    ('auth', 'noauth'), ('credential', 'none'), ('executor', 'inline'), ('executor', 'threads'),
    ('importer', 'web-download'), ('location', 'as_listed'), ('middleware', 'cors'),
    ('notifier', 'log'), ('policy', 'ownership'), ('quota', 'limits'),
    *(pytest.param(*suite, marks=pytest.mark.long) for suite in (
        ('database', 'memory'), ('inspector', 'format'), ('step', 'inject_metadata')))])
def test_every_layer_can_be_tested(run_here, layer, driver):
    run = run_here('--layer', layer, '--driver', driver)

    assert run.ret == 0
    assert report(run.stdout.str())['layer'] == layer


def test_the_options_exist_only_in_runs_of_the_suite(pytester):
    pytester.makepyfile('def test_nothing(): pass')

    assert pytester.runpytest_inprocess('--driver', 'x').ret == pytest.ExitCode.USAGE_ERROR
    pytester.makeconftest('''
        def pytest_addoption(parser):
            parser.addoption('--driver')
    ''')
    assert pytester.runpytest_inprocess('--driver', 'x').ret == pytest.ExitCode.OK


def test_other_runs_import_no_large_modules(pytester):
    pytester.makepyfile('''
        import sys

        def test_nothing():
            heavy = ('oslo_config', 'stevedore', 'glancelite.contract', 'glancelite.loader')
            assert [name for name in heavy if name in sys.modules] == []
    ''')

    assert pytester.runpytest_subprocess().ret == pytest.ExitCode.OK
