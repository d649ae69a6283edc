"""The pytest plugin of the conformance kit.

Every pytest run in an environment with glancelite loads it.  It therefore imports large
modules only when a fixture is used, and adds its command line options only to runs of the
conformance suite: other projects may use names such as ``--driver``.
"""

from __future__ import annotations

from typing import Any

import pytest

SUITE = 'glancelite.testing.conformance'

#: options of the conformance command, for pytest's parser
OPTIONS: dict[str, dict[str, Any]] = {
    'layer': {'metavar': 'LAYER', 'help': 'layer of the plugin, such as store'},
    'driver': {'metavar': 'NAME', 'help': 'name of the entry point of the plugin'},
    'config': {
        'metavar': 'FILE',
        'help': 'configuration file with the options of the plugin; $conformance_dir in it is a '
                'new directory for each test'},
    'conformance-report': {
        'metavar': 'FILE', 'help': 'also write the report (JSON) to this file'},
    'backend': {
        'metavar': 'TEXT',
        'help': 'description of the backend in the report, instead of health()'},
    'setup': {
        'metavar': 'COMMAND',
        'help': 'shell command that prepares the backend; it runs before each test, and '
                '$CONFORMANCE_DIR is the directory of the test'},
    'credentials': {
        'metavar': 'FILE',
        'help': 'for auth: a file with the headers of a request with valid credentials, such as '
                'X-Auth-Token: TOKEN, one per line'},
    'large': {
        'action': 'store_true', 'help': 'also write an image of more than 4 GiB into a store'},
    'leftovers': {
        'metavar': 'COMMAND',
        'help': 'shell command that lists the data in the backend of a store, one name per line; '
                'after each test it must print no line that it did not print before the test; '
                '$CONFORMANCE_DIR is the directory of the test'},
    'root-away': {
        'metavar': 'COMMAND',
        'help': 'shell command that moves or deletes the directory, bucket or pool of a store: '
                'also test that the store does not take its data for deleted; $CONFORMANCE_DIR '
                'is the directory of the test'},
    'root-back': {
        'metavar': 'COMMAND', 'help': 'shell command that undoes --root-away'},
    'config-broken': {
        'metavar': 'FILE',
        'help': 'as --config, but with an endpoint that does not answer: also test that the '
                'store reports this in time'},
    'broken-url': {
        'metavar': 'URL',
        'help': 'a URL of the store of --config-broken, if that store does not own the URLs of '
                'the store of --config'},
    'method': {
        'metavar': 'FILE',
        'help': 'for an importer: a file with the value of "method" (JSON) in a request that it '
                'accepts; it must fetch the data of --sample-file'},
    'sample-url': {
        'metavar': 'URL', 'help': 'for a read-only store: a URL of existing data'},
    'sample-file': {
        'metavar': 'FILE',
        'help': 'for a read-only store or an importer: a file with the same data, more than '
                '192 KiB'},
    'missing-url': {
        'metavar': 'URL', 'help': 'for a read-only store: a URL without data'},
    'pause': {
        'metavar': 'SECONDS', 'type': float, 'default': 3.0,
        'help': 'how long sources and readers of a store pause; default: 3'},
    'patience': {
        'metavar': 'SECONDS', 'type': float, 'default': 30.0,
        'help': 'time limit for small operations and for a backend that does not answer; '
                'default: 30'},
}

pytest.register_assert_rewrite('glancelite.testing.contracts', SUITE)


def pytest_load_initial_conftests(parser, args):
    if not any(argument.startswith(SUITE) for argument in args):
        return
    group = parser.getgroup('glancelite', 'testing a plugin of glancelite')
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
    """Build plugins from their class and options, and close them after the test.

    ``make_plugin(FileStore, name='fast', filesystem_store_datadir='/...')``
    """
    from glancelite.loader import Options
    plugins = []

    def make(kind, *, name='test', conf=None, **options):
        plugin = kind(Options.of(kind, **options), host, name=name, conf=conf)
        plugins.append(plugin)
        return plugin

    yield make
    for plugin in plugins:
        plugin.close()


@pytest.fixture
def context():
    """Build callers: ``context(project='p', roles={'member'})``."""
    from glancelite import contract

    def make(project='project', *, user='user', roles=('member', 'reader'), **fields):
        return contract.Context(user=user, project=project, roles=frozenset(roles), **fields)

    return make
