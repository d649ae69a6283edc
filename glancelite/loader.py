"""Finds plugins by entry point, checks them, and builds them with their options."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

from oslo_config import cfg
from stevedore import NamedExtensionManager

from glancelite import conformity, contract, time_limit
from glancelite.contract import Host, Misconfigured, Plugin

LOG = logging.getLogger(__name__)
T = TypeVar('T')

#: section with the options of a store that its own section lacks
BACKEND_DEFAULTS = 'backend_defaults'
#: the package of the built-in plugins
BUILT_IN = 'glancelite'
#: seconds that the import of a plugin may take, and its ``__init__``
START_TIMEOUT = 30.0
#: seconds after which a plugin that is still imported or built is named in the log
SLOW = 5.0
#: what oslo.config raises for a value with a "$"
DOLLAR = (cfg.NoSuchOptError, cfg.NoSuchGroupError, cfg.TemplateSubstitutionError)


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

    ``kind`` is None if it cannot be imported, or if several packages offer its name;
    ``problem`` then has the reason.
    """

    layer: str
    name: str
    kind: type[Plugin] | None
    package: str
    version: str
    problem: str = ''


def installed(layer: str, *, timeout: float = START_TIMEOUT) -> dict[str, Installed]:
    """All installed plugins of a layer, by name; also those that cannot be imported."""
    return {name: _import(layer, name, offers, timeout)
            for name, offers in sorted(_offers(layer).items())}


def find(layer: str, name: str, *, timeout: float = START_TIMEOUT) -> Installed:
    """The installed plugin ``name``.  Only this one is imported.

    :param timeout: seconds that the import may take.
    :raises Misconfigured: it is not installed, cannot be imported, or violates the contract.
    """
    offers = _offers(layer)
    if name not in offers:
        raise Misconfigured(f'no {layer} plugin is called {name!r}; '
                            f'installed: {", ".join(sorted(offers)) or "none"}')
    plugin = _import(layer, name, offers[name], timeout)
    if plugin.problem:
        raise Misconfigured(f'the {layer} plugin {name!r} {plugin.problem}')
    problem = conformity.violation(layer, plugin.kind)
    if problem:
        raise Misconfigured(f'the {layer} plugin {name!r} of {plugin.package} {problem}')
    return plugin


def _offers(layer: str) -> dict[str, list[metadata.EntryPoint]]:
    """Name -> entry points, not imported; several if packages offer the same name."""
    # a manager of no names lists entry points and imports none
    manager: Any = NamedExtensionManager(f'glancelite.{layer}', [])
    offers: dict[str, list[metadata.EntryPoint]] = {}
    for entry_point in manager.list_entry_points():
        offers.setdefault(entry_point.name, []).append(entry_point)
    return offers


def _import(layer: str, name: str, offers: Sequence[metadata.EntryPoint],
            timeout: float) -> Installed:
    """Import a plugin, unless several packages offer its name: one would win silently."""
    packages = _origins().get((f'glancelite.{layer}', name), [('unknown', '')])
    package, version = packages[0]
    if len(offers) > 1:
        names = sorted(' '.join(origin).rstrip() for origin in packages)
        foreign = sorted(other for other, _ in packages if other != BUILT_IN)
        remedy = ' and '.join(foreign) if len(foreign) < len(packages) else 'all but one of them'
        return Installed(layer, name, None, ', '.join(names), '',
                         f'is offered by {" and ".join(names)}; uninstall {remedy}')
    try:
        return Installed(layer, name, _loaded(offers[0], f'{layer} plugin {name!r} of {package}',
                                              timeout), package, version)
    except time_limit.TooLate as error:
        return Installed(layer, name, None, package, version, f'cannot be loaded: {error}')
    except BaseException as error:  # an import may raise anything, such as SystemExit
        LOG.debug('importing the %s plugin %r', layer, name, exc_info=True)
        return Installed(layer, name, None, package, version,
                         f'cannot be loaded: {described(error)}')


def _loaded(offer: metadata.EntryPoint, what: str, timeout: float) -> Any:
    """Import a plugin, in a thread: one that hangs must not hold up the program for ever.

    :raises TooLate: the import has not ended.
    """
    spec = getattr(sys.modules.get(offer.module), '__spec__', None)
    if spec is not None and not getattr(spec, '_initializing', True):
        return offer.load()     # it was imported before
    return _in_time(offer.load, f'the import of the {what} has been running',
                    'its import did not return', timeout)


def _in_time(call: Callable[[], T], doing: str, failure: str, timeout: float) -> T:
    """Call a function that may hang; name it in the log if it takes long.

    :param doing: the first words of that line.
    :param failure: the first words of the error.
    :raises TooLate: the function has not returned.
    """
    running = time_limit.Call(call)
    early = min(SLOW, timeout)
    if not running.has_ended(early):
        LOG.warning('%s for %g s already', doing, early)
    return running.result(failure, timeout - early, timeout)


def origin(layer: str, name: str) -> str:
    """The package of a plugin that can be loaded, with its version."""
    return ' '.join(_origins().get((f'glancelite.{layer}', name), [('unknown', '')])[0]).rstrip()


@functools.cache
def _origins() -> Mapping[tuple[str, str], list[tuple[str, str]]]:
    """Names and versions of packages by entry-point group and name.

    stevedore does not keep them.
    """
    origins: dict[tuple[str, str], list[tuple[str, str]]] = {}
    seen = set()
    for package in metadata.distributions():
        # the entry points, the name and the version are parsed when they are read, which is
        # slow: only those of packages with plugins, and once
        if 'glancelite.' not in (package.read_text('entry_points.txt') or ''):
            continue
        origin = package.name, package.version
        # a package that is found twice counts once, as for Python
        if (normal := re.sub(r'[-_.]+', '-', origin[0]).lower()) not in seen:
            seen.add(normal)
            for entry in package.entry_points:
                origins.setdefault((entry.group, entry.name), []).append(origin)
    return origins


def described(error: BaseException) -> str:
    """An exception of a plugin, in one line."""
    return f'{type(error).__name__}: {one_line(error)}'.rstrip(': ')


def one_line(text: object) -> str:
    """The text without line breaks."""
    return ' '.join(str(text).split())


def load(conf: cfg.ConfigOpts, host: Host, layer: str, name: str,
         instance: str | None = None, section: str | None = None,
         given: Mapping[str, Any] = contract.EMPTY,
         start_timeout: float = START_TIMEOUT) -> Plugin:
    """Build one plugin with the options of its own section.

    :param layer: the last word of the entry-point namespace, such as ``store``.
    :param name: the entry point's name, such as ``file``.
    :param instance: name of the instance, such as that of a store; default: ``name``.
    :param section: section of the options, if not the plugin's own.
    :param given: values that take precedence over the configuration.
    :param start_timeout: seconds that the import of the plugin may take, and its ``__init__``.
    :raises Misconfigured: the plugin is not installed, violates the contract, or its options
        are invalid.  The text is one line that names the plugin, without secrets.
    :raises Error: the plugin needs its backend now, and it does not answer.
    """
    plugin = find(layer, name, timeout=start_timeout)
    kind = plugin.kind
    assert kind is not None
    instance = instance or name
    section = section or kind.section(instance)
    label = name if instance == name else f'{instance} (driver {name})'
    cause: BaseException | None = None
    try:
        for register in kind.LIBRARY_OPTS:
            register(conf)
        options = read_options(conf, kind.OPTS, section, given=given,
                               fallback=_defaults(layer, kind, instance))
        built: Plugin = _in_time(
            lambda: kind(options, host, name=instance, conf=conf if kind.LIBRARY_OPTS else None),
            f'the {layer} plugin {instance} has been starting',
            f'{layer} {label}: __init__ did not return', start_timeout)
        problem = _fault(built, instance)
    except contract.Error:
        raise
    except (Misconfigured, cfg.Error) as error:
        problem, cause = _invalid_value(conf, error) or str(error), error
    except ImportError as error:
        problem, cause = f'needs a library that is not installed: {error}', error
        if kind.EXTRA is not None:
            problem += f"; run: pip install '{plugin.package}[{kind.EXTRA}]'"
    except BaseException as error:  # name the plugin, whatever its code raises
        LOG.debug('%s %s', layer, label, exc_info=True)
        problem, cause = f'cannot start: {described(error)}', error
    if problem:
        elsewhere = '[' in problem or kind.LIBRARY_OPTS or not kind.OPTS
        where = '' if elsewhere else f', section [{section}]'
        raise Misconfigured(one_line(without_secrets(
            conf, f'{layer} {label}{where}: {problem}'))) from cause
    return built


def _invalid_value(conf: cfg.ConfigOpts, error: Exception) -> str:
    """What is wrong with the option of a library that a plugin has read; '' for other errors."""
    by_name = isinstance(error, cfg.ConfigFileValueError)
    for info, group in conf._all_opt_infos() if by_name or isinstance(error, DOLLAR) else ():
        if not by_name or f' {info["opt"].name} ' in str(error):
            try:
                value(conf, info['opt'], group.name if group else 'DEFAULT')
            except Misconfigured as invalid:
                return str(invalid)
    return ''


def _fault(plugin: Plugin, name: str) -> str:
    """What is wrong with a new instance, which is closed then; '' if nothing is."""
    problem = conformity.fault(plugin, name)
    if problem:
        with contextlib.suppress(Exception):    # it may not be complete
            plugin.close()
    return problem


def without_secrets(conf: cfg.ConfigOpts, text: str) -> str:
    """Replace the values of secret options in ``text``, and the passwords of URLs among them."""
    for info, group in conf._all_opt_infos():
        if not info['opt'].secret:
            continue
        try:
            value = (conf[group.name] if group else conf)[info['opt'].dest]
        except cfg.Error:
            continue
        for secret in _secrets(value):
            text = re.sub(rf'(?<!\w){re.escape(secret)}(?!\w)', '***', text)
    return text


def _secrets(value: object) -> Iterator[str]:
    """The texts of an option that must not be shown, the longest first."""
    for text in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(text, str) and text:
            yield text
            yield from re.findall(r'://[^/@:]*:([^/@]+)@', text)


def _defaults(layer: str, kind: type[Plugin], instance: str) -> Sequence[str]:
    """Sections with shared options of a layer's plugins."""
    if layer == 'store':
        return (BACKEND_DEFAULTS,)
    # the options of a store's credential are first looked up in the store's section
    return (BACKEND_DEFAULTS, kind.section(instance)) if layer == 'credential' else ()


#: Python's error messages -> messages for operators
_PLAIN_MESSAGES = (
    (re.compile(r'invalid literal for int\(\) with base 10: (.*)'), r'\1 is not a whole number'),
    (re.compile(r'could not convert string to float: (.*)'), r'\1 is not a number'),
    (re.compile(r'.*URIReference\(.*'), 'the value is not a URL such as https://host:9292'))


def value(conf: cfg.ConfigOpts, opt: cfg.Opt, section: str) -> Any:
    """The value of a registered option.

    :raises Misconfigured: the value has the wrong type.
    """
    name = opt.dest
    try:
        return (conf if section == 'DEFAULT' else conf[section])[name]
    except cfg.ConfigFileValueError as error:
        if opt.secret:
            raise Misconfigured(f'[{section}] {name}: the value is not valid') from None
        reason = str(error).rpartition(' is not valid: ')[2]
        for pattern, message in _PLAIN_MESSAGES:
            reason = pattern.sub(message, reason)
        raise Misconfigured(f'[{section}] {name}: {reason}') from None
    except DOLLAR:      # its text has a part of the value
        raise Misconfigured(f'[{section}] {name}: "$" begins the name of another option, and '
                            'there is none; write "$$" for "$"') from None


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
        configured = value(conf, opt, section)
        if not _is_set(conf, opt, group):
            configured = _shared(conf, opt, fallback, configured)
        values[opt.dest] = given.get(opt.dest, configured)
        if opt.required and values[opt.dest] is None:
            raise Misconfigured(f'[{section}] {opt.name} must be set: {opt.help or ""}')
    return Options(values)


def _shared(conf: cfg.ConfigOpts, opt: cfg.Opt, sections: Sequence[str], default: Any) -> Any:
    """The value in the first of the sections that sets the option, otherwise ``default``."""
    for section in sections:
        # another driver may have registered a different option of the same name
        with contextlib.suppress(cfg.DuplicateOptError):
            conf.register_opt(opt, group=section)
        if _is_set(conf, opt, section):
            return value(conf, opt, section)
    return default


def _is_set(conf: cfg.ConfigOpts, opt: cfg.Opt, group: str | None) -> bool:
    """Return whether the configuration sets the option."""
    where = conf.get_location(opt.dest, group)
    return where is not None and bool(where.location.is_user_controlled)
