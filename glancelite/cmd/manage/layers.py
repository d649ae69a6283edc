"""``glancelite-manage layers``: shows the plugins of each layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from glancelite import assembly, contract, loader
from glancelite.cmd.manage.core import health, service

HEADINGS = ('LAYER', 'PLUGIN', 'PACKAGE', 'OPTIONS IN', 'HEALTH')
Row = tuple[str, str, str, str, str]


def add_parser(subparsers: Any) -> None:
    subparsers.add_parser(
        'layers', help='Show the plugins of each layer: chosen or not, package, options, '
                       'health.').set_defaults(run=run)


def run(conf: cfg.ConfigOpts) -> int:
    """Print one line per plugin, the chosen ones first in each layer."""
    with service(conf) as core:
        rows = [HEADINGS, *_rows(core)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in
                        zip(row, (*widths, 0), strict=True)).rstrip())
    return 0


def _rows(core: assembly.Core) -> Iterator[Row]:
    for layer in contract.LAYERS:
        installed = loader.installed(layer)
        chosen = set()
        for plugin in core.plugins:
            if layer == plugin.LAYER:
                source = next(item for item in installed.values() if item.kind is type(plugin))
                chosen.add(source.name)
                yield (layer, _label(plugin.name, source), _package(source),
                       ' '.join(_sections(plugin)) or '-', health(plugin.health)[1])
        for store in core.layers.stores.not_built if layer == 'store' else ():
            source = installed[store.driver_name]
            chosen.add(source.name)
            yield (layer, f'{store.name} ({source.name})', _package(source),
                   f'[{store.kind.section(store.name)}]', health(store.health)[1])
        for name, source in installed.items():
            if name not in chosen:
                yield (layer, f'{name} - not chosen', _package(source), '-',
                       source.problem or loader.violation(layer, source.kind) or '-')


def _label(name: str, source: loader.Installed) -> str:
    return name if name == source.name else f'{name} ({source.name})'


def _package(source: loader.Installed) -> str:
    return f'{source.package} {source.version}'


def _sections(plugin: contract.Plugin) -> Iterator[str]:
    """The sections with options of the plugin and of its library."""
    if plugin.OPTS:
        yield f'[{plugin.section(plugin.name)}]'
    probe = cfg.ConfigOpts()
    for register in plugin.LIBRARY_OPTS:
        register(probe)
    for name in probe:
        if isinstance(probe[name], cfg.ConfigOpts.GroupAttr):
            yield f'[{name}]'
