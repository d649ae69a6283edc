"""Finding and building plugins: options, errors, violations of the contract."""

import contextlib
import functools
import re
import subprocess
import sys
import threading
from importlib import metadata

import pytest
import stevedore
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.plugins.store.memory import MemoryStore
from glancelite.testing.fakes import FakeHost
from tests.test_conformity import ReadOnly


@pytest.fixture
def conf(tmp_path):
    """``conf(text)`` reads a configuration."""
    def read(text=''):
        path = tmp_path / 'glancelite.conf'
        path.write_text(text)
        conf = cfg.ConfigOpts()
        conf(['--config-file', str(path)], project='glancelite', default_config_dirs=[])
        return conf
    return read


def test_a_store_without_the_capability_write_is_read_only():
    store = ReadOnly(None, FakeHost())

    for call in (lambda: store.write('key', iter(())), lambda: store.delete('x://'),
                 lambda: store.discard('key')):
        with pytest.raises(contract.ReadOnly):
            call()


def test_the_error_for_an_unknown_name_lists_the_installed_plugins(conf):
    with pytest.raises(contract.Misconfigured, match=r"'fiel'; installed: file, .*memory"):
        loader.load(conf(), FakeHost(), 'store', 'fiel')


def test_a_plugin_is_built_with_the_options_of_its_section(conf, tmp_path):
    text = f'[fast]\nfilesystem_store_datadir = {tmp_path}/a\n'

    store = loader.load(conf(text), FakeHost(), 'store', 'file', 'fast')

    assert store.name == 'fast'
    assert store.options.filesystem_store_datadir == f'{tmp_path}/a'


@pytest.mark.parametrize(('own', 'expected'), [('', 'defaults'), ('own', 'own')])
def test_options_missing_in_the_section_of_a_store_come_from_backend_defaults(
        conf, tmp_path, own, expected):
    line = f'filesystem_store_datadir = {tmp_path}/'
    text = f'[fast]\n{line}{own}\n' if own else '[fast]\n'

    store = loader.load(conf(f'{text}[backend_defaults]\n{line}defaults\n'), FakeHost(),
                        'store', 'file', 'fast')

    assert store.options.filesystem_store_datadir == f'{tmp_path}/{expected}'


def test_a_missing_required_option_is_named(conf):
    with pytest.raises(contract.Misconfigured, match=r'\[section\] path must be set: The file\.'):
        loader.read_options(conf(), [cfg.StrOpt('path', required=True, help='The file.')],
                            'section')


def test_options_show_no_values():
    assert repr(loader.Options({'password': 'secret'})) == 'Options(password)'


def test_options_of_a_test_must_exist():
    with pytest.raises(TypeError, match='has no option nothing'):
        loader.Options.of(MemoryStore, nothing=1)


@pytest.mark.parametrize('layer', contract.LAYERS)
def test_every_layer_has_an_installed_plugin(layer):
    found = loader.installed(layer)

    assert found
    assert {plugin.package for plugin in found.values()} == {'glancelite'}


STORES = """
import threading
from oslo_config import cfg
from glancelite import contract
from glancelite.plugins.database.memory import MemoryDatabase
from glancelite.plugins.store.memory import MemoryStore


class Acme(MemoryStore):
    pass


class Raises(Acme):
    error = None

    def __init__(self, options, host, **named):
        raise self.error


class Exits(Raises):
    error = SystemExit('bye')


class Interrupted(Raises):
    error = KeyboardInterrupt()


class Odd(Raises):
    error = BaseException('odd')


class Fails(Raises):
    error = RuntimeError('two\\nlines')


class Hangs(Acme):
    def __init__(self, options, host, **named):
        threading.Event().wait()


class Secretive(Acme):
    OPTS = (cfg.StrOpt('key', secret=True, help='Key.'),
            cfg.StrOpt('url', secret=True, help='URL.'),
            cfg.StrOpt('kind', secret=True, choices=['a', 'b'], help='Kind.'))

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        raise contract.Misconfigured(
            f'{options.key} does not open\\n {options.url}, nor pass-word')


class Forgets(Acme):
    def __init__(self, options, host, **named):
        pass


class Nameless(Acme):
    def __init__(self, options, host, **named):
        super().__init__(options, host)


class Adds(Acme):
    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self.CAPABILITIES = frozenset({'share'})


class Records(MemoryDatabase):
    images = None
"""
IMPORTS = {'exits': 'SystemExit("bye")', 'interrupted': 'KeyboardInterrupt()',
           'odd': 'BaseException("odd")', 'fails': 'RuntimeError("two\\nlines")'}


@pytest.fixture(scope='module')
def packages(tmp_path_factory):
    """Leaves on the path what pip would leave there: acme twice, and two that clash."""
    home = tmp_path_factory.mktemp('packages')
    stores = [f'{name.lower()} = acme_stores:{name}' for name in re.findall(
        r'class (\w+)\((?!MemoryDatabase)', STORES)]
    stores += [f'import_{name} = acme_{name}:Store' for name in IMPORTS]
    acme = ['[glancelite.store]', *stores,
            '[glancelite.database]', 'records = acme_stores:Records']
    for package, offered in (
            ('acme-1.0', acme), ('acme-2.0', acme),
            ('one-1.0', ['[glancelite.store]', 'clash = acme_stores:Acme',
                         'memory = acme_stores:Acme']),
            ('two-1.0', ['[glancelite.store]', 'clash = acme_stores:Odd'])):
        info = home / f'{package}.dist-info'
        info.mkdir()
        name, _, version = package.partition('-')
        (info / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
        (info / 'entry_points.txt').write_text('\n'.join(offered))
    (home / 'acme_stores.py').write_text(STORES)
    for name, error in IMPORTS.items():
        (home / f'acme_{name}.py').write_text(f'raise {error}')
    with on_path(home):
        yield
    sys.modules.pop('acme_stores', None)


@contextlib.contextmanager
def on_path(home):
    """Packages in this directory are installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        patch.setattr(stevedore.ExtensionManager, 'ENTRY_POINT_CACHE', {})
        patch.setattr(loader, '_origins', functools.cache(loader._origins.__wrapped__))
        yield


@pytest.fixture
def endless(tmp_path):
    """A package of two stores; the import of one hangs."""
    info = tmp_path / 'endless-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: endless\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text(
        '[glancelite.store]\nendless = endless_store:Store\n'
        'other = glancelite.plugins.store.memory:MemoryStore\n')
    (tmp_path / 'endless_store.py').write_text('import threading\nthreading.Event().wait()\n')
    with on_path(tmp_path):
        yield


@pytest.fixture
def failure(packages, conf):
    """``failure(driver, text)`` is the error of loading the store ``fast``."""
    def load(driver, text=''):
        with pytest.raises(contract.Misconfigured) as raised:
            loader.load(conf(text), FakeHost(), 'store', driver, 'fast')
        assert '\n' not in str(raised.value)
        return str(raised.value)
    return load


VERSION = metadata.version('glancelite')


@pytest.mark.parametrize(('name', 'sentence'), [
    ('clash', 'is offered by one 1.0 and two 1.0; uninstall all but one of them'),
    ('memory', f'is offered by glancelite {VERSION} and one 1.0; uninstall one')])
def test_a_name_that_two_packages_offer_is_refused_and_both_are_named(failure, name, sentence):
    assert failure(name) == f'the store plugin {name!r} {sentence}'


def test_a_clash_of_plugins_that_are_not_chosen_is_shown_and_others_load(packages, conf):
    shown = loader.installed('store')

    assert (shown['clash'].kind, shown['clash'].package) == (None, 'one 1.0, two 1.0')
    assert shown['clash'].problem.startswith('is offered by one 1.0 and two 1.0; ')
    assert loader.load(conf(), FakeHost(), 'store', 'acme').name == 'acme'


def test_an_installation_that_python_finds_twice_is_no_clash(packages):
    assert loader.find('store', 'acme').package == 'acme'


@pytest.mark.parametrize('name', IMPORTS)
def test_whatever_an_import_raises_is_one_sentence(failure, name):
    said = failure(f'import_{name}')

    shown = loader.installed('store')
    kind = IMPORTS[name].partition('(')[0]
    assert shown[f'import_{name}'].problem.startswith(f'cannot be loaded: {kind}')
    assert said == f"the store plugin 'import_{name}' {shown[f'import_{name}'].problem}"
    assert shown['acme'].kind


@pytest.mark.parametrize('name', IMPORTS)
def test_whatever_init_raises_is_one_sentence_that_names_the_store(failure, name):
    assert failure(name).startswith(f'store fast (driver {name}): cannot start: '
                                    f'{IMPORTS[name].partition("(")[0]}')


def test_an_init_that_hangs_is_named_when_its_time_is_over(packages, conf, caplog):
    with pytest.raises(contract.Unavailable) as raised:
        loader.load(conf(), FakeHost(), 'store', 'hangs', 'fast', start_timeout=0.05)

    assert str(raised.value) == ('store fast (driver hangs): __init__ did not return within '
                                 '0.05 seconds')
    assert 'the store plugin fast has been starting for 0.05 s already' in caplog.text


def test_no_thread_is_left_of_a_plugin_that_starts_quickly(conf):
    before = threading.active_count()

    loader.load(conf(), FakeHost(), 'quota', 'limits')

    assert threading.active_count() == before


def test_an_import_that_hangs_is_named_and_ended_when_its_time_is_over(endless, conf, caplog):
    with pytest.raises(contract.Misconfigured) as raised:
        loader.load(conf(), FakeHost(), 'store', 'endless', 'fast', start_timeout=0.05)

    assert str(raised.value) == ("the store plugin 'endless' cannot be loaded: its import did not "
                                 'return within 0.05 seconds')
    assert "the import of the store plugin 'endless' of endless has been running" in caplog.text


def test_an_import_that_hangs_does_not_hold_up_the_others(endless):
    shown = loader.installed('store', timeout=0.2)

    assert shown['endless'].problem.endswith('its import did not return within 0.2 seconds')
    assert shown['other'].kind is MemoryStore


def test_an_error_of_a_plugin_names_store_and_section_and_hides_secrets(failure):
    said = failure('secretive', '[fast]\nkey = s3cr3t\nurl = db://me:pass-word@host/x\n')
    wrong = failure('secretive', '[fast]\nkind = s3cr3t\n')

    assert said == (
        'store fast (driver secretive), section [fast]: *** does not open ***, nor ***')
    assert wrong == 'store fast (driver secretive): [fast] kind: the value is not valid'


@pytest.mark.parametrize(('name', 'problem'), [
    ('forgets', 'does not call super().__init__(options, host, **named)'),
    ('nameless', 'does not pass its keyword arguments to '
                 'super().__init__(options, host, **named)'),
    ('adds', 'adds capabilities that its class lacks: share')])
def test_an_incomplete_init_is_named(failure, name, problem):
    assert failure(name) == f'store fast (driver {name}): __init__ {problem}'


def test_the_records_of_a_database_are_checked(packages, conf):
    with pytest.raises(contract.Misconfigured, match=re.escape(
            'database records: images is not an instance of glancelite.contract.ImageRecords')):
        loader.load(conf(), FakeHost(), 'database', 'records')


#: hides the libraries of the extras, then tries to build each plugin that needs one
WITHOUT_EXTRAS = """
import sys

for name in ('bcrypt', 'boto3', 'botocore', 'celery', 'glance_store', 'keystonemiddleware',
             'kombu'):
    sys.modules[name] = None

from oslo_config import cfg
from glancelite import contract, loader
from glancelite.testing.fakes import FakeHost

for layer, name in (('auth', 'http_basic'), ('auth', 'keystone'), ('executor', 'celery'),
                    ('store', 'glance_store'), ('store', 's3')):
    conf = cfg.ConfigOpts()
    conf(['--config-file', sys.argv[1]], project='glancelite', default_config_dirs=[])
    try:
        loader.load(conf, FakeHost(), layer, name)
    except contract.Misconfigured as error:
        print(error)
"""
EXTRAS = """
[DEFAULT]
transport_url = rabbit://host/
[glance_store]
glance_store_driver = cinder
[s3]
s3_store_host = http://127.0.0.1:1
s3_store_access_key = key
s3_store_secret_key = secret
s3_store_bucket = images
"""


def test_a_missing_library_is_named_with_the_extra_that_installs_it(tmp_path):
    (tmp_path / 'extras.conf').write_text(EXTRAS)

    ran = subprocess.run([sys.executable, '-c', WITHOUT_EXTRAS, tmp_path / 'extras.conf'],
                         check=True, capture_output=True, text=True)

    lines = ran.stdout.splitlines()
    assert [line.partition("; run: pip install 'glancelite[")[2] for line in lines] == [
        f"{extra}]'" for extra in ('http-basic', 'keystone', 'celery', 'glance-store', 's3')]
    assert all('needs a library that is not installed: ' in line for line in lines)
