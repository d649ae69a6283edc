"""URLs of images: ``sheepdog://HOST:PORT:NAME``, in the oldest form ``sheepdog://NAME``."""

from __future__ import annotations

import ipaddress
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


def parse_address(text: str, option: str, default_port: int | None = None) -> tuple[str, int]:
    """Return host and port of a daemon, as they are in URLs.

    :param text: ``host:port``, or ``host`` if there is a default port.
    :param option: the name of the option, for the error.
    :raises Misconfigured: the text is malformed.
    """
    text = text.strip()
    host, _, port = text.rpartition(':')
    if default_port is not None and (not host or _is_ipv6(text)):
        host, port = text, str(default_port)
    host = host.removeprefix('[').removesuffix(']')
    try:
        if _PORT.match(port) and _HOST(host) and not host.startswith('-'):
            return host, int(port)
    except ValueError:
        pass
    form = 'host:port' if default_port is None else 'host or host:port'
    raise contract.Misconfigured(f'{option} must be {form}, separated by commas, not {text!r}')


def _is_ipv6(text: str) -> bool:
    """Return whether the text is an address without a port, with or without brackets."""
    try:
        ipaddress.IPv6Address(text.removeprefix('[').removesuffix(']'))
    except ValueError:
        return False
    return True
