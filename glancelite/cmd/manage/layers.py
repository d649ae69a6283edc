"""``glancelite-manage layers``: shows the plugins of each layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from oslo_config import cfg

from glancelite import assembly, conformity, contract, loader
from glancelite.cmd import checks
from glancelite.cmd.manage.core import add_timeout, distinct_plugins, service_for_checks

HEADINGS = ('LAYER', 'PLUGIN', 'PACKAGE', 'OPTIONS IN', 'HEALTH')
Row = tuple[str, str, str, str, str]


class Chosen(NamedTuple):
    """A plugin that the configuration chooses.

    :param driver: name of its entry point.
    :param section: section with its options.
    """

    layer: str
    name: str
    driver: str
    kind: type[contract.Plugin]
    section: str
    check: Callable[[], str]


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        'layers', help='Show the plugins of each layer: chosen or not, package, options, '
                       'health.')
    add_timeout(parser)
    parser.set_defaults(run=run)


def run(conf: cfg.ConfigOpts) -> int:
    """Print one line per plugin, the chosen ones first in each layer."""
    seconds = conf.verb.timeout
    until = time.monotonic() + seconds
    with service_for_checks(conf, until) as core:
        chosen = list(_chosen(core))
        texts = [text for _, _, text in checks.run(
            conf, seconds, until, [(each.name, each.check) for each in chosen])]
        rows = [HEADINGS, *_rows(chosen, texts, until)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in
                        zip(row, (*widths, 0), strict=True)).rstrip())
    return 0


def _chosen(core: assembly.Core) -> Iterator[Chosen]:
    stores = core.layers.stores
    drivers = {store.name: store.driver_name for store in (*stores, *stores.reserved.values())}
    for plugin in distinct_plugins(core):
        section = core.plugins.section(plugin)
        driver = drivers.get(plugin.name, plugin.name) if plugin.LAYER == 'store' else plugin.name
        yield Chosen(plugin.LAYER, plugin.name, driver, type(plugin), section, plugin.health)
    for store in stores.not_built:
        section = store.kind.section(store.name) if stores.multi else 'glance_store'
        yield Chosen('store', store.name, store.driver_name, store.kind, section, store.health)


def _rows(chosen: list[Chosen], texts: list[str], until: float) -> Iterator[Row]:
    for layer in contract.LAYERS:
        installed = loader.installed(layer, timeout=max(1.0, until - time.monotonic()))
        here = [(each, text) for each, text in zip(chosen, texts, strict=True)
                if each.layer == layer]
        for each, text in here:
            label = (each.name if each.name == each.driver
                     else f'{each.name} (driver {each.driver})')
            yield (layer, label, _package(installed[each.driver]),
                   ' '.join(dict.fromkeys(_sections(each))) or '-', text)
        for name, source in installed.items():
            if name not in {each.driver for each, _ in here}:
                yield (layer, f'{name} - not chosen', _package(source), '-',
                       source.problem or conformity.violation(layer, source.kind) or '-')


def _package(source: loader.Installed) -> str:
    return f'{source.package} {source.version}'.rstrip()


def _sections(chosen: Chosen) -> Iterator[str]:
    """The sections with options of the plugin and of its library."""
    if chosen.kind.OPTS:
        yield f'[{chosen.section}]'
    probe = cfg.ConfigOpts()
    for register in chosen.kind.LIBRARY_OPTS:
        register(probe)
    for name in probe:
        if isinstance(probe[name], cfg.ConfigOpts.GroupAttr):
            yield f'[{name}]'
