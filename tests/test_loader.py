"""From a name in the configuration to a plugin that keeps the contract."""

import pytest
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.plugins.store.memory import MemoryStore
from glancelite.testing.fakes import FakeHost


@pytest.fixture
def conf(tmp_path):
    """Reads a configuration from a text."""
    def read(text=''):
        path = tmp_path / 'glancelite.conf'
        path.write_text(text)
        conf = cfg.ConfigOpts()
        conf(['--config-file', str(path)], project='glancelite', default_config_dirs=[])
        return conf
    return read


class Reads(contract.Store):
    """A store that takes no data needs no more than this."""

    CAPABILITIES = frozenset()

    def read(self, url, *, offset=0, length=None, ctx=None):
        return iter(())

    def size(self, url, *, ctx=None):
        return 0

    def owns(self, url):
        return False


class Older(Reads):
    CONTRACT = 0


class ForgetsToDelete(Reads):
    CAPABILITIES = frozenset({'write'})

    def write(self, key, chunks, *, size=None, ctx=None):
        return contract.WriteResult('x://', sum(map(len, chunks)))

    def discard(self, key, *, ctx=None):
        pass


class ForgetsToRead(Reads):
    read = contract.Store.read


@pytest.mark.parametrize(('kind', 'fault'), [
    (Reads, ''), (MemoryStore, ''), (dict, 'is not a subclass of'), (len, 'is not a subclass of'),
    (Older, 'was written for version 0 of the contract; this service uses version 1'),
    (ForgetsToDelete, 'lacks delete'), (ForgetsToRead, 'lacks read')])
def test_what_breaks_the_treaty_is_named(kind, fault):
    found = loader.violation('store', kind)

    assert found.startswith(fault) if fault else found == ''


def test_a_store_without_the_ability_refuses_to_be_written_to():
    store = Reads(None, FakeHost())

    for call in (lambda: store.write('key', iter(())), lambda: store.delete('x://'),
                 lambda: store.discard('key')):
        with pytest.raises(contract.ReadOnly):
            call()


def test_an_unknown_name_is_answered_with_the_known_ones(conf):
    with pytest.raises(contract.Misconfigured, match=r"'fiel'; installed: file, .*memory"):
        loader.load(conf(), FakeHost(), 'store', 'fiel')


def test_a_plugin_is_built_with_the_options_of_its_section(conf, tmp_path):
    text = f'[fast]\nfilesystem_store_datadir = {tmp_path}/a\n'

    store = loader.load(conf(text), FakeHost(), 'store', 'file', 'fast')

    assert store.name == 'fast'
    assert store.options.filesystem_store_datadir == f'{tmp_path}/a'


@pytest.mark.parametrize(('own', 'found'), [('', 'defaults'), ('own', 'own')])
def test_a_store_looks_into_the_defaults_for_what_it_does_not_say(conf, tmp_path, own, found):
    line = f'filesystem_store_datadir = {tmp_path}/'
    text = f'[fast]\n{line}{own}\n' if own else '[fast]\n'

    store = loader.load(conf(f'{text}[backend_defaults]\n{line}defaults\n'), FakeHost(),
                        'store', 'file', 'fast')

    assert store.options.filesystem_store_datadir == f'{tmp_path}/{found}'


def test_an_option_that_must_be_set_is_named(conf):
    with pytest.raises(contract.Misconfigured, match=r'\[place\] where must be set: Which one\.'):
        loader.read_options(conf(), [cfg.StrOpt('where', required=True, help='Which one.')],
                            'place')


def test_options_show_no_values():
    assert repr(loader.Options({'password': 'secret'})) == 'Options(password)'


def test_options_of_a_test_must_exist():
    with pytest.raises(TypeError, match='has no option nothing'):
        loader.Options.of(MemoryStore, nothing=1)


@pytest.mark.parametrize('layer', contract.LAYERS)
def test_every_layer_has_something_installed(layer):
    found = loader.installed(layer)

    assert found
    assert {plugin.package for plugin in found.values()} == {'glancelite'}
