"""Translates exceptions into HTTP responses."""

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


class HTTPError(Exception):
    """An error response for which the contract has no error, or one with headers."""

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()):
        super().__init__(message)
        self.status = status
        self.headers = headers


def to_response(environ: Mapping[str, Any], error: BaseException) -> Response:
    """Return the response to an exception.

    An exception that is not an error of the contract is a defect: it is logged, and
    the response has status 500 without details.
    """
    if isinstance(error, HTTPError):
        return error_response(environ, error.status, str(error), error.headers)
    for kind in type(error).__mro__:
        if kind in STATUS:
            return error_response(environ, STATUS[kind], str(error), _headers(error))
    LOG.error('%s %r failed', environ.get('REQUEST_METHOD'), environ.get('PATH_INFO'),
              exc_info=error)
    return error_response(environ, 500, 'The server met an internal error.')


def _headers(error: BaseException) -> tuple[tuple[str, str], ...]:
    if isinstance(error, contract.Unauthenticated) and error.challenge:
        return (('WWW-Authenticate', error.challenge),)
    if isinstance(error, contract.RangeNotSatisfiable):
        return (('Content-Range', f'bytes */{error.size}'),)
    return ()


def error_response(environ: Mapping[str, Any], status: int, message: str,
                   headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return an error in the media type that ``Accept`` selects.

    HTML for ``*/*``, because some clients that send it cannot parse our JSON errors;
    plain text without ``Accept``, and for other media types.
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
