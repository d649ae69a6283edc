"""URLs of images: ``sheepdog://HOST:PORT:NAME``, in the oldest form ``sheepdog://NAME``."""

from __future__ import annotations

import re

from oslo_config import types

from glancelite import contract
from glancelite.contract import store_rules

SCHEME = 'sheepdog'

_PORT = re.compile(r'[1-9][0-9]{0,4}\Z')
_HOST = types.HostAddress()


def format_url(address: tuple[str, int], name: str) -> str:
    """Return the URL of an image.

    :param address: host and port of a daemon of the cluster.
    """
    return f'{SCHEME}://{address[0]}:{address[1]}:{name}'


def parse_url(url: str) -> tuple[tuple[str, int] | None, str] | None:
    """Return the address and the name in a URL; without an address in the oldest form.

    :returns: None if the URL is invalid.
    """
    scheme, separator, rest = url.partition('://')
    if not separator or scheme != SCHEME:
        return None
    address, colon, name = rest.rpartition(':')
    # a key cannot be mistaken for an option of the command line
    if not store_rules.KEY.fullmatch(name):
        return None
    if not colon:
        return None, name
    host, _, port = address.rpartition(':')
    return ((host, int(port)), name) if _PORT.match(port) else None


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port from ``host:port``, as they are in URLs.

    :raises Misconfigured: the text is malformed.
    """
    host, _, port = text.strip().rpartition(':')
    try:
        if _PORT.match(port) and _HOST(host) and not host.startswith('-'):
            return host, int(port)
    except ValueError:
        pass
    raise contract.Misconfigured('sheepdog_store_known_addresses must be host:port, separated '
                                 f'by commas, not {text!r}')
