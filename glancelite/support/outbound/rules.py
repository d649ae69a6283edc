"""Address rules for URLs that users name: the options of ``[import_filtering_opts]``."""

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
from glancelite.support.bracketed import BracketedList

LOG = logging.getLogger(__name__)

SECTION = 'import_filtering_opts'


_PORTS = BracketedList(types.Integer(min=1, max=65535))
_SCHEMES = BracketedList(types.String(ignore_case=True))
OPTS = (
    cfg.Opt('allowed_schemes', _SCHEMES,
            default=['http', 'https'],
            help='Schemes of URLs that users may name; all others are refused. Only http '
                 'and https are supported.'),
    cfg.Opt('disallowed_schemes', _SCHEMES, default=[],
            help='Schemes that are refused. Ignored unless allowed_schemes is empty.'),
    cfg.Opt('allowed_hosts', BracketedList(), default=[],
            help='Hosts that URLs of users may name: host names, addresses, or networks such '
                 'as 10.1.0.0/16. If it is not empty, all other hosts are refused. Loopback '
                 'and link-local addresses are refused unless they are listed here.'),
    cfg.Opt('disallowed_hosts', BracketedList(), default=[],
            help='Hosts that are refused: host names, addresses or networks. Host names that '
                 'resolve to these addresses are refused as well. Ignored unless '
                 'allowed_hosts is empty.'),
    cfg.Opt('allowed_ports', _PORTS, default=[80, 443],
            help='Ports that URLs of users may name. A URL without a port is always allowed.'),
    cfg.Opt('disallowed_ports', _PORTS, default=[],
            help='Ports that are refused. Ignored unless allowed_ports is empty.'),
)

DEFAULT_PORTS = {'http': 80, 'https': 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


#: loopback, link-local (with the metadata services of clouds), multicast, reserved and
#: unspecified addresses; the last two are metadata services outside of link-local
_INTERNAL = _networks(
    '0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4',
    '::/128', '::1/128', 'fe80::/10', 'ff00::/8', '100.100.100.200/32', 'fd00:ec2::254/128')
#: IPv6 networks whose addresses embed an IPv4 address, and its distance from the right in bits
_EMBED_IPV4 = tuple(zip(
    _networks('::/96', '::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48',
              '2002::/16'), (0, 0, 0, 0, 0, 80), strict=True))
_TEREDO = ipaddress.IPv6Network('2001::/32')
_ISATAP = (0x00005efe, 0x02005efe)

#: the end of a host that a C library may read as a number
_NUMBER = re.compile(r'(?:\A|\.)(?:0x[0-9a-f]*|[0-9]+)\Z')
_HOST = re.compile(r'[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_-])?\Z')


def register(conf: Any) -> None:
    """Register the options in a ``ConfigOpts``; for ``LIBRARY_OPTS`` of a plugin."""
    conf.register_opts(OPTS, group=SECTION)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A URL in normal form, split into its parts.

    :ivar host: without brackets.
    :ivar path: with the query.
    :ivar authorization: value of the ``Authorization`` header for the user and password in
        the URL; not shown in the ``repr``.
    """

    scheme: str
    host: str
    port: int
    path: str
    authorization: str | None = dataclasses.field(default=None, repr=False)

    @property
    def netloc(self) -> str:
        """The host, with the port unless it is the default port."""
        host = f'[{self.host}]' if ':' in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f'{host}:{self.port}'

    @property
    def url(self) -> str:
        """The URL without user and password."""
        return f'{self.scheme}://{self.netloc}{self.path}'


class UnknownHost(Invalid):
    """There is no such host, at least not now."""


class Rules:
    """Decides which URLs and addresses may be accessed for users.

    :param conf: a ``ConfigOpts`` with the options of ``register``.
    """

    def __init__(self, conf: Any):
        options = conf[SECTION]
        self._schemes = _Lists('schemes', options.allowed_schemes, options.disallowed_schemes)
        self._ports = _Lists('ports', options.allowed_ports, options.disallowed_ports)
        _Lists('hosts', options.allowed_hosts, options.disallowed_hosts)    # for its warning
        self._allowed = _Hosts(options.allowed_hosts)
        self._disallowed = _Hosts([] if options.allowed_hosts else options.disallowed_hosts)

    def check(self, url: str) -> Target:
        """Check a URL and the addresses of its host, without connecting.

        :raises Invalid: the URL is malformed or not allowed; the text says why.
        :raises Unavailable: the host cannot be resolved at the moment.
        """
        target = self.parse(url)
        self.resolve(target)
        return target

    def parse(self, url: str) -> Target:
        """Parse a URL and check it, without resolving its host.

        :raises Invalid: the URL is malformed or not allowed.
        """
        target, port = _parse(url)
        if not self._schemes.permit(target.scheme):
            raise refusal(f'the scheme {target.scheme} {self._schemes.reason}')
        if port is not None and not self._ports.permit(port):
            raise refusal(f'the port {port} {self._ports.reason}')
        if self._allowed and target.host not in self._allowed:
            raise refusal(f'its host is not listed in [{SECTION}] allowed_hosts')
        if target.host in self._disallowed:
            raise _disallowed_host()
        return target

    def resolve(self, target: Target, *, must_exist: bool = True) -> list[str]:
        """Return the addresses of a target; connections must use only these.

        :param must_exist: False if a proxy connects, which may know more hosts; the list may
            be empty then.
        :raises Invalid: there are no addresses, or one of them is not allowed.
        :raises Unavailable: the host cannot be resolved at the moment.
        """
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if not must_exist:
                return []
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise Unavailable('The host of this URL cannot be resolved now.') from error
            raise UnknownHost(str(refusal('its host is unknown'))) from error
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        if not self._allowed:
            for text in addresses:
                self._check_address(ipaddress.ip_address(text.partition('%')[0]))
        return addresses

    def _check_address(self, address: Address) -> None:
        for each in _with_embedded(address):
            if any(each in network for network in _INTERNAL):
                LOG.info('refused a URL of a user: internal address %s', each)
                raise refusal('the address of its host is internal, and the host is not listed '
                              f'in [{SECTION}] allowed_hosts')
            if self._disallowed.has(each):
                raise _disallowed_host()


def refusal(reason: str) -> Invalid:
    """The error for a URL that is not allowed.

    Clients look for the words "does not pass filtering".
    """
    return Invalid(f'This URL does not pass filtering: {reason}.')


def _disallowed_host() -> Invalid:
    return refusal(f'its host is listed in [{SECTION}] disallowed_hosts')


class _Lists:
    """An allowed and a disallowed list; the allowed list takes precedence."""

    def __init__(self, kind: str, allowed: Iterable[object], disallowed: Iterable[object]):
        self._allowed = frozenset(map(_lower, allowed))
        self._disallowed = frozenset(map(_lower, disallowed))
        #: why a value is refused
        self.reason = (f'is not listed in [{SECTION}] allowed_{kind}' if self._allowed
                       else f'is listed in [{SECTION}] disallowed_{kind}')
        if allowed and disallowed:
            LOG.warning('[%s] disallowed_%s has no effect, because allowed_%s is not empty',
                        SECTION, kind, kind)

    def permit(self, value: object) -> bool:
        return value in self._allowed if self._allowed else value not in self._disallowed


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class _Hosts:
    """Host names, addresses and networks from the configuration."""

    def __init__(self, entries: Iterable[str]):
        self._names = set()
        self._networks = []
        for entry in filter(None, (entry.strip() for entry in entries)):
            try:
                self._networks.append(ipaddress.ip_network(entry.strip('[]'), strict=False))
            except ValueError:
                self._names.add(_normal_entry(entry))

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


def _normal_entry(entry: str) -> str:
    """Return a host of the configuration in normal form, or unchanged if it is invalid."""
    try:
        target, port = _parse(f'http://{entry}/')
        if port is None and target.path == '/':
            return target.host
    except Invalid:
        pass
    LOG.warning('[%s] %r is not a valid host and matches nothing', SECTION, entry)
    return entry


def _parse(url: str) -> tuple[Target, int | None]:
    """Return the target, and the port that the URL names, if any."""
    if not isinstance(url, str) or not url.isprintable() or ' ' in url or '\\' in url:
        raise refusal('it is not a valid URL')
    scheme, mark, rest = url.partition('://')
    if not mark or scheme.lower() not in DEFAULT_PORTS:
        raise refusal('it does not begin with http:// or https://')
    authority = re.split('[/?#]', rest, maxsplit=1)[0]
    path = re.split('[?#]', rest[len(authority):], maxsplit=1)[0]
    if not {'.', '..'}.isdisjoint(map(urllib.parse.unquote, path.split('/'))):
        raise refusal('its path has . or .. as a segment')
    try:
        parsed = urllib3.util.parse_url(url)
        port = parsed.port
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise refusal('it is not a valid URL') from error
    # other parsers might read these in another way
    if (not parsed.host or not parsed.scheme or authority.count('@') > 1
            or '%' in authority.rpartition('@')[2]):
        raise refusal('it is not a valid URL')
    path = (parsed.path or '/') + (f'?{parsed.query}' if parsed.query else '')
    target = Target(parsed.scheme, _normal(parsed.host),
                    DEFAULT_PORTS[parsed.scheme] if port is None else port, path,
                    _authorization(parsed.auth))
    return target, port


def _normal(host: str) -> str:
    """Return a host in normal form: lower case, dotted numbers, no brackets.

    :param host: in ASCII, with IDNA where needed.
    :raises Invalid: the host is malformed.
    """
    try:
        if host.startswith('['):
            return ipaddress.IPv6Address(host.strip('[]')).compressed
        name = host.lower().removesuffix('.')
        if _NUMBER.search(name):    # 127.1, 0x7f.1, 017700000001 and 2130706433 are equal
            return str(ipaddress.IPv4Address(socket.inet_aton(name)))
    except (ValueError, OSError) as error:
        raise refusal('its host is invalid') from error
    if not _HOST.match(name) or len(name) > 253 or '..' in name:
        raise refusal('its host is invalid')
    return name


def _authorization(auth: str | None) -> str | None:
    if not auth:
        return None
    user, _, password = auth.partition(':')
    credentials = ':'.join(map(urllib.parse.unquote, (user, password)))
    return 'Basic ' + base64.b64encode(credentials.encode()).decode()


def _with_embedded(address: Address) -> Iterator[Address]:
    """Yield the address and the IPv4 addresses that it embeds."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    number = int(address)
    for network, shift in _EMBED_IPV4:
        if address in network:
            yield ipaddress.IPv4Address(number >> shift & 0xffffffff)
    if address in _TEREDO:
        yield ipaddress.IPv4Address(number >> 64 & 0xffffffff)
        yield ipaddress.IPv4Address(~number & 0xffffffff)
    if number >> 32 & 0xffffffff in _ISATAP:
        yield ipaddress.IPv4Address(number & 0xffffffff)
