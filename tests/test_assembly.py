"""Plugins are built once, watched while they start or stop, and closed once."""

import threading
import time

import pytest

from glancelite import contract
from glancelite.assembly import plugins as plugins_module
from glancelite.assembly.plugins import Plugins
from glancelite.assembly.stores import _Exclusive
from glancelite.services.stores import ConfiguredStore


class Acme(contract.Notifier):
    """Records when it is closed, and then does ``at_close``."""

    def __init__(self, name, closed, at_close=lambda: None):
        super().__init__(None, None, name=name)
        self._closed, self._at_close = closed, at_close

    def notify(self, event):
        pass

    def close(self):
        self._closed.append(self.name)
        self._at_close()


def fail(error):
    def raising():
        raise error
    return raising


@pytest.fixture
def closed():
    """The names of the plugins that were closed, in order."""
    return []


@pytest.fixture
def plugins(closed):
    """A service's plugins, of which ``owner`` loads ``owned`` for itself."""
    def make(layer, name, **where):
        if name.startswith('owner'):
            plugins.load('credential', 'owned')
        if name == 'owner that fails':
            raise contract.Misconfigured('an option is missing')
        return Acme(name, closed)
    plugins = Plugins(make)
    return plugins


def names(plugins):
    return [plugin.name for plugin in plugins]


def test_plugins_are_closed_in_reverse_order(plugins, closed):
    for name in 'owner', 'last':
        plugins.load('notifier', name)
    assert names(plugins) == ['owned', 'owner', 'last']

    plugins.close()
    plugins.close()

    assert closed == ['last', 'owner', 'owned']


def test_a_plugin_that_cannot_be_built_leaves_nothing(plugins, closed):
    for _ in range(3):
        with pytest.raises(contract.Misconfigured):
            plugins.load('store', 'owner that fails')

    assert names(plugins) == []
    assert closed == ['owned'] * 3


@pytest.mark.parametrize('resources', [
    lambda: {'the same'}, lambda: None, lambda: 'text', lambda: [1],
    fail(RuntimeError('x')), fail(SystemExit())])
def test_a_driver_that_is_refused_is_closed_once_at_each_try(plugins, closed, resources):
    exclusive = _Exclusive(plugins.unload)
    exclusive._users['the same'] = 'another'
    now = [0.0]

    def make():
        driver = plugins.load('store', 'owner')
        driver.exclusive_resources = resources
        return driver
    store = ConfiguredStore('fast', contract.Store, make, clock=lambda: now[0], on_built=lambda
                            driver: exclusive.reserve('fast', driver))
    for _ in range(3):
        with pytest.raises(contract.Misconfigured):
            _ = store.driver
        now[0] += 1000
    plugins.close()

    assert closed == ['owner', 'owned'] * 3


@pytest.mark.parametrize('error', [RuntimeError('x'), SystemExit(), KeyboardInterrupt(),
                                   GeneratorExit()], ids=lambda error: type(error).__name__)
def test_a_plugin_that_fails_to_close_is_named_and_the_others_are_closed(closed, error, caplog):
    plugins = Plugins(lambda layer, name: Acme(
        name, closed, fail(error) if name == 'bad' else lambda: None))
    for name in 'first', 'bad', 'last':
        plugins.load('notifier', name)

    plugins.close()

    assert closed == ['last', 'bad', 'first']
    assert 'the notifier plugin bad failed to close' in caplog.text


def test_a_plugin_that_does_not_close_is_named_and_left_behind(closed, monkeypatch, caplog):
    monkeypatch.setattr(plugins_module, 'CLOSE_TIME', 0.0)
    end = threading.Event()
    plugins = Plugins(lambda layer, name: Acme(
        name, closed, end.wait if name == 'hanging' else lambda: None))
    for name in 'first', 'hanging':
        plugins.load('notifier', name)
    started = time.monotonic()

    plugins.close()

    assert time.monotonic() - started < 30
    assert closed == ['hanging', 'first']
    assert 'the notifier plugin hanging was not closed within 1 s' in caplog.text
    end.set()
