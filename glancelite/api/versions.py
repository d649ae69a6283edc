"""The versions of the API: their list, and the version that a request selects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from glancelite import contract
from glancelite.api.message import Response, base_url, encode_json
from glancelite.assembly import Settings

MEDIA_TYPE = 'application/vnd.openstack.images-'

#: (cache, multi-store) -> minor versions before 2.7 to 2.0, in the order of the reference;
#: clients depend on the first one and on the current one
_OPTIONAL_MINORS = {
    (True, True): (18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8),
    (True, False): (18, 17, 16, 15, 14, 9),
    (False, True): (15, 13, 12, 11, 10, 9, 8, 17),
    (False, False): (15, 9, 17),
}
_SLASHES = re.compile('//+')


def offered_versions(*, cache: bool, multi_store: bool) -> list[tuple[str, str]]:
    """Return ``(id, status)`` of every version, in the order of the version list."""
    minors = (*_OPTIONAL_MINORS[cache, multi_store], *range(7, -1, -1))
    return [(f'v2.{minor}', 'CURRENT' if minor == max(minors) else 'SUPPORTED')
            for minor in minors]


class Versions:
    """Passes requests of every offered version to one API, and lists the versions."""

    def __init__(self, app: contract.middleware.WSGIApp, settings: Settings):
        self._app = app
        self._offered = offered_versions(cache=settings.cache, multi_store=settings.multi_store)
        self._names = frozenset({'v2', *(name for name, _ in self._offered)})
        self._public_endpoint = settings.public_endpoint

    def __call__(self, environ: MutableMapping[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
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
        return Response.json(encode_json({'versions': [
            {'id': name, 'status': state, 'links': links} for name, state in self._offered]}),
            status)
