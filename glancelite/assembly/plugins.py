"""The plugins of a service: they are built, watched while they start, and closed."""

from __future__ import annotations

import contextvars
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from glancelite import contract, time_limit

LOG = logging.getLogger(__name__)

#: the plugins that the plugin which is being built has loaded for itself
_OWNED: contextvars.ContextVar[list[contract.Plugin] | None] = contextvars.ContextVar(
    'owned', default=None)
#: seconds for closing all plugins; each gets one second at least
CLOSE_TIME = 10.0


class Plugins:
    """All plugins in the order in which they were built.

    A plugin owns those that it loads for itself while it is built: they end with it.

    :param make: builds a plugin of a layer, from the name of its entry point.
    """

    def __init__(self, make: Callable[..., contract.Plugin]):
        self._make = make
        self._groups: list[list[contract.Plugin]] = []     # with the owner at the end
        self._sections: dict[contract.Plugin, str] = {}

    def load(self, layer: str, name: str, **where: Any) -> Any:
        """Build a plugin; raises as ``make`` does."""
        owner = _OWNED.get()
        group: list[contract.Plugin] = []
        token = _OWNED.set(group)
        try:
            plugin = self._make(layer, name, **where)
        except BaseException:
            _close(group)
            raise
        finally:
            _OWNED.reset(token)
        group.append(plugin)
        self._sections[plugin] = where.get('section') or plugin.section(plugin.name)
        if owner is None:
            self._groups.append(group)
        else:
            owner.extend(group)
        return plugin

    def unload(self, plugin: contract.Plugin) -> None:
        """Close a plugin that is not used after all, with those that it owns."""
        for group in self._groups:
            if group[-1] is plugin:
                self._groups.remove(group)
                for each in group:
                    del self._sections[each]
                _close(group)
                return

    def section(self, plugin: contract.Plugin) -> str:
        """Return the section of the plugin's options."""
        return self._sections[plugin]

    def __iter__(self) -> Iterator[contract.Plugin]:
        for group in list(self._groups):
            yield from group

    def close(self) -> None:
        """Close all plugins, the last one first."""
        plugins = list(self)
        self._groups.clear()
        _close(plugins)


def _close(plugins: Sequence[contract.Plugin]) -> None:
    deadline = time.monotonic() + CLOSE_TIME
    for plugin in reversed(plugins):
        seconds = max(1.0, deadline - time.monotonic())
        what = f'{plugin.LAYER} plugin {plugin.name}'
        try:
            time_limit.Call(plugin.close).result(f'the {what} was not closed', seconds)
        except time_limit.TooLate as error:
            LOG.error('%s; the service ends without it', error)
        except BaseException:   # a plugin of another package may raise anything
            LOG.exception('the %s failed to close', what)
