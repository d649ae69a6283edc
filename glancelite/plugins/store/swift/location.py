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
    scheme, _, rest = url.partition('://')
    parts = rest.split('/')
    if scheme not in SCHEMES or not _is_valid(rest, parts):
        return None
    *site, container, name = parts
    if scheme == 'swift+config':
        if len(site) > 1 or '@' in site[0]:
            return None
        return ObjectLocation('config', site[0], container, name)
    credentials, at, host = site[0].rpartition('@')
    user, _, key = credentials.rpartition(':')
    if not host or (at and not (user and key)):
        return None
    site_scheme = 'http' if scheme == 'swift+http' else 'https'
    target = ObjectLocation(site_scheme, '/'.join((host, *site[1:])), container, name)
    if not at:
        return target
    return dataclasses.replace(target, user=urllib.parse.unquote(user),
                               key=urllib.parse.unquote(key))


def _is_valid(rest: str, parts: list[str]) -> bool:
    """Return whether the parts of a URL are complete and safe."""
    return (len(parts) >= 3 and all(parts) and {'.', '..'}.isdisjoint(parts)
            and '://' not in rest and bool(_SAFE.fullmatch(rest)))


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
