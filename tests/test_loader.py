"""Finding and building plugins: options, errors, violations of the contract."""

import pytest
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.plugins.store.memory import MemoryStore
from glancelite.testing.fakes import FakeHost


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


class ReadOnly(contract.Store):
    """A read-only store: the minimum."""

    CAPABILITIES = frozenset()

    def read(self, url, *, offset=0, length=None, ctx=None):
        return iter(())

    def size(self, url, *, ctx=None):
        return 0

    def owns(self, url):
        return False


class Older(ReadOnly):
    CONTRACT = 0


class WithoutDelete(ReadOnly):
    CAPABILITIES = frozenset({'write'})

    def write(self, key, chunks, *, size=None, ctx=None):
        return contract.WriteResult('x://', sum(map(len, chunks)))

    def discard(self, key, *, ctx=None):
        pass


class WithoutRead(ReadOnly):
    read = contract.Store.read


@pytest.mark.parametrize(('kind', 'problem'), [
    (ReadOnly, ''), (MemoryStore, ''),
    (dict, 'is not a subclass of'), (len, 'is not a subclass of'),
    (Older, 'was written for version 0 of the contract; this service uses version 1'),
    (WithoutDelete, 'lacks delete'), (WithoutRead, 'lacks read')])
def test_violations_of_the_contract_are_named(kind, problem):
    violation = loader.violation('store', kind)

    assert violation.startswith(problem) if problem else violation == ''


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
