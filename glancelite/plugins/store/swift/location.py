"""What the address of an image says, in all the forms that Glance has written."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

SCHEMES = ('swift', 'swift+http', 'swift+https', 'swift+config')

#: nothing that could mean something else to a server, or to whoever reads a log
_HARMLESS = re.compile(r'[^\x00-\x20\x7f?#\\]+')
_VERSION = re.compile(r'/v\d+(\.\d+)?\Z')


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """The parts of an address.

    :ivar scheme: ``http`` or ``https``, or ``config``: then ``site`` is a reference.
    :ivar site: host and path before the container.
    :ivar user: for the identity service, as older addresses have it, with ``key``.
    """

    scheme: str
    site: str
    container: str
    name: str
    user: str | None = None
    key: str | None = dataclasses.field(default=None, repr=False)

    @property
    def url(self) -> str:
        """What ``site`` is the address of."""
        return f'{self.scheme}://{self.site}'


def parse(url: str) -> Address | None:
    """None for what is no address of an image in Swift."""
    scheme, found, rest = url.partition('://')
    if not found or scheme not in SCHEMES or '://' in rest or not _HARMLESS.fullmatch(rest):
        return None
    *site, container, name = ('', '', *rest.split('/'))
    site = site[2:]
    if not site or not all((*site, container, name)):
        return None
    if any(part in ('.', '..') for part in (*site, container, name)):
        return None
    if scheme == 'swift+config':
        if len(site) > 1 or '@' in site[0]:
            return None
        return Address('config', site[0], container, name)
    credentials, at, host = site[0].rpartition('@')
    user, colon, key = credentials.rpartition(':')
    if not host or (at and not (user and colon and key)):
        return None
    return Address('http' if scheme == 'swift+http' else 'https', '/'.join((host, *site[1:])),
                   container, name, urllib.parse.unquote(user) if at else None,
                   urllib.parse.unquote(key) if at else None)


def written(storage_url: str, container: str, name: str) -> str:
    """The address of an image in an account that has an address itself."""
    return f'swift+{storage_url}/{container}/{name}'


def identity(url: str) -> tuple[str, str]:
    """What two addresses of one identity service have in common; without a scheme it is https."""
    scheme, found, rest = url.partition('://')
    if not found:
        scheme, rest = 'https', url
    host, slash, path = rest.rstrip('/').partition('/')
    return scheme.lower(), host.lower() + _VERSION.sub('', slash + path)
