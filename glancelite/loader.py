"""Finds plugins by entry point, checks them, and builds them with their options."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from oslo_config import cfg
from stevedore import ExtensionManager, NamedExtensionManager

from glancelite import contract
from glancelite.contract import Host, Misconfigured, Plugin

LOG = logging.getLogger(__name__)

#: section with the options of a store that its own section lacks
BACKEND_DEFAULTS = 'backend_defaults'


class Options:
    """Values of a plugin's ``OPTS``, read once; attributes by option name.

    Its ``repr`` shows names only, so that secrets do not reach a log.
    """

    def __init__(self, values: Mapping[str, Any]):
        self.__dict__.update(values)

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any: ...

    def __repr__(self) -> str:
        return f'Options({", ".join(sorted(self.__dict__))})'

    @classmethod
    def of(cls, kind: type[Plugin], **given: Any) -> Options:
        """The defaults of ``kind``, with some values given; for tests and tools."""
        values = {opt.dest: opt.default for opt in kind.OPTS}
        unknown = given.keys() - values.keys()
        if unknown:
            raise TypeError(f'{kind.__name__} has no option {", ".join(sorted(unknown))}')
        return cls({**values, **given})


@dataclasses.dataclass(frozen=True, slots=True)
class Installed:
    """An installed plugin, and the package that it comes from.

    ``kind`` is None if it cannot be imported; ``problem`` then has the reason.
    """

    layer: str
    name: str
    kind: type[Plugin] | None
    package: str
    version: str
    problem: str = ''


def installed(layer: str) -> dict[str, Installed]:
    """All installed plugins of a layer, by name; also those that cannot be imported."""
    plugins = {}
    manager: Any = ExtensionManager(f'glancelite.{layer}', on_load_failure_callback=_ignore)
    failed = set(manager.list_entry_points()) - {e.entry_point for e in manager.extensions}
    for extension in manager.extensions:
        plugins[extension.name] = _describe(layer, extension.entry_point, extension.plugin)
    for entry_point in failed:
        try:
            entry_point.load()
        except Exception as error:  # an import may raise anything
            plugins.setdefault(entry_point.name, _describe(
                layer, entry_point, None, f'{type(error).__name__}: {error}'))
    return dict(sorted(plugins.items()))


def _ignore(*failure: object) -> None:
    """Replaces stevedore's log message: the caller handles the failure."""


def _describe(layer: str, entry_point: Any, kind: type[Plugin] | None,
               problem: str = '') -> Installed:
    package, version = _origins().get((entry_point.group, entry_point.name), ('unknown', ''))
    return Installed(layer, entry_point.name, kind, package, version, problem)


@functools.cache
def _origins() -> Mapping[tuple[str, str], tuple[str, str]]:
    """Package name and version by entry-point group and name; stevedore does not keep them."""
    origins: dict[tuple[str, str], tuple[str, str]] = {}
    for package in metadata.distributions():
        # all entry points, the name and the version are parsed when they are read, which is
        # slow, so only those of packages with plugins, and once
        if 'glancelite.' in (package.read_text('entry_points.txt') or ''):
            origin = package.name, package.version
            origins |= {(entry.group, entry.name): origin for entry in package.entry_points
                        if entry.group.startswith('glancelite.')}
    return origins


def find(layer: str, name: str) -> Installed:
    """The installed plugin ``name``.  Only this one is imported.

    :raises Misconfigured: it is not installed, cannot be imported, or violates the contract.
    """
    problems: list[BaseException] = []
    manager: Any = NamedExtensionManager(
        f'glancelite.{layer}', [name], on_missing_entrypoints_callback=_ignore,
        on_load_failure_callback=lambda manager, entry_point, error: problems.append(error))
    if problems:
        raise Misconfigured(f'the {layer} plugin {name!r} cannot be loaded: '
                            f'{type(problems[0]).__name__}: {problems[0]}') from problems[0]
    if not manager.extensions:
        known = sorted({entry_point.name for entry_point in manager.list_entry_points()})
        raise Misconfigured(f'no {layer} plugin is called {name!r}; '
                            f'installed: {", ".join(known) or "none"}')
    extension = manager.extensions[0]
    plugin = _describe(layer, extension.entry_point, extension.plugin)
    problem = violation(layer, plugin.kind)
    if problem:
        raise Misconfigured(f'the {layer} plugin {name!r} of {plugin.package} {problem}')
    return plugin


def violation(layer: str, kind: Any) -> str:
    """How ``kind`` violates the contract of ``layer``; '' if it does not."""
    base = contract.LAYERS[layer]
    if not (isinstance(kind, type) and issubclass(kind, base)):
        return f'is not a subclass of glancelite.contract.{base.__name__}'
    if kind.CONTRACT != contract.CONTRACT:
        return (f'was written for version {kind.CONTRACT} of the contract; '
                f'this service uses version {contract.CONTRACT}')
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

    :param layer: the last word of the entry-point namespace, such as ``store``.
    :param name: the entry point's name, such as ``file``.
    :param instance: name of the instance, such as that of a store; default: ``name``.
    :param section: section of the options, if not the plugin's own.
    :param given: values that take precedence over the configuration.
    :raises Misconfigured: the plugin is not installed, violates the contract, or its options
        are invalid.
    :raises Error: the plugin needs its backend now, and it does not answer.
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
        built = kind(options, host, name=instance, conf=conf if kind.LIBRARY_OPTS else None)
    except cfg.Error as error:
        raise Misconfigured(f'{layer} plugin {instance!r}: {error}') from error
    except ImportError as error:
        raise Misconfigured(f'{layer} plugin {instance!r} needs a library that is not '
                            f'installed: {error}') from error
    except (Misconfigured, contract.Error):
        raise
    except Exception as error:  # name the plugin, whatever its code raises
        LOG.debug('%s plugin %r', layer, instance, exc_info=True)
        raise Misconfigured(f'{layer} plugin {instance!r} cannot start: '
                            f'{type(error).__name__}: {error}') from error
    LOG.info('%s: %s is %s %s (%s)', layer, instance, plugin.package, plugin.version,
             kind.__qualname__)
    return built


def _defaults(layer: str, kind: type[Plugin], instance: str) -> Sequence[str]:
    """Sections with shared options of a layer's plugins."""
    if layer == 'store':
        return (BACKEND_DEFAULTS,)
    # the options of a store's credential are first looked up in the store's section
    return (BACKEND_DEFAULTS, kind.section(instance)) if layer == 'credential' else ()


#: Python's error messages -> messages for operators
_PLAIN_MESSAGES = (
    (re.compile(r'invalid literal for int\(\) with base 10: (.*)'), r'\1 is not a whole number'),
    (re.compile(r'could not convert string to float: (.*)'), r'\1 is not a number'))


def value(options: Any, section: str, name: str) -> Any:
    """The value of an option.

    :param options: a ``ConfigOpts``, or the ``GroupAttr`` of a section.
    :param section: name of the section, for the error.
    :raises Misconfigured: the value has the wrong type.
    """
    try:
        return options[name]
    except cfg.ConfigFileValueError as error:
        reason = str(error).rpartition(' is not valid: ')[2]
        for pattern, message in _PLAIN_MESSAGES:
            reason = pattern.sub(message, reason)
        raise Misconfigured(f'[{section}] {name}: {reason}') from None


def read_options(conf: cfg.ConfigOpts, opts: Collection[cfg.Opt], section: str, *,
                 fallback: Sequence[str] = (),
                 given: Mapping[str, Any] = contract.EMPTY) -> Options:
    """Register ``opts`` and read them.

    :param given: values that take precedence over the configuration.
    :param fallback: sections to look in, in this order, for options missing in ``section``.
    :raises Misconfigured: a required option is missing, or a value has the wrong type.
    """
    values = {}
    unknown = given.keys() - {opt.dest for opt in opts}
    if unknown:
        raise TypeError(f'there is no option {", ".join(sorted(unknown))}')
    group = None if section == 'DEFAULT' else section
    for opt in opts:
        conf.register_opt(opt, group=group)
        configured = value(conf[section] if group else conf, section, opt.dest)
        if not _is_set(conf, opt, group):
            configured = _shared(conf, opt, fallback, configured)
        values[opt.dest] = given.get(opt.dest, configured)
        if opt.required and values[opt.dest] is None:
            raise Misconfigured(f'[{section}] {opt.name} must be set: {opt.help}')
    return Options(values)


def _shared(conf: cfg.ConfigOpts, opt: cfg.Opt, sections: Sequence[str], default: Any) -> Any:
    """The value in the first of the sections that sets the option, otherwise ``default``."""
    for section in sections:
        # another driver may have registered a different option of the same name
        with contextlib.suppress(cfg.DuplicateOptError):
            conf.register_opt(opt, group=section)
        if _is_set(conf, opt, section):
            return value(conf[section], section, opt.dest)
    return default


def _is_set(conf: cfg.ConfigOpts, opt: cfg.Opt, group: str | None) -> bool:
    """Return whether the configuration sets the option."""
    where = conf.get_location(opt.dest, group)
    return where is not None and bool(where.location.is_user_controlled)
