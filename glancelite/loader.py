"""From a name in the configuration to a living plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from typing import Any

from oslo_config import cfg
from stevedore import ExtensionManager, NamedExtensionManager

from glancelite import contract
from glancelite.contract import Host, Misconfigured, Plugin

LOG = logging.getLogger(__name__)

#: where an option of a store is looked up if the store's own section lacks it
BACKEND_DEFAULTS = 'backend_defaults'


class Options:
    """Values of a plugin's ``OPTS``, read once; attributes by option name.

    Its ``repr`` shows names only, so that secrets do not reach a log.
    """

    def __init__(self, values: Mapping[str, Any]):
        self.__dict__.update(values)

    def __repr__(self) -> str:
        return f'Options({", ".join(sorted(self.__dict__))})'

    @classmethod
    def of(cls, kind: type[Plugin], **given: Any) -> Options:
        """The defaults of ``kind`` with some values given: for tests and tools."""
        values = {opt.dest: opt.default for opt in kind.OPTS}
        unknown = given.keys() - values.keys()
        if unknown:
            raise TypeError(f'{kind.__name__} has no option {", ".join(sorted(unknown))}')
        return cls({**values, **given})


@dataclasses.dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that could be chosen, and where it comes from."""

    layer: str
    name: str
    kind: type[Plugin] | None
    package: str
    version: str
    problem: str = ''


def installed(layer: str) -> dict[str, Installed]:
    """Every plugin of a layer that the environment has, by name.

    What cannot be imported is listed with ``problem`` set.
    """
    found = {}
    manager = ExtensionManager(f'glancelite.{layer}', on_load_failure_callback=_keep_quiet)
    failed = set(manager.list_entry_points()) - {e.entry_point for e in manager.extensions}
    for extension in manager.extensions:
        found[extension.name] = _described(layer, extension.entry_point, extension.plugin)
    for entry_point in failed:
        try:
            entry_point.load()
        except Exception as error:  # an import runs foreign code, anything may come out
            found.setdefault(entry_point.name, _described(
                layer, entry_point, None, f'{type(error).__name__}: {error}'))
    return dict(sorted(found.items()))


def _keep_quiet(*told: object) -> None:
    """The caller finds out by itself, and has a better sentence for it."""


def _described(layer: str, entry_point: Any, kind: type[Plugin] | None,
               problem: str = '') -> Installed:
    package, version = _origins().get((entry_point.group, entry_point.name), ('unknown', ''))
    return Installed(layer, entry_point.name, kind, package, version, problem)


@functools.cache
def _origins() -> Mapping[tuple[str, str], tuple[str, str]]:
    """Package and version of every plugin: stevedore's own cache forgets them."""
    # name and version are read from a file each time, so only of those that have plugins
    return {(found.group, found.name): (package.name, package.version)
            for package in metadata.distributions() for found in package.entry_points
            if found.group.startswith('glancelite.')}


def find(layer: str, name: str) -> Installed:
    """The installed plugin ``name``; no other one is imported.

    :raises Misconfigured: there is none, it cannot be imported, or it does
        not keep the contract.
    """
    problems: list[BaseException] = []
    manager = NamedExtensionManager(
        f'glancelite.{layer}', [name], on_missing_entrypoints_callback=_keep_quiet,
        on_load_failure_callback=lambda manager, entry_point, error: problems.append(error))
    if problems:
        raise Misconfigured(f'the {layer} plugin {name!r} cannot be loaded: '
                            f'{type(problems[0]).__name__}: {problems[0]}') from problems[0]
    if not manager.extensions:
        known = sorted({entry_point.name for entry_point in manager.list_entry_points()})
        raise Misconfigured(f'no {layer} plugin is called {name!r}; '
                            f'installed: {", ".join(known) or "none"}')
    extension = manager.extensions[0]
    plugin = _described(layer, extension.entry_point, extension.plugin)
    fault = violation(layer, plugin.kind)
    if fault:
        raise Misconfigured(f'the {layer} plugin {name!r} of {plugin.package} {fault}')
    return plugin


def violation(layer: str, kind: Any) -> str:
    """Why ``kind`` cannot be a plugin of ``layer``; '' if it can."""
    base = contract.LAYERS[layer]
    if not (isinstance(kind, type) and issubclass(kind, base)):
        return f'is not a subclass of glancelite.contract.{base.__name__}'
    if kind.CONTRACT != contract.CONTRACT:
        return (f'was written for version {kind.CONTRACT} of the contract; '
                f'this service speaks version {contract.CONTRACT}')
    missing = {method for capability in kind.CAPABILITIES
               for method in base.REQUIRED_METHODS.get(capability, ())
               if getattr(kind, method) is getattr(base, method)}
    if inspect.isabstract(kind):
        missing |= kind.__abstractmethods__
    return f'lacks {", ".join(sorted(missing))}' if missing else ''


def load(conf: cfg.ConfigOpts, host: Host, layer: str, name: str,
         instance: str | None = None, section: str | None = None,
         given: Mapping[str, Any] = contract.EMPTY) -> Plugin:
    """Build one plugin with the options of its own section.

    :param layer: the last word of the entry-point namespace, e.g. ``store``.
    :param name: the entry point's name, e.g. ``file``.
    :param instance: what the operator calls it; the entry point's name if None.
    :param section: where its options are, if not in its own section.
    :param given: values that go before those of the configuration.
    :raises Misconfigured: it is not installed, does not keep the contract, or
        its options do not do.
    """
    plugin = find(layer, name)
    kind = plugin.kind
    assert kind is not None
    instance = instance or name
    section = section or kind.section(instance)
    try:
        for register in kind.LIBRARY_OPTS:
            register(conf)
        options = read_options(conf, kind.OPTS, section, given=given,
                               fallback=_defaults(layer, kind, instance))
        living = kind(options, host, name=instance, conf=conf if kind.LIBRARY_OPTS else None)
    except cfg.Error as error:
        raise Misconfigured(f'{layer} plugin {instance!r}: {error}') from error
    except ImportError as error:
        raise Misconfigured(f'{layer} plugin {instance!r} needs a library that is not '
                            f'installed: {error}') from error
    except (Misconfigured, contract.Error):
        raise
    except Exception as error:  # foreign code: nobody else knows which plugin it was
        LOG.debug('%s plugin %r', layer, instance, exc_info=True)
        raise Misconfigured(f'{layer} plugin {instance!r} cannot start: '
                            f'{type(error).__name__}: {error}') from error
    LOG.info('%s: %s is %s %s (%s)', layer, instance, plugin.package, plugin.version,
             kind.__qualname__)
    return living


def _defaults(layer: str, kind: type[Plugin], instance: str) -> Sequence[str]:
    """Where a plugin has options that many of its layer share."""
    if layer == 'store':
        return (BACKEND_DEFAULTS,)
    # a credential is asked for by a store, in whose section its options are first of all
    return (BACKEND_DEFAULTS, kind.section(instance)) if layer == 'credential' else ()


#: what Python says of a value, and what an operator understands
_PLAINER = ((re.compile(r'invalid literal for int\(\) with base 10: (.*)'),
             r'\1 is not a whole number'),
            (re.compile(r'could not convert string to float: (.*)'), r'\1 is not a number'))


def value(place: Any, section: str, name: str) -> Any:
    """The value of an option; ``place`` is the section, or the whole configuration.

    :raises Misconfigured: it is not of its type.
    """
    try:
        return place[name]
    except cfg.ConfigFileValueError as error:
        reason = str(error).rpartition(' is not valid: ')[2]
        for known, plainly in _PLAINER:
            reason = known.sub(plainly, reason)
        raise Misconfigured(f'[{section}] {name}: {reason}') from None


def read_options(conf: cfg.ConfigOpts, opts: Collection[cfg.Opt], section: str, *,
                 fallback: Sequence[str] = (),
                 given: Mapping[str, Any] = contract.EMPTY) -> Options:
    """Register ``opts`` and read them.

    :param given: values that go before those of the configuration.
    :param fallback: sections to look in, one after the other, for what ``section`` does not say.
    :raises Misconfigured: a required option is missing, or a value is not of its type.
    """
    values = {}
    unknown = given.keys() - {opt.dest for opt in opts}
    if unknown:
        raise TypeError(f'there is no option {", ".join(sorted(unknown))}')
    group = None if section == 'DEFAULT' else section
    for opt in opts:
        conf.register_opt(opt, group=group)
        place = conf[section] if group else conf
        found = value(place, section, opt.dest)
        if not _said(conf, opt, group):
            found = _shared(conf, opt, fallback, found)
        values[opt.dest] = given.get(opt.dest, found)
        if opt.required and values[opt.dest] is None:
            raise Misconfigured(f'[{section}] {opt.name} must be set: {opt.help}')
    return Options(values)


def _shared(conf: cfg.ConfigOpts, opt: cfg.Opt, sections: Sequence[str], found: Any) -> Any:
    """What the first of the sections says that says anything, else ``found``.

    Drivers may have different options of one name: what is said there is said to all.
    """
    for section in sections:
        with contextlib.suppress(cfg.DuplicateOptError):
            conf.register_opt(opt, group=section)
        if _said(conf, opt, section):
            return value(conf[section], section, opt.dest)
    return found


def _said(conf: cfg.ConfigOpts, opt: cfg.Opt, group: str | None) -> bool:
    """Has the operator set it?"""
    where = conf.get_location(opt.dest, group)
    return where is not None and bool(where.location.is_user_controlled)
