"""``glancelite-manage db load_metadefs``, ``export_metadefs``, ``unload_metadefs``."""

import contextlib
import dataclasses
import json
import pathlib

import pytest

from glancelite.cmd import manage
from glancelite.cmd.manage import metadefs
from glancelite.contract import Conflict, NotFound, Page
from glancelite.contract.metadef import ITEM_KINDS

SHIPPED = pathlib.Path(__file__).parents[2] / 'etc/metadefs'


class Records:
    """Metadata definitions in a dictionary: the methods of ``MetadefRecords`` for commands."""

    def __init__(self):
        self.definitions = {}

    def get(self, name):
        if name not in self.definitions:
            raise NotFound(f'Namespace {name} not found')
        return self.definitions[name].namespace

    def read(self, name, kinds):
        assert set(kinds) == set(ITEM_KINDS)
        self.get(name)
        return self.definitions[name]

    def add(self, definition, *, seeded):
        assert seeded
        if definition.namespace.namespace == 'taken meanwhile':
            raise Conflict('Namespace taken meanwhile exists')
        self.definitions[definition.namespace.namespace] = definition

    def replace(self, definition, *, seeded):
        assert seeded
        self.definitions[definition.namespace.namespace] = definition

    def merge(self, definition, *, prefer_new, seeded):
        assert seeded
        old = self.definitions[definition.namespace.namespace]
        first, second = (definition, old) if prefer_new else (old, definition)
        self.definitions[definition.namespace.namespace] = dataclasses.replace(first, **{
            kind: list({item.name: item for item in (
                *getattr(second, kind), *getattr(first, kind))}.values())
            for kind in ITEM_KINDS})

    def list(self, query):
        assert query.sort == (('namespace', 'asc'), ('id', 'asc'))
        assert query.viewer.is_admin
        after = query.after.namespace if query.after else ''
        names = [name for name in sorted(self.definitions) if name > after]
        return Page(tuple(self.definitions[name] for name in names[:query.limit]),
                    more=len(names) > query.limit)

    def clear(self):
        self.definitions.clear()


@pytest.fixture
def records(monkeypatch):
    found = Records()

    @contextlib.contextmanager
    def opened(conf):
        yield found
    monkeypatch.setattr(metadefs, '_records', opened)
    return found


@pytest.fixture
def run(records, tmp_path, monkeypatch):
    """Run a command whose default directory is ``source``; return its exit code."""
    configuration = tmp_path / 'glancelite-api.conf'
    configuration.write_text(f'[DEFAULT]\nmetadata_source_path = {tmp_path}/source\n')
    (tmp_path / 'source').mkdir()
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments):
        return manage.run(['--config-file', str(configuration), *arguments])
    return run_command


@pytest.fixture
def file(tmp_path):
    def write(name='a.json', **document):
        (tmp_path / 'source' / name).write_text(json.dumps({'namespace': 'A', **document}))
    return write


def tags(*names):
    return [{'name': name} for name in names]


def test_the_shipped_files_are_loaded_exported_and_loaded_again(run, records, tmp_path):
    assert run('db', 'load_metadefs', '--path', str(SHIPPED)) == 0
    loaded = dict(records.definitions)
    assert len(loaded) == 33

    assert run('db', 'export_metadefs', '--path', str(tmp_path / 'new/folder')) == 0
    assert run('db', 'unload_metadefs') == 0
    assert records.definitions == {}
    assert run('db', 'load_metadefs', '--path', str(tmp_path / 'new/folder')) == 0

    assert records.definitions == loaded


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

    assert list(records.definitions) == ['A']


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
    found = records.definitions['A']
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

    assert records.definitions == {}
    assert capsys.readouterr().err.startswith('ERROR: prefer_new and overwrite ')


def test_a_file_that_is_not_loaded_does_not_stop_the_others(run, records, file, capsys):
    file('a.json', visibility='shared')
    file('b.json', namespace='taken meanwhile')
    file('c.json', namespace='C')

    assert run('db', 'load_metadefs') == 1

    assert list(records.definitions) == ['C']
    assert capsys.readouterr().err.splitlines() == [
        "ERROR: a.json: 'visibility' must be one of public, private; not 'shared'",
        'ERROR: b.json: Namespace taken meanwhile exists']


@pytest.mark.parametrize('path', ['source', 'missing'])
def test_nothing_to_load_is_said_and_is_no_error(run, capsys, path):
    assert run('db', 'load_metadefs', '--path', path) == 0

    assert capsys.readouterr().err == f'{path}: no files *.json\n'


def test_an_export_to_what_is_no_directory_is_an_error(run, records, file, capsys):
    file()
    run('db', 'load_metadefs')

    assert run('db', 'export_metadefs', '--path', 'source/a.json') == 1

    assert capsys.readouterr().err == 'ERROR: source/a.json: File exists\n'


def test_a_namespace_that_is_removed_meanwhile_is_not_exported(run, records, file, tmp_path):
    file()
    file('b.json', namespace='B')
    run('db', 'load_metadefs')
    read = records.read

    def removed(name, kinds):
        if name == 'A':
            raise NotFound('Namespace A not found')
        return read(name, kinds)
    records.read = removed

    assert run('db', 'export_metadefs', '--path', 'out') == 0

    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['B.json']


def test_old_spellings_export_and_unload(run, records, file, tmp_path):
    file()

    assert run('db_load_metadefs') == 0
    assert run('db_export_metadefs', 'out') == 0
    assert run('db_unload_metadefs') == 0

    assert (tmp_path / 'out/A.json').exists()
    assert records.definitions == {}


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
