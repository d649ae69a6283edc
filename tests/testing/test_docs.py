"""Tests of doc/plugins.md: its example conforms, and its snippets are valid."""

import concurrent.futures
import configparser
import inspect
import pathlib
import re
import sys
import time
import tomllib

import pytest

from glancelite import contract
from glancelite.testing import conformance, contracts, plugin
from glancelite.testing.contracts import StoreContract

pytest_plugins = ['pytester']

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


@pytest.fixture
def make_folder(acme_folder, make_plugin, tmp_path):
    """Builds the store of the example in a directory of the same name."""
    return lambda name: make_plugin(acme_folder.FolderStore, name=name,
                                    folder_path=str(tmp_path / name))


class TestTheExample(StoreContract):

    @pytest.fixture
    def store(self, make_folder):
        return make_folder('fast')

    def leftovers(self, store):
        root = pathlib.Path(store.options.folder_path)
        return sorted(str(path.relative_to(root)) for path in root.glob('*/*'))


class TestTwoOfTheExample(contracts.TwoStoresContract):

    @pytest.fixture
    def store(self, make_folder):
        return make_folder('fast')

    @pytest.fixture
    def other(self, make_folder):
        return make_folder('cold')


class TestMovedFolderOfTheExample(contracts.MissingRootContract):

    @pytest.fixture
    def store(self, make_folder):
        return make_folder('fast')

    def take_root_away(self, store):
        root = pathlib.Path(store.options.folder_path)
        root.rename(f'{root}.away')

    def bring_root_back(self, store):
        root = pathlib.Path(store.options.folder_path)
        pathlib.Path(f'{root}.away').rename(root)


class TestUnmountedFolderOfTheExample(TestMovedFolderOfTheExample):
    """An empty directory is what a share leaves that is not mounted any more."""

    def take_root_away(self, store):
        super().take_root_away(store)
        pathlib.Path(store.options.folder_path).mkdir()

    def bring_root_back(self, store):
        pathlib.Path(store.options.folder_path).rmdir()
        super().bring_root_back(store)


def test_an_empty_directory_of_the_example_is_not_used(make_folder, tmp_path):
    (tmp_path / 'fast').mkdir()

    with pytest.raises(contract.Unavailable):
        make_folder('fast').write('key', iter([b'1']))

    assert list((tmp_path / 'fast').iterdir()) == []


def test_the_first_writers_of_the_example_do_not_disturb_one_another(
        make_folder, monkeypatch, tmp_path):
    made = pathlib.Path.mkdir

    def slow(path, *args, **named):
        made(path, *args, **named)
        time.sleep(0.05)

    monkeypatch.setattr(pathlib.Path, 'mkdir', slow)
    store = make_folder('fast')

    def write(number):
        time.sleep(number * 0.02)
        return store.write(f'key-{number}', iter([b'1'])).size

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(write, range(8))) == [1] * 8
    assert [path.name for path in tmp_path.iterdir()] == ['fast']


@pytest.fixture
def suites(acme_folder):
    """The test classes of the page."""
    text = next(text for text in snippets('python') if 'class Test' in text)
    space = {}
    exec(compile(text, 'doc/plugins.md', 'exec'), space)
    return space


def test_the_suites_of_the_page_pass(suites, pytester, acme_folder):
    pytester.makepyfile(next(text for text in snippets('python') if 'class Test' in text))

    passed, skipped, failed = pytester.inline_run('-q').countoutcomes()

    assert suites['TestFolderStore'].store is not StoreContract.store
    assert suites['TestDeadFolder'].broken is not contracts.BrokenBackendContract.broken
    assert (passed > 100, skipped, failed) == (True, 0, 0)


def test_the_methods_that_the_page_uses_for_a_token_exist():
    text = next(text for text in snippets('python') if 'host.load' in text)

    compile(text, 'doc/plugins.md', 'exec')
    for kind, name in ((contract.Host, 'host'), (contract.CredentialSource, 'self._credentials'),
                       (contract.Credential, 'credential')):
        used = set(re.findall(rf'(?<![\w.]){name}\.(\w+)\(', text))
        assert used
        assert [method for method in used if not hasattr(kind, method)] == []


def test_the_words_of_the_report_are_explained():
    listed = re.findall(r'^\| (`\w+`(?:, `\w+`)*) \|', TEXT.partition('### The report')[2],
                      re.MULTILINE)
    words = [word for words in listed for word in re.findall(r'\w+', words)]
    source = inspect.getsource(conformance.Conformance.report)

    assert words == re.findall(r"'(\w+)':", source)


def test_the_options_of_the_command_are_explained():
    known = {f'--{name}' for name in plugin.OPTIONS}
    explained = set(re.findall(r'--[a-z-]+[a-z]', TEXT.partition('## Test it')[2]))

    assert known - explained == set()
    assert explained - known == {'--pyargs', '--collect-only'}


def test_the_capabilities_and_errors_of_a_store_are_explained():
    tables = TEXT.partition('| Capability of a store')[2].partition('| Layer |')[0]
    words = re.findall(r'^\| `(\w+)` \|', tables, re.MULTILINE)

    assert set(words[:4]) == contract.Store.CAPABILITIES
    assert [word for word in words[4:] if not hasattr(contract, word)] == []
    raised = set(re.findall(r':raises (\w+):', inspect.getsource(contract.Store)))
    assert raised - set(words) == {'Unsupported'}     # raised by the base class


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

    assert [each['DEFAULT']['enabled_backends'] for each in stores] == [
        'fast:folder', 'fast:folder, cold:folder']
    for each in stores:
        own = set(each['fast']) - set(each.defaults())
        assert own == {opt.name for opt in acme_folder.FolderStore.OPTS}


def test_every_suite_and_layer_that_is_named_exists():
    named = re.findall(r'`(\w+Contract)`', TEXT)
    layers = re.findall(r'--layer (\w+)', TEXT)

    assert named
    assert [name for name in named if not hasattr(contracts, name)] == []
    assert layers
    assert [layer for layer in layers if layer not in contract.LAYERS] == []
