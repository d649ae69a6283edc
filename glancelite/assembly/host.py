"""What the service offers to its plugins."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

from glancelite import contract
from glancelite.contract import Usage
from glancelite.contract.plugin import PluginT


class ServiceHost:
    """The ``Host`` of a running service.

    :param load: builds a plugin of the service; None if no plugin asks for another one.
    """

    def __init__(self, load: Callable[..., Any] | None = None, *,
                 looks_only: bool = False) -> None:
        self.node = socket.gethostname()
        self.looks_only = looks_only
        #: layer -> the plugin that ``[layers]`` chooses; filled in while the service is built
        self.plugins: dict[type[contract.Plugin], contract.Plugin] = {}
        self._load = load

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    def usage(self, project: str) -> Usage:
        return self.chosen(contract.Database).images.usage(project)

    def chosen(self, layer: type[PluginT]) -> PluginT:
        return cast(PluginT, self.plugins[layer])

    def load(self, layer: type[PluginT], name: str, section: str,
             options: Mapping[str, object] = contract.EMPTY) -> PluginT:
        assert self._load is not None
        return cast(PluginT, self._load(layer.LAYER, name, section=section, given=options))
