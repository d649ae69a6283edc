"""Restores scheme, host and address of the client behind a reverse proxy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from oslo_middleware import http_proxy_to_wsgi

from glancelite import contract
from glancelite.contract.middleware import WSGIApp

HEADERS = frozenset({'HTTP_FORWARDED', 'HTTP_X_FORWARDED_PROTO', 'HTTP_X_FORWARDED_HOST',
                     'HTTP_X_FORWARDED_FOR', 'HTTP_X_FORWARDED_PREFIX'})
SCHEMES = ('http', 'https')

#: one parameter of ``Forwarded``, or nothing, and what ends it; possessive, because a client
#: may send 16 KiB that almost match
_PARAMETER = re.compile(
    r'\s*+(?:([^\s=;,"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"\s*+|([^;,"]*+)))?+(?:[;,]|$)')
_ESCAPE = re.compile(r'\\(.)')
#: a name or an address, with or without a port
_HOST = re.compile(r'(?:\[[0-9A-Fa-f:.]+\]|[\w.~%-]+)(?::[0-9]{1,5})?', re.ASCII)
_NODE = re.compile(r'\[([^]]+)\](?::([0-9]+))?|([0-9.]+):([0-9]+)')
_PREFIX = re.compile(r"[\w/.~!$&'()*+;=:@%-]+", re.ASCII)


def _register(conf: Any) -> None:
    conf.register_opts(http_proxy_to_wsgi.OPTS, group='oslo_middleware')


class ProxyHeaders(contract.Middleware):
    """Uses ``Forwarded`` and ``X-Forwarded-*`` if the option is set.

    ``[oslo_middleware] enable_proxy_headers_parsing`` must be off if clients can connect
    to the service directly, since they could forge these headers.  Of several proxies, the
    one that is nearest to the client counts.  A value that cannot be used is ignored.
    """

    LIBRARY_OPTS = (_register,)

    def wrap(self, app: WSGIApp) -> WSGIApp:
        if not self.conf.oslo_middleware.enable_proxy_headers_parsing:
            return app

        def with_proxy_headers(environ: MutableMapping[str, Any],
                               start_response: Callable[..., Any]) -> Iterable[bytes]:
            if not HEADERS.isdisjoint(environ):
                _apply(environ)
            return app(environ, start_response)

        return with_proxy_headers


def _apply(environ: MutableMapping[str, Any]) -> None:
    forwarded = environ.get('HTTP_FORWARDED')
    seen = parse_forwarded(forwarded) if forwarded else {
        name: _first(environ.get(f'HTTP_X_FORWARDED_{name.upper()}', ''))
        for name in ('proto', 'host', 'for')}
    if (scheme := seen.get('proto', '').lower()) in SCHEMES:
        environ['wsgi.url_scheme'] = scheme
    if _HOST.fullmatch(host := seen.get('host', '')):
        environ['HTTP_HOST'] = host
    if address := _address(seen.get('for', '')):
        environ['REMOTE_ADDR'], port = address
        if port:
            environ['REMOTE_PORT'] = port
    prefix = _first(environ.get('HTTP_X_FORWARDED_PREFIX', ''))
    if _PREFIX.fullmatch(prefix) and (names := [name for name in prefix.split('/') if name]):
        environ['SCRIPT_NAME'] = f'/{"/".join(names)}{environ.get("SCRIPT_NAME", "")}'


def parse_forwarded(header: str) -> Mapping[str, str]:
    """Return each parameter of ``Forwarded`` as the first proxy that sends it has it.

    :returns: names in lower case; nothing if the header is malformed.

    Source: RFC 7239, section 4.
    """
    seen: dict[str, str] = {}
    position = 0
    while position < len(header):
        match = _PARAMETER.match(header, position)
        if match is None:
            return {}
        name, quoted, plain = match.groups()
        if name:
            value = plain.strip() if quoted is None else _ESCAPE.sub(r'\1', quoted)
            seen.setdefault(name.lower(), value)
        position = match.end()
    return seen


def _first(header: str) -> str:
    return header.partition(',')[0].strip()


def _address(node: str) -> tuple[str, str | None] | None:
    """Return the address and the port of a node; None if it does not name an address."""
    bracketed, port, plain, plain_port = (
        match.groups() if (match := _NODE.fullmatch(node)) else (None, None, node, None))
    try:
        return str(ipaddress.ip_address(bracketed or plain)), port or plain_port
    except ValueError:      # such as "unknown" or "_hidden"
        return None
