"""The URLs of image data in Swift, in all forms that Glance has written."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

SCHEMES = ('swift', 'swift+http', 'swift+https', 'swift+config')

#: excludes characters with a special meaning in URLs, requests or logs
_SAFE = re.compile(r'[^\x00-\x20\x7f?#\\]+')
_VERSION = re.compile(r'/v\d+(\.\d+)?\Z')


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectLocation:
    """The parts of an object's URL.

    :ivar scheme: ``http`` or ``https``; or ``config``: then ``site`` is a reference.
    :ivar site: host and path before the container.
    :ivar user: for the identity service, in old URLs, with ``key``.
    """

    scheme: str
    site: str
    container: str
    name: str
    user: str | None = None
    key: str | None = dataclasses.field(default=None, repr=False)

    @property
    def site_url(self) -> str:
        return f'{self.scheme}://{self.site}'

    @property
    def is_reference(self) -> bool:
        return self.scheme == 'config'


def parse(url: str) -> ObjectLocation | None:
    """Return the parts of a URL; None if it is not the URL of an object in Swift."""
    scheme, separator, rest = url.partition('://')
    if not separator or scheme not in SCHEMES or '://' in rest or not _SAFE.fullmatch(rest):
        return None
    parts = rest.split('/')
    if len(parts) < 3 or not all(parts) or not {'.', '..'}.isdisjoint(parts):
        return None
    *site, container, name = parts
    if scheme == 'swift+config':
        if len(site) > 1 or '@' in site[0]:
            return None
        return ObjectLocation('config', site[0], container, name)
    host = site[0]
    user = key = None
    if '@' in host:
        credentials, _, host = host.rpartition('@')
        user, _, key = credentials.rpartition(':')
        if not (user and key and host):
            return None
        user, key = urllib.parse.unquote(user), urllib.parse.unquote(key)
    return ObjectLocation('http' if scheme == 'swift+http' else 'https',
                          '/'.join((host, *site[1:])), container, name, user, key)


def format_url(account_url: str, container: str, name: str) -> str:
    """Return the URL of an object in an account with a URL of its own."""
    return f'swift+{account_url}/{container}/{name}'


def format_reference(reference: str, container: str, name: str) -> str:
    """Return the URL of an object in the account of a reference."""
    return f'swift+config://{reference}/{container}/{name}'


def identity_service(url: str) -> tuple[str, str]:
    """Return what all URLs of one identity service have in common.

    :param url: without a scheme, https is assumed.
    """
    scheme, separator, rest = url.partition('://')
    if not separator:
        scheme, rest = 'https', url
    host, slash, path = rest.rstrip('/').partition('/')
    return scheme.lower(), host.lower() + _VERSION.sub('', slash + path)
