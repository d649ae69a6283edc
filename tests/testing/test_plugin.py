"""The fixtures for authors of plugins."""

import datetime

import pytest

from glancelite import contract
from glancelite.plugins.store.file import FileStore
from glancelite.plugins.store.memory import MemoryStore

pytest_plugins = ['pytester']


def test_a_plugin_gets_its_defaults_and_the_given_options(make_plugin, tmp_path):
    store = make_plugin(FileStore, name='fast', filesystem_store_datadir=str(tmp_path))

    assert store.name == 'fast'
    assert store.options.filesystem_store_datadir == str(tmp_path)
    assert store.options.filesystem_store_chunk_size == 65536


def test_an_unknown_option_is_a_type_error(make_plugin):
    with pytest.raises(TypeError):
        make_plugin(MemoryStore, filesystem_store_datadri='/')


def test_plugins_are_closed_after_the_test(pytester):
    pytester.makepyfile('''
        from glancelite.plugins.store.memory import MemoryStore

        closed = []

        class Closing(MemoryStore):
            def close(self):
                closed.append(self.name)

        def test_builds(make_plugin):
            make_plugin(Closing, name='one')
            make_plugin(Closing, name='two')
            assert closed == []

        def test_were_closed():
            assert closed == ['one', 'two']
    ''')

    pytester.inline_run().assertoutcome(passed=2)


def test_the_host_has_a_clock_that_the_test_sets(host):
    before = host.now()

    host.advance(seconds=30)

    assert host.now() - before == datetime.timedelta(seconds=30)
    assert host.usage('anybody') == contract.Usage()


def test_callers_are_built(context):
    caller = context('p', roles=['admin'], is_admin=True)

    assert (caller.project, caller.roles, caller.is_admin) == ('p', {'admin'}, True)
