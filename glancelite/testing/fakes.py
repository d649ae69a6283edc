"""Stand-ins for the service and for its callers, to prove plugins with."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from glancelite import contract
from glancelite.contract.plugin import PluginT


class FakeHost:
    """A ``Host`` whose clock is set by the test and whose usage is a function.

    :param conf: where credential plugins find their options; an empty one if None.
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
    """Keeps ``certificates`` (id -> DER) and ``keys`` in memory, and remembers who asked."""

    def __init__(self, options: object = None, host: object = None, **named: object):
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
    """Remembers the events it was told."""

    def __init__(self, options: object = None, host: object = None, **named: object):
        super().__init__(options, host, **named)
        self.events: list[contract.Event] = []

    def notify(self, event: contract.Event) -> None:
        self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


class DenyAll(contract.PolicyEngine):
    """Refuses everything, and remembers what it was asked."""

    def __init__(self, options: object = None, host: object = None, **named: object):
        super().__init__(options, host, **named)
        self.asked: list[str] = []

    def enforce(self, ctx, verb, image=None, *, member=None):
        self.asked.append(verb)
        raise contract.Forbidden(f'{verb} is refused to everybody')


class ClientWentAway(ConnectionError):
    """What a broken source raises."""


def broken_source(*chunks: bytes) -> Iterator[bytes]:
    """Yields ``chunks`` and then breaks."""
    yield from chunks
    raise ClientWentAway('the client went away')


def slow_source(*chunks: bytes, pause: float = 0.05) -> Iterator[bytes]:
    """Yields ``chunks`` with a pause (seconds) before each."""
    for chunk in chunks:
        time.sleep(pause)
        yield chunk
