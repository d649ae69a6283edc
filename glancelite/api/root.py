"""Versions: which are on offer, and which one a request means."""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from typing import Any

from glancelite import contract
from glancelite.api.message import Response, base_url, encoded

MEDIA_TYPE = 'application/vnd.openstack.images-'

#: (cache, multi-store) -> minor versions before those that everybody offers, in the
#: reference's order, of which clients depend on the first and on the current one
_LATER = {
    (True, True): (18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8),
    (True, False): (18, 17, 16, 15, 14, 9),
    (False, True): (15, 13, 12, 11, 10, 9, 8, 17),
    (False, False): (15, 9, 17),
}
_SLASHES = re.compile('//+')


def offered(*, cache: bool, multi_store: bool) -> list[tuple[str, str]]:
    """``(id, status)`` of every version, in the order of the version list."""
    minors = (*_LATER[cache, multi_store], *range(7, -1, -1))
    return [(f'v2.{minor}', 'CURRENT' if minor == max(minors) else 'SUPPORTED')
            for minor in minors]


class Versions:
    """Leads every version on offer to the same API, and the rest to the list of them."""

    def __init__(self, app: contract.middleware.WSGIApp, settings: Any):
        self._app = app
        self._offered = offered(cache=settings.cache, multi_store=settings.multi_store)
        self._names = frozenset({'v2', *(name for name, _ in self._offered)})
        self._public_endpoint = settings.public_endpoint

    def __call__(self, environ: MutableMapping[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get('PATH_INFO', '')
        by_media_type = environ.get('HTTP_ACCEPT', '').startswith(MEDIA_TYPE)
        if path.startswith('/v2/') and '//' not in path and not by_media_type:
            return self._app(environ, start_response)
        path = _SLASHES.sub('/', f'/{path}')
        first, slash, rest = path[1:].partition('/')
        if first == 'versions':
            return self._list(environ, 200)(environ, start_response)
        if by_media_type:
            first, slash, rest = environ['HTTP_ACCEPT'][len(MEDIA_TYPE):], '', path
        if first not in self._names:
            return self._list(environ, 300)(environ, start_response)
        environ['PATH_INFO'] = f'/v2{slash}{rest}'
        return self._app(environ, start_response)

    def _list(self, environ: MutableMapping[str, Any], status: int) -> Response:
        if environ['REQUEST_METHOD'] == 'HEAD':
            return Response.empty(status, (('Content-Type', 'application/json'),))
        links = [{'rel': 'self', 'href': f'{base_url(environ, self._public_endpoint)}/v2/'}]
        return Response.json(encoded({'versions': [
            {'id': name, 'status': word, 'links': links} for name, word in self._offered]}),
            status)
