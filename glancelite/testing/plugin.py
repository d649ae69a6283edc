"""The pytest plugin of the conformance kit.

It is loaded by every pytest run of the environment it is installed in, so it
imports nothing of weight before a fixture is asked for, and has command line
options only where the conformance suite is run: names as short as
``--driver`` may belong to somebody else elsewhere.
"""

from __future__ import annotations

import pytest

SUITE = 'glancelite.testing.conformance'

#: options of the conformance command, for pytest's parser
OPTIONS = {
    'layer': {'metavar': 'LAYER', 'help': 'layer of the plugin, such as store'},
    'driver': {'metavar': 'NAME', 'help': 'name of the plugin, as its entry point says'},
    'config': {
        'metavar': 'FILE',
        'help': 'configuration file with the options of the plugin; $conformance_dir in it is a '
                'directory that is new for each test'},
    'conformance-report': {
        'metavar': 'FILE', 'help': 'also write the report, which is JSON, to this file'},
    'backend': {
        'metavar': 'TEXT', 'help': 'what the report says of the backend, instead of health()'},
    'large': {
        'action': 'store_true', 'help': 'also write an image of more than 4 GiB into a store'},
    'leftovers': {
        'metavar': 'COMMAND',
        'help': 'shell command that lists what the backend of a store holds, a name in each line; '
                'after each test it must print nothing that it has not printed before; '
                '$CONFORMANCE_DIR is as in the configuration'},
    'config-broken': {
        'metavar': 'FILE',
        'help': 'as --config, but with an endpoint where nobody answers: also show that the store '
                'says so, and in time'},
    'broken-url': {
        'metavar': 'URL',
        'help': 'an address that the store of --config-broken would read, if it takes those of '
                'the living one not for its own'},
    'sample-url': {
        'metavar': 'URL', 'help': 'for a read-only store: an address with data behind it'},
    'sample-file': {
        'metavar': 'FILE', 'help': 'for a read-only store: the same data, more than 192 KiB'},
    'missing-url': {
        'metavar': 'URL', 'help': 'for a read-only store: an address with nothing behind it'},
    'pause': {
        'metavar': 'SECONDS', 'type': float, 'default': 3.0,
        'help': 'how long sources and readers of a store stand still; 3 by default'},
    'patience': {
        'metavar': 'SECONDS', 'type': float, 'default': 30.0,
        'help': 'within which a store does something small, or gives a backend up; 30 by default'},
}

pytest.register_assert_rewrite('glancelite.testing.contracts', SUITE)


def pytest_load_initial_conftests(parser, args):
    if not any(argument.startswith(SUITE) for argument in args):
        return
    group = parser.getgroup('glancelite', 'proving a plugin of glancelite')
    for name, words in OPTIONS.items():
        dest = f'glancelite_{name.removeprefix("conformance-").replace("-", "_")}'
        group.addoption(f'--{name}', dest=dest, **words)


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
