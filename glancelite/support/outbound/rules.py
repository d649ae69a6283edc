"""Which URLs of users may be opened: the rules of ``[import_filtering_opts]``."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import logging
import re
import socket
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

import urllib3
from oslo_config import cfg, types

from glancelite.contract import Invalid, Unavailable

LOG = logging.getLogger(__name__)

SECTION = 'import_filtering_opts'


class _List(types.List):
    """A list without brackets, or in those that Glance wants around these."""

    def __call__(self, value):
        if isinstance(value, str) and (text := value.strip())[:1] + text[-1:] == '[]':
            value = text[1:-1]
        return super().__call__(value)


_PORTS = _List(types.Integer(min=1, max=65535))
_SCHEMES = _List(types.String(ignore_case=True))
OPTS = (
    cfg.Opt('allowed_schemes', _SCHEMES,
            default=['http', 'https'],
            help='Schemes of the web addresses that users may name; others are refused. '
                 'There is no way to others than http and https.'),
    cfg.Opt('disallowed_schemes', _SCHEMES, default=[],
            help='Schemes that are refused; has no effect if allowed_schemes is not empty.'),
    cfg.Opt('allowed_hosts', _List(), default=[],
            help='Hosts that users may send us to: names, addresses, or networks such as '
                 '10.1.0.0/16 for addresses. If not empty, all others are refused, and only '
                 'hosts named here may be loopback or link-local addresses.'),
    cfg.Opt('disallowed_hosts', _List(), default=[],
            help='Hosts that users may not send us to: names, addresses or networks; also '
                 'refused are names that lead to these addresses. Has no effect if '
                 'allowed_hosts is not empty.'),
    cfg.Opt('allowed_ports', _PORTS, default=[80, 443],
            help='Ports that users may name; an address without a port is not concerned.'),
    cfg.Opt('disallowed_ports', _PORTS, default=[],
            help='Ports that users may not name; has no effect if allowed_ports is not '
                 'empty.'),
)

DEFAULT_PORTS = {'http': 80, 'https': 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


#: this machine, its neighbours on the link (cloud metadata services are there), everybody at
#: once, and nobody; the last two are metadata services outside of link-local
_NOT_FOR_USERS = _networks(
    '0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4',
    '::/128', '::1/128', 'fe80::/10', 'ff00::/8', '100.100.100.200/32', 'fd00:ec2::254/128')
#: IPv6 networks whose addresses stand for an IPv4 address, and how far from the right it is
_STAND_FOR_IPV4 = tuple(zip(
    _networks('::/96', '::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48',
              '2002::/16'), (0, 0, 0, 0, 0, 80), strict=True))
_TEREDO = ipaddress.IPv6Network('2001::/32')
_ISATAP = (0x00005efe, 0x02005efe)

#: the end of a host that a C library may take for a number
_NUMBER = re.compile(r'(?:\A|\.)(?:0x[0-9a-f]*|[0-9]+)\Z')
_HOST = re.compile(r'[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_-])?\Z')


def register(conf: Any) -> None:
    """Make the options known to a ``ConfigOpts``; for a plugin's ``LIBRARY_OPTS``."""
    conf.register_opts(OPTS, group=SECTION)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart, in the one way of writing it that is checked and used.

    ``host`` has no brackets; ``authorization`` is the value of a header, made from a user
    and password in the URL, and in no text of this object.
    """

    scheme: str
    host: str
    port: int
    path: str
    authorization: str | None = dataclasses.field(default=None, repr=False)

    @property
    def netloc(self) -> str:
        """The host and, where it is not the usual one, the port."""
        host = f'[{self.host}]' if ':' in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f'{host}:{self.port}'

    @property
    def url(self) -> str:
        """Without user and password."""
        return f'{self.scheme}://{self.netloc}{self.path}'


class Rules:
    """Says of URLs and of the addresses behind them whether users may send us there.

    :param conf: a ``ConfigOpts`` that ``register`` has seen.
    """

    def __init__(self, conf: Any):
        options = conf[SECTION]
        self._schemes = _Lists('schemes', options.allowed_schemes, options.disallowed_schemes)
        self._ports = _Lists('ports', options.allowed_ports, options.disallowed_ports)
        _Lists('hosts', options.allowed_hosts, options.disallowed_hosts)    # for its warning
        self._allowed = _Hosts(options.allowed_hosts)
        self._disallowed = _Hosts([] if options.allowed_hosts else options.disallowed_hosts)

    def check(self, url: str) -> Target:
        """``parse``, and ask where the host is; opens nothing.

        :raises Invalid: it leads where users may not send us; the text says why.
        :raises Unavailable: nobody says where the host is at the moment.
        """
        target = self.parse(url)
        self.addresses(target)
        return target

    def parse(self, url: str) -> Target:
        """What can be said of a URL by looking at it.

        :raises Invalid: it is no URL, or names what users may not name.
        """
        target, port = _parse(url)
        if not self._schemes.permit(target.scheme):
            raise Invalid(f'Locations with {target.scheme} are not allowed.')
        if port is not None and not self._ports.permit(port):
            raise Invalid(f'Locations with the port {port} are not allowed.')
        if self._allowed and target.host not in self._allowed:
            raise Invalid('Locations on this host are not allowed.')
        if target.host in self._disallowed:
            raise Invalid('Locations on this host are not allowed.')
        return target

    def addresses(self, target: Target, *, must_exist: bool = True) -> list[str]:
        """The addresses behind a target of ``parse``; connect to these and to no others.

        :param must_exist: False where somebody else connects, who may know more hosts.
        :raises Invalid: there are none, or one of them is not for users.
        :raises Unavailable: nobody says where the host is at the moment.
        """
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if not must_exist:
                return []
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise Unavailable('The host of this location cannot be looked up now.') from error
            raise Invalid('The host of this location is not known.') from error
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        if not self._allowed:
            for text in addresses:
                self._check_address(ipaddress.ip_address(text.partition('%')[0]))
        return addresses

    def _check_address(self, address: Address) -> None:
        for each in _meanings(address):
            if any(each in network for network in _NOT_FOR_USERS):
                LOG.info('refused to go to %s for a user', each)
                raise Invalid('Locations on this host are not allowed: its address is not for '
                              'users.')
            if self._disallowed.has(each):
                raise Invalid('Locations on this host are not allowed.')


class _Lists:
    """An allowed and a disallowed list of one kind, of which the first goes before."""

    def __init__(self, kind: str, allowed: Iterable[object], disallowed: Iterable[object]):
        self._allowed = frozenset(map(_plain, allowed))
        self._disallowed = frozenset(map(_plain, disallowed))
        if allowed and disallowed:
            LOG.warning('[%s] disallowed_%s has no effect, because allowed_%s is not empty',
                        SECTION, kind, kind)

    def permit(self, value: object) -> bool:
        return value in self._allowed if self._allowed else value not in self._disallowed


def _plain(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class _Hosts:
    """Names, addresses and networks out of the configuration."""

    def __init__(self, entries: Iterable[str]):
        self._names = set()
        self._networks = []
        for entry in filter(None, (entry.strip() for entry in entries)):
            try:
                self._networks.append(ipaddress.ip_network(entry.strip('[]'), strict=False))
            except ValueError:
                self._names.add(_configured(entry))

    def __bool__(self) -> bool:
        return bool(self._names or self._networks)

    def __contains__(self, host: str) -> bool:
        if host in self._names:
            return True
        try:
            return self.has(ipaddress.ip_address(host))
        except ValueError:
            return False

    def has(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _configured(entry: str) -> str:
    """The host that an operator has written, in the one way; as it is if it is none."""
    try:
        target, port = _parse(f'http://{entry}/')
        if port is None and target.path == '/':
            return target.host
    except Invalid:
        pass
    LOG.warning('[%s] %r is no host; no address has it', SECTION, entry)
    return entry


def _parse(url: str) -> tuple[Target, int | None]:
    """The target, and the port if the URL names one."""
    if not isinstance(url, str) or not url.isprintable() or ' ' in url or '\\' in url:
        raise Invalid('This location is not an address on the web.')
    scheme, mark, rest = url.partition('://')
    if not mark or scheme.lower() not in DEFAULT_PORTS:
        raise Invalid('A location on the web begins with http:// or https://.')
    authority = re.split('[/?#]', rest, maxsplit=1)[0]
    path = re.split('[?#]', rest[len(authority):], maxsplit=1)[0]
    if not {'.', '..'}.isdisjoint(map(urllib.parse.unquote, path.split('/'))):
        raise Invalid('A location has no . and .. in its path.')
    try:
        found = urllib3.util.parse_url(url)
        port = found.port
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise Invalid('This location is not an address on the web.') from error
    # what others might read in another way than we do
    if (not found.host or not found.scheme or authority.count('@') > 1
            or '%' in authority.rpartition('@')[2]):
        raise Invalid('This location is not an address on the web.')
    path = (found.path or '/') + (f'?{found.query}' if found.query else '')
    target = Target(found.scheme, _normal(found.host),
                    DEFAULT_PORTS[found.scheme] if port is None else port, path,
                    _authorization(found.auth))
    return target, port


def _normal(host: str) -> str:
    """One way of writing a host: lower case, dotted numbers, no brackets.

    :param host: in ASCII, with IDNA where needed.
    :raises Invalid: it is none.
    """
    try:
        if host.startswith('['):
            return ipaddress.IPv6Address(host.strip('[]')).compressed
        name = host.lower().removesuffix('.')
        if _NUMBER.search(name):    # 127.1, 0x7f.1, 017700000001 and 2130706433 are one
            return str(ipaddress.IPv4Address(socket.inet_aton(name)))
    except (ValueError, OSError) as error:
        raise Invalid('The host of this location is not one.') from error
    if not _HOST.match(name) or len(name) > 253 or '..' in name:
        raise Invalid('The host of this location is not one.')
    return name


def _authorization(auth: str | None) -> str | None:
    if not auth:
        return None
    user, _, password = auth.partition(':')
    credentials = ':'.join(map(urllib.parse.unquote, (user, password)))
    return 'Basic ' + base64.b64encode(credentials.encode()).decode()


def _meanings(address: Address) -> Iterator[Address]:
    """The address, and those that it stands for."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    number = int(address)
    for network, shift in _STAND_FOR_IPV4:
        if address in network:
            yield ipaddress.IPv4Address(number >> shift & 0xffffffff)
    if address in _TEREDO:
        yield ipaddress.IPv4Address(number >> 64 & 0xffffffff)
        yield ipaddress.IPv4Address(~number & 0xffffffff)
    if number >> 32 & 0xffffffff in _ISATAP:
        yield ipaddress.IPv4Address(number & 0xffffffff)
