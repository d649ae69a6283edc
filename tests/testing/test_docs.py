"""What doc/plugins.md shows is true: its example conforms, its snippets can be used."""

import configparser
import pathlib
import re
import sys
import tomllib

import pytest

from glancelite import contract
from glancelite.testing import contracts
from glancelite.testing.contracts import StoreContract

TEXT = (pathlib.Path(__file__).parents[2] / 'doc' / 'plugins.md').read_text(encoding='utf-8')


def snippets(language):
    """The blocks of the page in one language, in order."""
    return re.findall(rf'```{language}\n(.*?)```', TEXT, re.DOTALL)


def inis():
    """The ini blocks, parsed: strictly, but without interpolation, as oslo.config has its own."""
    parsed = []
    for snippet in snippets('ini'):
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str
        parser.read_string('[DEFAULT]\n' + snippet.removeprefix('[DEFAULT]\n'))
        parsed.append(parser)
    return parsed


@pytest.fixture(scope='module')
def acme_folder(tmp_path_factory):
    """The module of the example, imported from a file as it would be."""
    folder = tmp_path_factory.mktemp('acme')
    (folder / 'acme_folder.py').write_text(snippets('python')[0], encoding='utf-8')
    sys.path.insert(0, str(folder))
    try:
        import acme_folder
        yield acme_folder
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop('acme_folder', None)


class TestTheExample(StoreContract):

    @pytest.fixture
    def store(self, acme_folder, make_plugin, tmp_path):
        return make_plugin(acme_folder.FolderStore, folder_path=str(tmp_path / 'images'))

    def leftovers(self, store):
        root = pathlib.Path(store.options.folder_path)
        return sorted(str(path.relative_to(root)) for path in root.glob('*/*'))


def test_two_stores_of_the_example_tell_their_addresses_apart(acme_folder, make_plugin, tmp_path):
    fast, cold = (make_plugin(acme_folder.FolderStore, name=name, folder_path=str(tmp_path / name))
                  for name in ('fast', 'cold'))

    url = fast.write('key', iter([b'x'])).url

    assert (fast.owns(url), cold.owns(url)) == (True, False)


def test_the_suite_of_the_page_is_one(acme_folder):
    space = {}
    exec(compile(snippets('python')[1], 'doc/plugins.md', 'exec'), space)

    suite = space['TestFolderStore']
    assert issubclass(suite, StoreContract)
    assert suite.store is not StoreContract.store


def test_both_forms_of_the_entry_point_name_the_example(acme_folder):
    ini = next(each for each in inis() if 'options.entry_points' in each)
    toml = tomllib.loads(snippets('toml')[0])

    listed = ini['options.entry_points']['glancelite.store'].strip()
    name, _, target = listed.partition(' = ')
    assert toml == {'project': {'entry-points': {'glancelite.store': {name: target}}}}
    module, _, attribute = target.partition(':')
    assert (module, name) == (acme_folder.__name__, 'folder')
    assert issubclass(getattr(acme_folder, attribute), contract.Store)


def test_the_options_of_the_page_are_those_of_the_example(acme_folder):
    stores = [each for each in inis() if 'enabled_backends' in each['DEFAULT']]

    assert len(stores) == 2
    for each in stores:
        assert each['DEFAULT']['enabled_backends'] == 'fast:folder'
        own = set(each['fast']) - set(each.defaults())
        assert own == {opt.name for opt in acme_folder.FolderStore.OPTS}


def test_every_suite_and_layer_that_is_named_exists():
    named = re.findall(r'`(\w+Contract)`', TEXT)
    layers = re.findall(r'--layer (\w+)', TEXT)

    assert named
    assert [name for name in named if not hasattr(contracts, name)] == []
    assert layers
    assert [layer for layer in layers if layer not in contract.LAYERS] == []
