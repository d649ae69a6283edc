"""``glancelite-manage db load_metadefs``, ``export_metadefs``, ``unload_metadefs``."""

import json
import pathlib
import shutil

import pytest

from glancelite import config
from glancelite.cmd import manage
from glancelite.cmd.manage import core, metadefs
from glancelite.contract import Conflict, Viewer
from glancelite.contract.metadef import ITEM_KINDS, NamespaceQuery
from glancelite.services import metadef_files

SHIPPED = pathlib.Path(__file__).parents[2] / 'etc/metadefs'


CONFIGURATION = """
[DEFAULT]
metadata_source_path = {home}/source
[database]
connection = sqlite:///{home}/glancelite.sqlite
"""


@pytest.fixture(scope='module')
def empty(tmp_path_factory):
    """The file of a database without records."""
    home = tmp_path_factory.mktemp('empty')
    assert manage.run(['--config-file', configuration(home), 'db', 'sync']) == 0
    return home / 'glancelite.sqlite'


def configuration(home):
    path = home / 'glancelite-api.conf'
    path.write_text(CONFIGURATION.format(home=home))
    return str(path)


@pytest.fixture
def run(empty, tmp_path, monkeypatch):
    """Run a command whose default directory is ``source``; return its exit code."""
    shutil.copy(empty, tmp_path)
    (tmp_path / 'source').mkdir()
    monkeypatch.chdir(tmp_path)
    path = configuration(tmp_path)
    return lambda *arguments: manage.run(['--config-file', path, *arguments])


@pytest.fixture
def records(run, tmp_path):
    """The records of the database that the commands use."""
    conf = config.load(['--config-file', str(tmp_path / 'glancelite-api.conf')])
    with core.open_database(conf) as database:
        yield database.metadefs


def stored(records):
    """Return namespace -> its definition, without what a new record changes."""
    query = NamespaceQuery(Viewer(is_admin=True))
    return {each.namespace.namespace: metadef_files.format_definition(
                records.read(each.namespace.namespace, ITEM_KINDS))
            for each in records.list(query).items}


@pytest.fixture
def file(tmp_path):
    def write(name='a.json', **document):
        (tmp_path / 'source' / name).write_text(json.dumps({'namespace': 'A', **document}))
    return write


def tags(*names):
    return [{'name': name} for name in names]


def test_the_shipped_files_are_loaded_exported_and_loaded_again(run, records, tmp_path):
    assert run('db', 'load_metadefs', '--path', str(SHIPPED)) == 0
    loaded = stored(records)
    assert len(loaded) == 33

    assert run('db', 'export_metadefs', '--path', str(tmp_path / 'new/folder')) == 0
    assert run('db', 'unload_metadefs') == 0
    assert stored(records) == {}
    assert run('db', 'load_metadefs', '--path', str(tmp_path / 'new/folder')) == 0

    assert stored(records) == loaded


def test_an_export_takes_all_pages_and_replaces_files(run, records, file, tmp_path, capsys):
    for number in range(metadefs.PAGE + 1):
        file(f'{number:03}.json', namespace=f'N{number:03}')
    run('db', 'load_metadefs')
    capsys.readouterr()

    assert run('db', 'export_metadefs', '--path', 'out') == 0
    assert run('db', 'export_metadefs', '--path', 'out') == 0

    assert len(list((tmp_path / 'out').iterdir())) == metadefs.PAGE + 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'written   N000.json: N000'
    assert lines[-1] == f'replaced  N{metadefs.PAGE:03}.json: N{metadefs.PAGE:03}'


def test_files_of_a_directory_are_loaded_in_the_order_of_their_names(
        run, file, tmp_path, capsys):
    file('b.json', namespace='B')
    file('a.json')
    (tmp_path / 'source/notes.txt').write_text('no definition')
    (tmp_path / 'source/folder.json').mkdir()

    assert run('db', 'load_metadefs') == 0

    assert capsys.readouterr().out == 'added     a.json: A\nadded     b.json: B\n'


@pytest.mark.parametrize('path', ['source/a.json', '{home}/source/a.json'])
def test_a_path_may_be_a_file(run, records, file, tmp_path, path):
    file()
    file('b.json', namespace='B')

    assert run('db', 'load_metadefs', '--path', path.format(home=tmp_path)) == 0

    assert list(stored(records)) == ['A']


FLAGS = {
    (): (['old', 'both'], 'before', 'skipped'),
    ('merge',): (['old', 'both', 'new'], 'before', 'merged'),
    ('merge', 'prefer_new'): (['old', 'both', 'new'], 'after', 'merged'),
    ('merge', 'overwrite'): (['both', 'new'], 'after', 'replaced')}


@pytest.mark.parametrize('flags', FLAGS, ids='-'.join)
@pytest.mark.parametrize('legacy', [False, True])
def test_flags_say_what_becomes_of_a_namespace_that_exists(
        run, records, file, capsys, flags, legacy):
    file(description='before', tags=tags('old', 'both'))
    run('db', 'load_metadefs')
    file(description='after', tags=tags('both', 'new'))
    capsys.readouterr()
    arguments = ['db', 'load_metadefs', *(f'--{flag}' for flag in flags)]
    if legacy:
        arguments = ['db_load_metadefs', 'source', *(
            'yes' if flag in flags else '' for flag in ('merge', 'prefer_new', 'overwrite'))]

    assert run(*arguments) == 0

    names, description, done = FLAGS[flags]
    found = records.read('A', ITEM_KINDS)
    assert {tag.name for tag in found.tags} == set(names)
    assert found.namespace.description == description
    assert capsys.readouterr().out == f'{done:9} a.json: A\n'


@pytest.mark.parametrize('arguments', [
    ['db', 'load_metadefs', '--prefer_new'], ['db', 'load_metadefs', '--overwrite'],
    ['db', 'load_metadefs', '--merge', '--prefer_new', '--overwrite'],
    ['db_load_metadefs', 'source', '', 'yes'], ['db_load_metadefs', 'source', 'a', 'b', 'c']])
def test_flags_that_contradict_each_other_change_nothing(run, records, file, capsys, arguments):
    file()

    assert run(*arguments) == 2

    assert stored(records) == {}
    assert capsys.readouterr().err.startswith('ERROR: prefer_new and overwrite ')


def test_a_file_that_is_not_loaded_does_not_stop_the_others(run, records, file, capsys):
    file('a.json', visibility='shared')
    file('b.json', tags=[{'name': 5}])
    file('c.json', namespace='C')

    assert run('db', 'load_metadefs') == 1

    assert list(stored(records)) == ['C']
    assert capsys.readouterr().err.splitlines() == [
        "ERROR: a.json: 'visibility' must be one of public, private; not 'shared'",
        "ERROR: b.json: 'tags' item 0 'name' must be a string, not 5"]


def test_a_namespace_that_others_change_meanwhile_is_an_error(run, file, capsys, monkeypatch):
    def conflict(*arguments):
        raise Conflict('Namespace A exists')
    monkeypatch.setattr(metadef_files, 'load', conflict)
    file()

    assert run('db', 'load_metadefs') == 1

    assert capsys.readouterr().err == 'ERROR: a.json: Namespace A exists\n'


@pytest.mark.parametrize('path', ['source', 'missing'])
def test_nothing_to_load_is_said_and_is_no_error(run, capsys, path):
    assert run('db', 'load_metadefs', '--path', path) == 0

    assert capsys.readouterr().err == f'{path}: no files *.json\n'


def test_an_export_to_what_is_no_directory_is_an_error(run, records, file, capsys):
    file()
    run('db', 'load_metadefs')

    assert run('db', 'export_metadefs', '--path', 'source/a.json') == 1

    assert capsys.readouterr().err == 'ERROR: source/a.json: File exists\n'


def test_old_spellings_export_and_unload(run, records, file, tmp_path):
    file()

    assert run('db_load_metadefs') == 0
    assert run('db_export_metadefs', 'out') == 0
    assert run('db_unload_metadefs') == 0

    assert (tmp_path / 'out/A.json').exists()
    assert stored(records) == {}


@pytest.mark.parametrize(('database', 'complaint'), [
    ('memory', 'records are lost when this command ends'),
    ('sql', 'not up to date; run: glancelite-manage db sync')])
def test_a_database_that_cannot_keep_definitions_is_an_error(tmp_path, capsys, database,
                                                             complaint):
    configuration = tmp_path / 'glancelite-api.conf'
    configuration.write_text(f'[layers]\ndatabase = {database}\n'
                             f'[database]\nconnection = sqlite:///{tmp_path}/x.sqlite\n')

    assert manage.run(['--config-file', str(configuration), 'db', 'unload_metadefs']) == 1

    assert complaint in capsys.readouterr().err
