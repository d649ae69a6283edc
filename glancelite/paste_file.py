"""Reads the PasteDeploy file of an existing Glance: are its filters here as well?"""

from __future__ import annotations

import configparser
import pathlib
from collections.abc import Iterator

from oslo_config import cfg

from glancelite.contract import Misconfigured

#: the flavors of the pipelines that Glance brings
FLAVORS = ('keystone', 'caching', 'cachemanagement', 'keystone+caching',
           'keystone+cachemanagement')
#: beginnings of factories that have a counterpart here, or whose absence is reported otherwise
KNOWN = (
    'glance.api.middleware.cache:', 'glance.api.middleware.cache_manage:',
    'glance.api.middleware.context:', 'glance.api.middleware.version_negotiation:',
    'osprofiler.web:',
    'oslo_middleware:CORS.', 'oslo_middleware.cors:',
    'oslo_middleware:HTTPProxyToWSGI.', 'oslo_middleware.http_proxy_to_wsgi:',
    'oslo_middleware:Healthcheck.', 'oslo_middleware.healthcheck:',
    'oslo_middleware:RequestId.', 'oslo_middleware.request_id:',
    'egg:oslo.middleware#cors', 'egg:oslo.middleware#healthcheck',
    'egg:oslo.middleware#http_proxy_to_wsgi', 'egg:oslo.middleware#request_id',
)
#: beginnings of factories that authenticate -> the plugin that does the same
AUTHENTICATION = {
    'keystonemiddleware.auth_token:': 'keystone',
    'egg:keystonemiddleware#auth_token': 'keystone',
    'egg:oslo.middleware#basic_auth': 'http_basic',
    'oslo_middleware:BasicAuthMiddleware.': 'http_basic',
    'oslo_middleware.basic_auth:': 'http_basic',
}
#: options of filters in the file that Glance brings, or that say nothing
STOCK = {('delay_auth_decision', 'true'), ('backends', 'disable_by_file'),
         ('disable_by_file_path', '/etc/glance/healthcheck_disable')}
STRUCTURE = ('paste.filter_factory', 'use', 'next', 'filter-with', 'oslo_config_project',
             'oslo_config_program', 'hmac_keys', 'enabled')
PREFIXES = ('pipeline', 'composite', 'app', 'filter-app', 'filter')


def find(conf: cfg.ConfigOpts) -> pathlib.Path | None:
    """The file that Glance would use: the configured one, or the one beside the last file.

    :raises Misconfigured: the configured file does not exist.
    """
    configured = conf.paste_deploy.config_file
    if configured:
        if not pathlib.Path(configured).is_file():
            raise Misconfigured(f'[paste_deploy] config_file: there is no file {configured}')
        return pathlib.Path(configured)
    for path in map(pathlib.Path, (conf.config_file or ())[-1:]):
        beside = path.with_name(f'{path.stem}-paste.ini')
        if path.suffix == '.conf' and beside.is_file():
            return beside
    return None


def check(conf: cfg.ConfigOpts) -> str | None:
    """Return one line about the file, or None if there is none.

    :raises Misconfigured: a filter has no counterpart here, authentication would be lost, or
        the flavor is unknown.
    """
    path = find(conf)
    _check_flavor(conf.paste_deploy.flavor, path)
    if path is None:
        return None
    plugins = set()
    unread = []
    for name, options in _filters(path, conf.paste_deploy.flavor):
        factory = _factory(options)
        unread += [f'[filter:{name}] {option}' for option, value in options.items()
                   if option not in STRUCTURE and (option, value.lower()) not in STOCK]
        plugins |= _authentication(factory)
        if not factory.startswith((*KNOWN, *AUTHENTICATION)):
            raise Misconfigured(
                f'{path}: the filter {name} ({factory or "without a factory"}) has no counterpart '
                'here; remove it from the pipeline, or make a plugin of it and choose it in '
                '[layers] middleware, or in [pipeline] extra if it needs the caller')
    if conf.layers.auth is None and plugins and default_auth(conf) not in plugins:
        raise Misconfigured(f'{path}: the pipeline authenticates callers; set [layers] auth = '
                            f'{" or ".join(sorted(plugins))}')
    return (f'{path} is not read any more: all its filters have a counterpart here'
            + (f'; set their options in the configuration: {", ".join(unread)}' if unread else ''))


def default_auth(conf: cfg.ConfigOpts) -> str:
    """Return the auth plugin of a configuration that chooses none."""
    flavor = conf.paste_deploy.flavor
    path = find(conf) if flavor and flavor not in FLAVORS else None
    if path is not None:
        plugins = {plugin for _, options in _filters(path, flavor)
                   for plugin in _authentication(_factory(options))}
        if len(plugins) == 1:
            return plugins.pop()
    return 'noauth' if flavor and 'keystone' not in flavor else 'keystone'


def _check_flavor(flavor: str | None, path: pathlib.Path | None) -> None:
    """
    :raises Misconfigured: the flavor is not one of Glance's, and not in the file.
    """
    if flavor and flavor not in FLAVORS and not (
            path is not None and _section(_sections(path), f'glance-api-{flavor}')):
        raise Misconfigured(
            f'[paste_deploy] flavor = {flavor} is unknown: it is none of {", ".join(FLAVORS)}, '
            'and ' + (f'{path} has no pipeline glance-api-{flavor}' if path is not None else
               'there is no PasteDeploy file that may have its pipeline'))


def _factory(options: dict[str, str]) -> str:
    return options.get('paste.filter_factory') or options.get('use', '')


def _authentication(factory: str) -> set[str]:
    return {plugin for start, plugin in AUTHENTICATION.items() if factory.startswith(start)}


def _filters(path: pathlib.Path, flavor: str | None) -> Iterator[tuple[str, dict[str, str]]]:
    """Names and options of the filters that the flavor uses; all if it is not in the file."""
    sections = _sections(path)
    start = f'glance-api-{flavor}' if flavor else 'glance-api'
    waiting = [start] if _section(sections, start) else [
        section.partition(':')[2] for section in sections
        if section.startswith(('pipeline:', 'filter-app:'))]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        prefix, options = _section(sections, name) or ('filter', {})
        if prefix == 'pipeline':
            waiting += options.get('pipeline', '').split()
        elif prefix == 'composite':
            waiting += [target for route, target in options.items() if route.startswith('/')]
        elif prefix.startswith('filter'):
            yield name, options
            waiting += [options['next']] if 'next' in options else []
        waiting += [options['filter-with']] if 'filter-with' in options else []


def _section(sections: dict[str, dict[str, str]],
             name: str) -> tuple[str, dict[str, str]] | None:
    return next(((prefix, sections[f'{prefix}:{name}']) for prefix in PREFIXES
                 if f'{prefix}:{name}' in sections), None)


def _sections(path: pathlib.Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, configparser.Error) as error:
        raise Misconfigured(f'{path} cannot be read: {_reason(error)}') from error
    return {section: {name: value for name, value in parser[section].items()
                      if name in STRUCTURE or parser.defaults().get(name) != value}
            for section in parser.sections()}


def _reason(error: Exception) -> str:
    """Why the file cannot be read, without the invalid lines, which may contain a password."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f'line {error.lineno} is not in a section'
    if isinstance(error, configparser.ParsingError):
        return f'line {error.errors[0][0]} is not "name = value"'
    return getattr(error, 'strerror', None) or ' '.join(str(error).split())
