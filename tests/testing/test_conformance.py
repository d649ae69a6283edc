"""One command proves an installed plugin, and says in one sentence why it cannot."""

import json
import subprocess
import sys

import pytest

from glancelite import contract

pytest_plugins = ['pytester']

#: a package with two plugins, installed by being on the path
PACKAGE = '''
from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore
from oslo_config import cfg


class Good(MemoryStore):
    OPTS = (cfg.StrOpt('folder', required=True, help='Where it is.'),)

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        with open(f'{options.folder}/built-by-{self.name}', 'w'):
            pass


class Overwrites(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        self.discard(key)
        return super().write(key, chunks)


class Old(MemoryStore):
    CONTRACT = 0


class Unfinished(contract.Store):
    pass


class ReadOnly(MemoryStore):
    CAPABILITIES = frozenset()
'''
ENTRY_POINTS = '''
[glancelite.store]
good = acme_stores:Good
overwrites = acme_stores:Overwrites
old = acme_stores:Old
unfinished = acme_stores:Unfinished
read_only = acme_stores:ReadOnly
broken = acme_nowhere:Store
'''


@pytest.fixture
def conformance(pytester, monkeypatch):
    """Runs the command with the given arguments; returns the finished process."""
    info = pytester.mkdir('acme_stores-1.2.dist-info')
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme-stores\nVersion: 1.2\n')
    (info / 'entry_points.txt').write_text(ENTRY_POINTS)
    (pytester.path / 'acme_stores.py').write_text(PACKAGE)
    monkeypatch.setenv('PYTHONPATH', str(pytester.path))

    def run(*arguments):
        return subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '--pyargs', 'glancelite.testing.conformance',
             *arguments], text=True, capture_output=True, cwd=pytester.path)
    return run


@pytest.fixture
def configured(pytester):
    """A file that gives the driver ``good`` the name ``fast`` and a directory."""
    path = pytester.path / 'acme.conf'
    path.write_text('[DEFAULT]\nenabled_backends = other:memory, fast:good\n'
                    '[fast]\nfolder = $conformance_dir\n')
    return str(path)


def report(text):
    """The JSON line among the lines of ``text``."""
    return next(json.loads(line) for line in text.splitlines() if line.startswith('{"layer"'))


def test_a_good_plugin_conforms(conformance, configured, pytester):
    run = conformance('--layer', 'store', '--driver', 'good', '--config', configured, '--large',
                      '--conformance-report', 'report.json')

    said = report(run.stdout)
    results = said.pop('results')
    assert run.returncode == 0
    assert said == {
        'layer': 'store', 'driver': 'good', 'package': 'acme-stores', 'version': '1.2',
        'contract': contract.CONTRACT, 'capabilities': ['range', 'write'], 'conforms': True,
        'failed': []}
    assert results.keys() == {'passed'}
    assert results['passed'] > 100
    assert report((pytester.path / 'report.json').read_text())['conforms']


def test_a_bad_plugin_does_not_conform_and_the_report_says_where(conformance):
    run = conformance('--layer', 'store', '--driver', 'overwrites')

    said = report(run.stdout)
    assert run.returncode == 1
    assert not said['conforms']
    assert said['results']['failed'] == len(said['failed'])
    assert 'test_never_overwrites' in said['failed']


@pytest.mark.parametrize(('arguments', 'sentence'), [
    ('--layer store --driver nothing', "no store plugin is called 'nothing'"),
    ('--layer store --driver broken', "'broken' cannot be loaded: ModuleNotFoundError"),
    ('--layer store --driver old', 'was written for version 0 of the contract'),
    ('--layer store --driver unfinished',
     'lacks adopt, delete, discard, owns, read, share, size, write'),
    ('--layer store --driver read_only', 'is read-only'),
    ('--layer store --driver good', '[good] folder must be set'),
    ('--layer store --driver good --config nowhere.conf', 'no configuration file nowhere.conf'),
    ('--layer nothing --driver good', "no suite for a layer 'nothing'"),
    ('--layer store', 'say with --driver'),
    ('', 'no suite for a layer None'),
])
def test_what_cannot_be_proved_is_said_in_one_sentence(conformance, arguments, sentence):
    run = conformance(*arguments.split())

    said = [line for line in run.stderr.splitlines() if line]
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert len(said) == 1
    assert sentence in said[0]
    assert 'Traceback' not in run.stdout


@pytest.mark.parametrize(('layer', 'driver'), [
    ('auth', 'noauth'), ('credential', 'none'), ('inspector', 'format'), ('location', 'as_listed'),
    ('middleware', 'cors'), ('notifier', 'log'), ('policy', 'ownership'), ('quota', 'limits'),
    ('database', 'memory')])
def test_every_layer_can_be_proved(conformance, layer, driver):
    run = conformance('--layer', layer, '--driver', driver)

    assert run.returncode == 0
    assert report(run.stdout)['layer'] == layer


def test_the_options_exist_where_the_suite_is_run_only(pytester):
    pytester.makepyfile('def test_nothing(): pass')

    assert pytester.runpytest_subprocess('--driver', 'x').ret == pytest.ExitCode.USAGE_ERROR
    pytester.makeconftest('''
        def pytest_addoption(parser):
            parser.addoption('--driver')
    ''')
    assert pytester.runpytest_subprocess('--driver', 'x').ret == pytest.ExitCode.OK


def test_other_runs_load_nothing_of_weight(pytester):
    pytester.makepyfile('''
        import sys

        def test_nothing():
            heavy = ('oslo_config', 'stevedore', 'glancelite.contract', 'glancelite.loader')
            assert [name for name in heavy if name in sys.modules] == []
    ''')

    assert pytester.runpytest_subprocess().ret == pytest.ExitCode.OK
