"""Which HTTP status says what an error means, and how it is put to the client."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Mapping
from typing import Any

from webob import acceptparse

from glancelite import contract
from glancelite.api.message import REASONS, Response

LOG = logging.getLogger(__name__)

STATUS: Mapping[type[contract.Error], int] = {
    contract.Invalid: 400,
    contract.Unauthenticated: 401,
    contract.Forbidden: 403,
    contract.NotFound: 404,
    contract.Conflict: 409,
    contract.Gone: 410,
    contract.TooLarge: 413,
    contract.WrongContent: 415,
    contract.RangeNotSatisfiable: 416,
    contract.Unavailable: 503,
}


class Refusal(Exception):
    """What only HTTP knows: a status without a meaning in the contract, or with headers."""

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()):
        super().__init__(message)
        self.status = status
        self.headers = headers


def answer(environ: Mapping[str, Any], error: BaseException) -> Response:
    """The response that an exception becomes.

    What is no error of the contract is a fault of ours: it is logged, and the
    client learns nothing of it.
    """
    if isinstance(error, Refusal):
        return negotiated(environ, error.status, str(error), error.headers)
    for kind in type(error).__mro__:
        if kind in STATUS:
            return negotiated(environ, STATUS[kind], str(error), _headers(error))
    LOG.error('%s %r failed', environ.get('REQUEST_METHOD'), environ.get('PATH_INFO'),
              exc_info=error)
    return negotiated(environ, 500, 'The server met an internal error.')


def _headers(error: BaseException) -> tuple[tuple[str, str], ...]:
    if isinstance(error, contract.Unauthenticated) and error.challenge:
        return (('WWW-Authenticate', error.challenge),)
    if isinstance(error, contract.RangeNotSatisfiable):
        return (('Content-Range', f'bytes */{error.size}'),)
    return ()


def negotiated(environ: Mapping[str, Any], status: int, message: str,
               headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An error in the form that ``Accept`` asks for.

    HTML for ``*/*``, since clients exist which trip over flat JSON and send
    that; text for those who send no ``Accept`` or ask for something else.
    """
    accept = acceptparse.create_accept_header(environ.get('HTTP_ACCEPT', ''))
    offers = accept.acceptable_offers(['text/html', 'application/json'])
    kind = offers[0][0] if offers else 'text/plain'
    title = f'{status} {REASONS[status]}'
    if kind == 'application/json':
        text = json.dumps({'message': message, 'code': title, 'title': REASONS[status]},
                          ensure_ascii=False)
    elif kind == 'text/html':
        kind = 'text/html; charset=UTF-8'
        text = (f'<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n'
                f'  <h1>{title}</h1>\n  {html.escape(message, quote=False)}<br /><br />\n\n\n\n'
                ' </body>\n</html>')
    else:
        kind = 'text/plain; charset=UTF-8'
        text = f'{title}\n\n{message}\n\n   '
    body = text.encode(errors='replace')
    if environ['REQUEST_METHOD'] == 'HEAD':
        return Response.empty(status, (('Content-Type', kind), *headers))
    return Response(status, (('Content-Type', kind), *headers), body)
