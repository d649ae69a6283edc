"""Collects the options of all parts, and reads the configuration files."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

from oslo_config import cfg
from oslo_log import formatters, log

from glancelite import (
    config_files,
    conformity,
    consequences,
    contract,
    embedded,
    loader,
    paste_file,
    server,
)
from glancelite.api import options as api
from glancelite.assembly import options as assembly
from glancelite.schema import options as schema
from glancelite.services import options as services
from glancelite.support import outbound

#: libraries whose informational messages are not logged
LOG_LEVELS = [*log.get_default_log_levels(), 'alembic=WARN', 'barbicanclient=WARN', 'boto3=WARN',
              'botocore=WARN', 'castellan=WARN', 'celery=WARN', 'keystoneauth=ERROR',
              'kombu=WARN', 'swiftclient=WARN', 'urllib3=WARN']

#: section -> options of the core
GROUPS: tuple[tuple[str, Sequence[cfg.Opt]], ...] = (
    ('DEFAULT', api.OPTS), *services.GROUPS, (schema.SECTION, schema.OPTS),
    *assembly.GROUPS)


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options of the core with ``conf``."""
    for section, opts in GROUPS:
        conf.register_opts(opts, group=None if section == 'DEFAULT' else section)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Options of the core, the server and every installed plugin, by section.

    For ``oslo-config-generator``.  Plugins of other packages are included.  The options
    of libraries get the defaults that they have here.
    """
    log.set_defaults(default_log_levels=LOG_LEVELS)
    for _, kind in _usable_plugins():
        for register_library in kind.LIBRARY_OPTS:
            with contextlib.suppress(ImportError):      # an extra that is not installed
                register_library(cfg.ConfigOpts())
    sections: dict[str, dict[str, cfg.Opt]] = {}
    for section, opts in (*GROUPS, ('DEFAULT', server.OPTS),
                          (outbound.SECTION, outbound.OPTS), *_plugin_opts()):
        sections.setdefault(section, {}).update((opt.dest, opt) for opt in opts)
    return [(section, list(opts.values())) for section, opts in sections.items()]


def _plugin_opts() -> Iterator[tuple[str, Sequence[cfg.Opt]]]:
    for name, kind in _usable_plugins():
        opts: list[Any] = [*kind.OPTS]
        if kind.LAYER == 'store':
            opts = [*assembly.STORE, *opts]
        if opts:
            yield kind.section(name), opts


def _usable_plugins() -> Iterator[tuple[str, type[contract.Plugin]]]:
    """Names and classes of the installed plugins that conform to the contract."""
    for layer in contract.LAYERS:
        for plugin in loader.installed(layer).values():
            if plugin.kind is not None and not conformity.violation(layer, plugin.kind):
                yield plugin.name, plugin.kind


@functools.cache
def _version() -> str:
    return metadata.version('glancelite')


def load(argv: Sequence[str] = (), *, prog: str = 'glancelite-api',
         cli_opts: Sequence[cfg.Opt] = (), tool: bool = False) -> cfg.ConfigOpts:
    """Read the configuration.

    Files: those of ``--config-file``; otherwise `config_files.default_files`; if there are
    none, that of the embedded service.  They are followed by the files of ``--config-dir``
    or, without ``--config-file``, of the directory named like the last file plus ``.d``.

    :param argv: arguments of the command line, without the program's name.
    :param tool: for a command that ends: log warnings only, on standard error, apart from
        what the command prints.
    :raises Misconfigured: a file is missing or unreadable, or an option is invalid.
    """
    conf = cfg.ConfigOpts()
    register(conf)
    server.register(conf)
    conf.register_cli_opts(cli_opts)
    log.register_options(conf)
    log.set_defaults(default_log_levels=[*LOG_LEVELS, *(['glancelite=WARN'] if tool else [])])
    conf.set_default('use_stderr', tool)
    try:
        conf(list(argv), project='glancelite', prog=prog, version=_version(),
             default_config_files=[], default_config_dirs=[])
        if not conf.config_file:
            files = config_files.default_files()
            if not (files or conf.config_dir):
                files = [str(embedded.configuration())]
            beside = [f'{files[-1]}.d'] if files and os.path.isdir(f'{files[-1]}.d') else []
            conf(list(argv), project='glancelite', prog=prog, version=_version(),
                 default_config_files=files, default_config_dirs=beside)
    except cfg.Error as error:
        # an error of the syntax ends with the line, which may contain a password
        text = re.sub(r"""(at \S+:\d+, .*?): ['"].*""", r'\1', loader.one_line(error))
        raise contract.Misconfigured(text) from error
    except UnicodeDecodeError as error:
        raise contract.Misconfigured('a configuration file is not in UTF-8') from error
    check(conf)
    return conf


class Formatter(formatters.ContextFormatter):
    """Says once why something failed.

    oslo.log appends the exception that is being handled to each warning, and our messages
    contain its reason already.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = str(super().format(record))
        summary = getattr(record, 'error_summary', '')
        if record.exc_info or not summary or not record.name.startswith('glancelite'):
            return text
        return text.removesuffix(f': {summary}')


def set_up_logging(conf: cfg.ConfigOpts) -> None:
    """Replace the present logging by what ``conf`` describes.

    :raises Misconfigured: the log cannot be written.
    """
    before = list(logging.getLogger().handlers)
    try:
        log.setup(conf, 'glancelite')
    except Exception as error:  # handlers of log_config_append may raise anything
        raise contract.Misconfigured(
            f'the log cannot be written as configured: {str(error) or type(error).__name__}'
        ) from error
    for handler in logging.getLogger().handlers:
        if type(handler.formatter) is formatters.ContextFormatter:
            handler.setFormatter(Formatter(
                project=handler.formatter.project, version=handler.formatter.version,
                datefmt=handler.formatter.datefmt, config=conf))
    for handler in before:  # closes log files that were renamed
        if handler not in logging.getLogger().handlers:
            handler.close()


def unused(conf: cfg.ConfigOpts) -> list[str]:
    """Options in the files that are not registered, as ``[section] name``.

    Without those of `missing`. To be called when all plugins are loaded.
    """
    return [f'[{section}] {name}' for (section, name), values in _unregistered(conf).items()
            if not consequences.of_option(section, name, values)]


def missing(conf: cfg.ConfigOpts) -> list[str]:
    """What the files ask for and is missing here: the option, and what happens instead.

    To be called when all plugins are loaded.
    """
    found = [(f'[{section}] {name}', consequences.of_option(section, name, values))
             for (section, name), values in _unregistered(conf).items()]
    flavor = conf.paste_deploy.flavor
    found.append((f'[paste_deploy] flavor = {flavor}', consequences.of_flavor(flavor)))
    return [f'{name}: {text}' for name, text in found if text]


def notices(conf: cfg.ConfigOpts) -> list[str]:
    """What the operator may want to know about a configuration that is valid."""
    return [text for text in [paste_file.check(conf)] if text]


def _unregistered(conf: cfg.ConfigOpts) -> dict[tuple[str, str], list[str]]:
    """(section, name) -> values of the options in the files that are not registered."""
    known = {(group.name if group else 'DEFAULT', name)
             for info, group in conf._all_opt_infos() for name in _names(info['opt'])}
    known |= {(old.group or (group.name if group else 'DEFAULT'),
               _normalized(old.name or info['opt'].name))
              for info, group in conf._all_opt_infos() for old in info['opt'].deprecated_opts}
    unknown: dict[tuple[str, str], list[str]] = {}
    for path in config_files.files(conf):
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        for section, options in sections.items():
            unknown |= {(section, name): values for name, values in options.items()
                        if (section, _normalized(name)) not in known}
    return unknown


def _names(opt: cfg.Opt) -> set[str]:
    return {opt.dest, _normalized(opt.name)}


def _normalized(name: str) -> str:
    return name.replace('-', '_')


def check(conf: cfg.ConfigOpts) -> None:
    """Check what is wrong for any choice of plugins.

    :raises Misconfigured: an option is invalid, or not supported.
    """
    try:
        conf.enabled_backends   # noqa: B018  its value is checked when it is read
    except cfg.ConfigFileValueError:
        raise contract.Misconfigured(
            '[DEFAULT] enabled_backends: write name:driver pairs separated by commas, such as '
            'fast:file, cold:s3; each name once') from None
    for info, group in conf._all_opt_infos():   # oslo.config checks a value when it is read
        loader.value(conf, info['opt'], group.name if group else 'DEFAULT')
    if not _is_hash(conf.hashing_algorithm):
        raise contract.Misconfigured(
            f'[DEFAULT] hashing_algorithm = {conf.hashing_algorithm} is unknown; known: '
            f'{", ".join(filter(_is_hash, sorted(hashlib.algorithms_guaranteed)))}')
    paste_file.check(conf)
    for guard in assembly.GUARDS:
        if conf[guard.dest]:
            raise contract.Misconfigured(
                f'[DEFAULT] {guard.dest} is not supported, and what it protects would be '
                'unprotected; unset it to start without that protection')
    for name in conf.enabled_backends or ():
        if name.startswith('os_glance_'):
            raise contract.Misconfigured(
                f'[DEFAULT] enabled_backends: {name}: names beginning with os_glance_ are '
                'reserved')


def _is_hash(algorithm: str) -> bool:
    """Whether ``hashlib`` can use it here, with a digest of fixed length.

    ``hashlib`` also lists algorithms that OpenSSL forbids.
    """
    try:
        hashlib.new(algorithm, usedforsecurity=False).hexdigest()
    except (TypeError, ValueError):
        return False
    return True
