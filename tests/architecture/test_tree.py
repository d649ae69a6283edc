"""The structure of the tree: one word per layer, short files with a docstring."""

import ast
import configparser
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PYTHON = sorted(path for folder in ('glancelite', 'tests', 'contrib')
                for path in (ROOT / folder).rglob('*.py'))
LONGEST = 499  # lines

SETUP = configparser.ConfigParser()
SETUP.read(ROOT / 'setup.cfg')
LAYERS = sorted(
    namespace.removeprefix('glancelite.')
    for namespace in SETUP['options.entry_points'] if namespace.startswith('glancelite.'))


def _id(path):
    return str(path.relative_to(ROOT))


def _folders(parent):
    return {path.name for path in (ROOT / parent).iterdir()
            if path.is_dir() and path.name != '__pycache__'}


def test_a_file_is_short_and_its_first_line_says_what_it_is_for():
    texts = {_id(path): path.read_text() for path in PYTHON}

    assert [path for path, text in texts.items() if len(text.splitlines()) > LONGEST] == []
    assert [path for path, text in texts.items()
            if not (ast.get_docstring(ast.parse(text)) or '').strip()
            or not re.match(r'(#!.*\n)?[rR]?"""\S', text)] == []


@pytest.mark.parametrize('layer', LAYERS)
def test_one_word_names_a_layer_everywhere(layer):
    contract = ROOT / 'glancelite/contract' / layer
    assert contract.with_suffix('.py').is_file() or (contract / '__init__.py').is_file()
    assert (ROOT / f'glancelite/plugins/{layer}/__init__.py').is_file()
    assert (ROOT / f'tests/plugins/{layer}').is_dir()


def test_every_plugin_folder_is_a_layer():
    assert _folders('glancelite/plugins') == set(LAYERS)


def test_every_folder_of_plugin_tests_is_a_layer():
    assert _folders('tests/plugins') <= set(LAYERS)


@pytest.mark.parametrize('layer', LAYERS)
def test_plugins_live_in_the_folder_of_their_layer(layer):
    entries = SETUP['options.entry_points'][f'glancelite.{layer}'].strip().splitlines()

    modules = [entry.partition('=')[2].partition(':')[0].strip() for entry in entries]

    assert modules
    assert all(module.startswith(f'glancelite.plugins.{layer}.') for module in modules)


def test_only_a_missing_program_keeps_a_test_from_running():
    """A skip elsewhere would hide what was not tested: see tests/servers/programs.py."""
    skip = re.compile(r'pytest\.(skip\(|importorskip|mark\.skip)')

    skipping = {_id(path) for path in PYTHON if skip.search(path.read_text())}

    assert skipping - {_id(pathlib.Path(__file__))} == {'tests/servers/programs.py'}
