"""Stand-ins for the service and its callers, for tests of plugins."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from glancelite import contract
from glancelite.contract.plugin import PluginT


class FakeHost:
    """A ``Host`` with a clock that the test sets.

    :param usage: returns the usage of a project; no usage if None.
    :param conf: the configuration with the options of credential plugins; empty if None.
    """

    def __init__(self, usage: Callable[[str], contract.Usage] | None = None,
                 conf: Any = None):
        self.node = 'test-node'
        self.conf = conf
        self._loaded: list[contract.Plugin] = []
        self.clock = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
        self.key_manager = FakeKeyManager()
        self._usage = usage

    def now(self) -> datetime.datetime:
        return self.clock

    def advance(self, **duration: float) -> None:
        """Move the clock on, e.g. ``seconds=30``."""
        self.clock += datetime.timedelta(**duration)

    def usage(self, project: str) -> contract.Usage:
        return self._usage(project) if self._usage else contract.Usage()

    def chosen(self, layer: type[PluginT]) -> PluginT:
        assert layer is contract.KeyManager
        return cast(PluginT, self.key_manager)

    def load(self, layer: type[PluginT], name: str, section: str,
             options: Mapping[str, object] = contract.EMPTY) -> PluginT:
        from oslo_config import cfg

        from glancelite import loader
        if self.conf is None:
            self.conf = cfg.ConfigOpts()
            self.conf([], project='glancelite', default_config_files=[],
                       default_config_dirs=[])
        plugin = loader.load(self.conf, self, layer.LAYER, name, section=section, given=options)
        self._loaded.append(plugin)
        return cast(PluginT, plugin)

    def close(self) -> None:
        """Close the plugins that ``load`` returned."""
        while self._loaded:
            self._loaded.pop().close()


class FakeKeyManager(contract.KeyManager):
    """Keeps ``certificates`` (id -> DER) and ``keys`` in memory, and records its callers."""

    def __init__(self, options: Any = None, host: Any = None, **named: Any):
        super().__init__(options, host, **named)
        self.certificates: dict[str, bytes] = {}
        self.keys: set[str] = set()
        self.callers: list[contract.Context] = []

    def certificate(self, ctx, certificate_id):
        self.callers.append(ctx)
        if certificate_id not in self.certificates:
            raise contract.NotFound('There is no such certificate.')
        return self.certificates[certificate_id]

    def delete(self, ctx, key_id):
        self.callers.append(ctx)
        if key_id not in self.keys:
            raise contract.NotFound('There is no such key.')
        self.keys.remove(key_id)


class Recorder(contract.Notifier):
    """Records the events that it is notified of."""

    def __init__(self, options: Any = None, host: Any = None, **named: Any):
        super().__init__(options, host, **named)
        self.events: list[contract.Event] = []

    def notify(self, event: contract.Event) -> None:
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


class DenyAll(contract.PolicyEngine):
    """Refuses every action, and records it."""

    def __init__(self, options: Any = None, host: Any = None, **named: Any):
        super().__init__(options, host, **named)
        self.asked: list[str] = []

    def enforce(self, ctx, action, image=None, *, member=None):
        self.asked.append(action)
        raise contract.Forbidden(f'{action} is refused to everybody')


class ClientWentAway(ConnectionError):
    """Raised by a broken source."""


def broken_source(*chunks: bytes) -> Iterator[bytes]:
    """Yield ``chunks``, then raise ``ClientWentAway``."""
    yield from chunks
    raise ClientWentAway('the client went away')


def slow_source(*chunks: bytes, pause: float = 0.05) -> Iterator[bytes]:
    """Yield ``chunks`` with a pause (seconds) before each."""
    for chunk in chunks:
        time.sleep(pause)
        yield chunk
