"""The options that list the plugins of a chain: in full, or as changes of the default."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg

from glancelite.assembly.options import IMPORT_PLUGINS, LAYERS, PIPELINE
from glancelite.contract import Misconfigured

#: the core cannot do without it, so a list need not name it
REQUEST_ID = 'request_id'


def chosen(conf: cfg.ConfigOpts, section: str, name: str) -> list[str]:
    """Return the plugins that an option chooses, in order.

    ``+name`` adds a plugin at the end of the default list, ``-name`` takes one away.

    :raises Misconfigured: the list mixes both forms, or names a plugin twice.
    """
    where = f'[{section}] {name}'
    listed = [item.strip() for item in conf[section][name]]
    changes = [item for item in listed if item.startswith(('+', '-'))]
    if changes and len(changes) < len(listed):
        raise Misconfigured(
            f'{where} = {", ".join(listed)} mixes names with changes of the default list; write '
            'all names, or + or - before each of them')
    if changes:
        listed = _changed(where, _default(section, name), changes)
    twice = sorted({item for item in listed if listed.count(item) > 1})
    if twice:
        raise Misconfigured(f'{where} names {", ".join(twice)} more than once')
    return listed


def middleware(conf: cfg.ConfigOpts) -> list[str]:
    """Return the middleware around the API, the outermost first; always with the request id.

    :raises Misconfigured: as `chosen` does, or the list takes the request id away.
    """
    if f'-{REQUEST_ID}' in (item.replace(' ', '') for item in conf.layers.middleware):
        raise Misconfigured(f'[layers] middleware: -{REQUEST_ID}: it is always there')
    listed = chosen(conf, 'layers', 'middleware')
    return listed if REQUEST_ID in listed else [*listed, REQUEST_ID]


def steps(conf: cfg.ConfigOpts) -> list[str]:
    """Return the steps of imports, in order: those of ``[layers]``, otherwise of Glance's option.

    :raises Misconfigured: as `chosen` does, or Glance's option names a plugin that has no
        counterpart here.
    """
    found = conf.get_location('step', 'layers')
    if found is not None and found.location.is_user_controlled:
        return chosen(conf, 'layers', 'step')
    # Glance wants brackets around the list, and allows quotes
    names = [item.strip('[]\'" ') for item in conf.image_import_opts.image_import_plugins]
    where = '[image_import_opts] image_import_plugins'
    for name in filter(None, names):
        if name not in IMPORT_PLUGINS:
            raise Misconfigured(
                f'{where}: {name}: there are: {", ".join(IMPORT_PLUGINS)}; name steps of other '
                'packages in [layers] step')
    plugins = [plugin for name in names if (plugin := IMPORT_PLUGINS.get(name))]
    if len(set(plugins)) < len(plugins):
        raise Misconfigured(f'{where} = {", ".join(names)} names a step more than once')
    return plugins


def _default(section: str, name: str) -> list[str]:
    opts: Sequence[cfg.Opt] = {'layers': LAYERS, 'pipeline': PIPELINE}[section]
    return next(list(opt.default) for opt in opts if opt.dest == name)


def _changed(where: str, default: list[str], changes: list[str]) -> list[str]:
    removed = [item[1:].strip() for item in changes if item.startswith('-')]
    unknown = [name for name in removed if name not in default]
    if unknown:
        raise Misconfigured(f'{where}: -{unknown[0]}: the default list has no {unknown[0]}; it '
                            f'is: {", ".join(default) or "empty"}')
    return [*(name for name in default if name not in removed),
            *(item[1:].strip() for item in changes if item.startswith('+'))]
