"""Checks of the URLs of glance_store drivers."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Collection, Iterable, Sequence
from typing import Any

#: schemes with older URL formats that do not begin with the current prefix; the backend
#: itself checks access
WITH_OLDER_FORMATS = frozenset({'cinder', 'http', 'https', 'rbd', 's3', 's3+http', 's3+https',
                                'swift', 'swift+config', 'swift+http', 'swift+https', 'vsphere'})
#: schemes of URLs that users must not choose
PRIVATE_SCHEMES = frozenset({'file', 'filesystem', 'http', 'https', 'swift+config'})

_DOTS = frozenset({'.', '..'})

#: scheme and path, with a final slash, of all URLs of a driver
Prefix = tuple[str, str]


def is_plain(path: str) -> bool:
    """Return whether a path has no empty segments and no ``.`` and ``..``."""
    segments = path.split('/')
    return _DOTS.isdisjoint(segments) and '' not in segments


def is_acceptable(url: str) -> bool:
    """Return whether a URL has no characters and segments that could mislead a driver."""
    scheme, _, path = url.partition('://')
    plain = scheme in ('http', 'https') or is_plain(path.lstrip('/'))
    return (url.isprintable() and ' ' not in url and plain
            and _DOTS.isdisjoint(path.split('/')))


def may_lack_prefix(url: str) -> bool:
    """Return whether a URL may have an older format, without the driver's prefix."""
    scheme, _, path = url.partition('://')
    return scheme in WITH_OLDER_FORMATS and not (scheme == 'cinder' and '/' in path)


def has_prefix(url: str, prefixes: Iterable[Prefix]) -> bool:
    """Return whether a URL consists of any of ``prefixes`` and a plain path."""
    path = url.partition('://')[2]
    return any(path.startswith(start) and is_plain(path[len(start):]) for _, start in prefixes)


def has_secret(url: str, secrets: Collection[str]) -> bool:
    """Return whether a URL contains a password or one of ``secrets``."""
    account, at, _ = url.partition('://')[2].partition('/')[0].rpartition('@')
    unquoted = urllib.parse.unquote(url)
    return (bool(at) and ':' in account) or any(secret in unquoted for secret in secrets)


def driver_urls(driver: Any, options: dict[str, Any]) -> list[str]:
    """Return what the URLs of a configured driver begin with.

    :param options: the values of its options.
    """
    # the url_prefix of the file driver has only one of its directories
    return [driver.url_prefix or '',
            *(f'file://{value.rpartition(":")[0] or value}'
              for value in options.get('filesystem_store_datadirs') or ())]


def parse_prefixes(urls: Iterable[str]) -> tuple[Prefix, ...]:
    return tuple(dict.fromkeys(
        (scheme, path.rstrip('/') + '/')
        for scheme, _, path in (url.partition('://') for url in urls) if path))


def exclusive_resources(prefixes: Sequence[Prefix]) -> list[str]:
    """Name the resources of a driver as the drivers of this service do."""
    return [os.path.realpath(path) if scheme == 'file'
            else f'{scheme.partition("+")[0]}://{path}'.rstrip('/')
            for scheme, path in prefixes]
