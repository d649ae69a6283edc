"""The pytest plugin of the conformance kit.

It is loaded by every pytest run of the environment it is installed in, so it
imports nothing of weight before a fixture is asked for.
"""

from __future__ import annotations

import pytest


@pytest.fixture
def host():
    """A host with a clock that the test sets."""
    from glancelite.testing.fakes import FakeHost
    return FakeHost()


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
