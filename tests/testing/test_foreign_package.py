"""A store of another package: chosen, shown, documented, and refused where it is invalid."""

import os
import pathlib
import time
from importlib import metadata

import pytest

from tests.servers import ready

STORE = '''
import threading

from oslo_config import cfg

from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore


class Acme(MemoryStore):
    CONTRACT = 1
    OPTS = (cfg.StrOpt('acme_shelf', required=True, help='Which shelf of the acme.'),)

    def health(self):
        return f'shelf {self.options.acme_shelf}'


class Old(Acme):
    CONTRACT = 0


class Unfinished(contract.Store):
    OPTS = Acme.OPTS

    def owns(self, url):
        return False


class Fragile(Acme):
    def __init__(self, options, host, **named):
        raise RuntimeError('the shelf broke')


class Foreign:
    pass


class Hanging(Acme):
    def __init__(self, options, host, **named):
        threading.Event().wait()


class Ill(Acme):
    def health(self):
        threading.Event().wait()

    def close(self):
        threading.Event().wait()
'''
ENTRY_POINTS = '''
[glancelite.store]
acme = acme_shelf.store:Acme
acme_broken = acme_shelf.broken:Store
acme_exits = acme_shelf.exits:Store
acme_foreign = acme_shelf.store:Foreign
acme_fragile = acme_shelf.store:Fragile
acme_hanging = acme_shelf.store:Hanging
acme_ill = acme_shelf.store:Ill
acme_old = acme_shelf.store:Old
acme_unfinished = acme_shelf.store:Unfinished
'''
CONFIGURATION = '''
[DEFAULT]
bind_host = 127.0.0.1
workers = {workers}
enabled_backends = fast:{driver}
[glance_store]
default_backend = fast
[fast]
acme_shelf = 7
[database]
connection = sqlite:///{home}/records.sqlite
[layers]
auth = noauth
sync_database = true
'''


@pytest.fixture
def home(tmp_path):
    """A directory with the installed package: what pip would leave there."""
    package, info = tmp_path / 'acme_shelf', tmp_path / 'acme_shelf-3.1.dist-info'
    package.mkdir()
    info.mkdir()
    (package / '__init__.py').touch()
    (package / 'store.py').write_text(STORE)
    (package / 'broken.py').write_text('import acme_library_that_is_not_there\n')
    (package / 'exits.py').write_text('raise SystemExit(7)\n')
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme-shelf\nVersion: 3.1\n')
    (info / 'entry_points.txt').write_text(ENTRY_POINTS)
    return tmp_path


@pytest.fixture
def run(home):
    """Runs a program with arguments where the package is installed."""
    root = pathlib.Path(__file__).parents[2]
    env = {**os.environ, 'PYTHONPATH': f'{home}{os.pathsep}{root}',
           'XDG_CACHE_HOME': str(home / 'cache')}
    return lambda program, *arguments: ready.run(program, arguments, env=env, cwd=home)


@pytest.fixture
def configured(home):
    """Call it for ``--config-file FILE`` with a driver for the one store."""
    def write(driver, workers=1):
        path = home / 'glancelite-api.conf'
        path.write_text(CONFIGURATION.format(driver=driver, home=home, workers=workers))
        return '--config-file', str(path)
    return write


def test_layers_shows_chosen_plugins_and_invalid_ones(run, configured):
    shown = run('glancelite-manage', *configured('acme'), 'layers')

    assert shown.code == 0, shown.err
    rows = [line.split(maxsplit=1)[1] for line in shown.out.splitlines()
            if line.startswith('store')]
    rows = [' '.join(row.split()) for row in rows]
    assert rows[0] == 'fast (driver acme) acme-shelf 3.1 [fast] shelf 7'
    assert [row for row in rows if row.startswith('acme_')] == [
        "acme_broken - not chosen acme-shelf 3.1 - cannot be loaded: ModuleNotFoundError: "
        "No module named 'acme_library_that_is_not_there'",
        'acme_exits - not chosen acme-shelf 3.1 - cannot be loaded: SystemExit: 7',
        'acme_foreign - not chosen acme-shelf 3.1 - is not a subclass of '
        'glancelite.contract.Store',
        'acme_fragile - not chosen acme-shelf 3.1 - -',
        'acme_hanging - not chosen acme-shelf 3.1 - -',
        'acme_ill - not chosen acme-shelf 3.1 - -',
        'acme_old - not chosen acme-shelf 3.1 - was written for version 0 of the contract; '
        'this service uses version 1',
        'acme_unfinished - not chosen acme-shelf 3.1 - lacks adopt, delete, discard, read, '
        'share, size, write',
    ]


def test_check_shows_the_health_of_the_store(run, configured):
    checked = run('glancelite-manage', *configured('acme'), 'check')

    assert checked.code == 0, checked.out + checked.err
    assert 'ok    store fast: shelf 7' in checked.out.splitlines()


@pytest.mark.parametrize(('driver', 'failure'), [
    ('acme_hanging', 'configuration: store fast (driver acme_hanging): __init__ did not return '
                     'within 3 seconds'),
    ('acme_ill', 'store fast: the check did not return within 1 seconds')])
def test_a_plugin_that_hangs_is_named_and_holds_up_nothing(run, configured, driver, failure):
    began = time.monotonic()

    checked = run('glancelite-manage', *configured(driver), 'check', '--timeout', '1')

    assert checked.code == 1
    assert f'FAIL  {failure}' in checked.out.splitlines()
    assert time.monotonic() - began < 25


def test_a_name_that_two_packages_offer_is_shown_and_refused(run, configured, home):
    info = home / 'acme_other-2.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme-other\nVersion: 2.0\n')
    (info / 'entry_points.txt').write_text('[glancelite.store]\nacme = acme_shelf.store:Old\n'
                                           'memory = acme_shelf.store:Acme\n')

    shown = run('glancelite-manage', *configured('file'), 'layers')
    ended = run('glancelite-api', *configured('memory'))

    rows = [' '.join(line.split()) for line in shown.out.splitlines()]
    assert shown.code == 0, shown.err
    assert ('store acme - not chosen acme-other 2.0, acme-shelf 3.1 - is offered by acme-other '
            '2.0 and acme-shelf 3.1; uninstall all but one of them') in rows
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "glancelite-api: the store plugin 'memory' is offered by acme-other 2.0 and glancelite "
        f"{metadata.version('glancelite')}; uninstall acme-other")


def test_its_options_are_in_the_sample(run):
    sample = run('oslo-config-generator', '--namespace', 'glancelite')

    assert sample.code == 0, sample.err
    section = sample.out.partition('\n[acme]\n')[2].partition('\n[')[0]
    assert '# Which shelf of the acme.' in section
    assert '#acme_shelf = <None>' in section
    assert '#weight = 0' in section
    assert '[acme_old]' not in sample.out


@pytest.mark.parametrize(('driver', 'sentence'), [
    ('acme_broken', "the store plugin 'acme_broken' cannot be loaded: ModuleNotFoundError: "
                    "No module named 'acme_library_that_is_not_there'"),
    ('acme_exits', "the store plugin 'acme_exits' cannot be loaded: SystemExit: 7"),
    ('acme_foreign', "the store plugin 'acme_foreign' of acme-shelf is not a subclass of "
                     'glancelite.contract.Store'),
    ('acme_fragile', 'RuntimeError: the shelf broke'),
    ('acme_old', "the store plugin 'acme_old' of acme-shelf was written for version 0 of the "
                 'contract; this service uses version 1'),
    ('acme_unfinished', "the store plugin 'acme_unfinished' of acme-shelf lacks adopt, delete, "
                        'discard, read, share, size, write'),
])
def test_an_invalid_plugin_stops_the_start_with_one_sentence(
        run, configured, driver, sentence):
    ended = run('glancelite-api', *configured(driver))

    said = [line for line in ended.err.splitlines() if line.startswith('glancelite-api: ')]
    assert ended.code == 1
    assert len(said) == 1
    assert sentence in said[0]
    assert 'Traceback' not in ended.out + ended.err


def test_a_volatile_store_cannot_have_two_workers(run, configured):
    ended = run('glancelite-api', *configured('acme', workers=2))

    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        'glancelite-api: store fast: each process would have its own data; '
        'set [DEFAULT] workers = 1')
