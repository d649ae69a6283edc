"""The pytest plugin of the conformance kit.

It is loaded by every pytest run of the environment it is installed in, so it
imports nothing of weight before a fixture is asked for, and has command line
options only where the conformance suite is run: names as short as
``--driver`` may belong to somebody else elsewhere.
"""

from __future__ import annotations

import pytest

SUITE = 'glancelite.testing.conformance'

pytest.register_assert_rewrite('glancelite.testing.contracts', SUITE)


def pytest_load_initial_conftests(parser, args):
    if not any(argument.startswith(SUITE) for argument in args):
        return
    group = parser.getgroup('glancelite', 'proving a plugin of glancelite')
    group.addoption('--layer', dest='glancelite_layer', metavar='LAYER',
                    help='layer of the plugin, such as store')
    group.addoption('--driver', dest='glancelite_driver', metavar='NAME',
                    help='name of the plugin, as its entry point says')
    group.addoption('--config', dest='glancelite_config', metavar='FILE',
                    help='configuration file with the options of the plugin; $conformance_dir '
                         'in it is a directory that is new for each test')
    group.addoption('--conformance-report', dest='glancelite_report', metavar='FILE',
                    help='also write the report, which is JSON, to this file')
    group.addoption('--large', dest='glancelite_large', action='store_true',
                    help='also write an image of more than 4 GiB into a store')


def pytest_configure(config):
    if hasattr(config.option, 'glancelite_driver') and not config.option.help:
        from glancelite.testing import conformance
        config.pluginmanager.register(conformance.Conformance(config), 'glancelite-conformance')


@pytest.fixture
def host():
    """A host with a clock that the test sets."""
    from glancelite.testing.fakes import FakeHost
    host = FakeHost()
    yield host
    host.close()


@pytest.fixture
def make_plugin(host):
    """Builds plugins from their class and options, and closes them in the end.

    ``make_plugin(FileStore, name='fast', filesystem_store_datadir='/...')``
    """
    from glancelite.loader import Options
    living = []

    def make(kind, *, name='test', conf=None, **options):
        plugin = kind(Options.of(kind, **options), host, name=name, conf=conf)
        living.append(plugin)
        return plugin

    yield make
    for plugin in living:
        plugin.close()


@pytest.fixture
def context():
    """Builds callers: ``context(project='p', roles={'member'})``."""
    from glancelite import contract

    def make(project='project', *, user='user', roles=('member', 'reader'), **fields):
        return contract.Context(user=user, project=project, roles=frozenset(roles), **fields)

    return make
