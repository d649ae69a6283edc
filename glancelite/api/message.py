"""The request as Pecan gets to see it, and the response as a server does.

Pecan wants to know more of a request than is good for the Image API: it reads
form and JSON bodies to its end in search of arguments for a controller, takes
arguments from the query, and answers 406 when ``Accept`` does not please it.
Therefore it is given a request that has neither form nor query nor ``Accept``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

import webob

from glancelite import contract
from glancelite.api import buffers

#: bytes per read from the client
CHUNK = 1 << 20
#: the same from a client whose last ``STEADY`` pieces were all taken at more than ``FAST`` bytes
#: a second: a piece costs something of its own, but the memory of large ones (and of what the
#: allocator keeps afterwards) is spent only where few can be that fast for long
LARGE = 8 << 20
FAST = 64 << 20
STEADY = 16
#: bytes of JSON that are read at most; ten times what 128 long properties need
JSON_LIMIT = 16 << 20

_CODINGS = frozenset({'chunked', 'compress', 'deflate', 'gzip', 'identity'})
#: escapes of JSON that databases and UTF-8 have no place for: NUL and surrogates
_DOUBTFUL = re.compile(rb'\\u(?:0000|[dD][89a-fA-F])')

REASONS = {
    200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 206: 'Partial Content',
    300: 'Multiple Choices', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized',
    403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict', 410: 'Gone',
    413: 'Request Entity Too Large', 415: 'Unsupported Media Type',
    416: 'Request Range Not Satisfiable', 500: 'Internal Server Error',
    501: 'Not Implemented', 503: 'Service Unavailable',
}
_STATUS_LINES = {code: f'{code} {reason}' for code, reason in REASONS.items()}


class _NoArguments:

    def mixed(self) -> dict[str, str]:
        return {}


class Request:
    """A WSGI request whose body, query and ``Accept`` Pecan keeps its hands off.

    ``context`` is the caller (a ``contract.Context``) from ``on_route`` on.
    """

    __slots__ = ('context', 'environ', 'method', 'pecan')

    accept = None
    content_type = ''
    GET = params = _NoArguments()

    def __init__(self, environ: MutableMapping[str, Any]):
        self.environ = environ
        self.method = environ['REQUEST_METHOD']

    @property
    def path_info(self) -> str:
        """The path below the mount point, decoded.

        :raises Invalid: it is not UTF-8.
        """
        path = self.environ['PATH_INFO']
        if not path.isascii():
            try:
                path = path.encode('latin-1').decode()
            except UnicodeError:
                raise contract.Invalid('The URL is not valid UTF-8.') from None
        if '\0' in path:
            raise contract.Invalid('The URL contains a NUL character.')
        return path

    @property
    def media_type(self) -> str:
        """The ``Content-Type`` without its parameters, in lower case; '' if there is none."""
        return self.environ.get('CONTENT_TYPE', '').partition(';')[0].strip().lower()

    @property
    def length(self) -> int | None:
        """``Content-Length`` in bytes; None if there is none or the body is chunked.

        :raises Invalid: it is not a number.
        """
        text = self.environ.get('CONTENT_LENGTH')
        if not text or 'chunked' in self.environ.get('HTTP_TRANSFER_ENCODING', '').lower():
            return None
        return whole_number(text, 'Content-Length')

    @property
    def has_body(self) -> bool:
        """Is there a body, as the Image API sees it?

        Source: Image API v2; a transfer coding counts for methods which have bodies by nature.
        """
        if self.environ.get('CONTENT_LENGTH') not in (None, '', '0'):
            return True
        coding = self.environ.get('HTTP_TRANSFER_ENCODING')
        return (coding is not None and self.method in ('POST', 'PUT', 'PATCH')
                and coding.strip().lower() in _CODINGS)

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces of at most ``LARGE`` bytes; nobody changes what somebody holds.

        Whatever goes wrong while it arrives is ``Invalid``, so that nobody
        takes the client's trouble for a store's.

        :raises Invalid: the client went away, or sent less than it had announced.
        """
        environ = self.environ
        read = environ['wsgi.input'].read
        left = self.length
        if (environ.get('glancelite.readinto') and (left is None or left >= CHUNK)
                and hasattr(environ['wsgi.input'], 'readinto')):    # and not wrapped by others
            read = buffers.Reader(environ['wsgi.input'].readinto).read
        if left is None and not environ.get('wsgi.input_terminated'):
            if 'HTTP_TRANSFER_ENCODING' not in environ:
                return  # no body: a read might wait for ever
            if 'uwsgi.version' in environ:
                read = _read_by_uwsgi
        size, began, steady = CHUNK, time.monotonic(), 0
        while left is None or left > 0:
            chunk = _received(read, size if left is None else min(size, left))
            if not chunk:
                if left is None:
                    return
                raise contract.Invalid(f'The body ended {left} bytes early.')
            if left is not None:
                left -= len(chunk)
            yield chunk
            now = time.monotonic()
            steady = steady + 1 if len(chunk) > FAST * (now - began) else 0
            size = LARGE if steady >= STEADY else CHUNK
            began = now

    def json(self) -> Any:
        """The body as JSON, whatever its ``Content-Type`` claims.

        :raises Invalid: there is none, or it is no JSON object or array.
        :raises TooLarge: it is longer than ``JSON_LIMIT``.
        """
        if not self.has_body:
            raise contract.Invalid('The request needs a body of JSON.')
        size, pieces = 0, []
        for chunk in self.chunks():
            size += len(chunk)
            if size > JSON_LIMIT:
                raise contract.TooLarge(f'The body is longer than {JSON_LIMIT} bytes.')
            pieces.append(chunk)
        raw = b''.join(pieces)
        try:
            body = json.loads(raw.decode())
        except (ValueError, RecursionError):
            raise contract.Invalid('Malformed JSON in request body.') from None
        if not isinstance(body, dict | list):
            raise contract.Invalid('The body must be a JSON object or array.')
        if _DOUBTFUL.search(raw) and not all(map(_clean, _texts(body))):
            raise contract.Invalid('The body contains a NUL character or a lone surrogate.')
        return body

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object.

        :raises Invalid: it is none.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise contract.Invalid('The body must be a JSON object.')
        return body


def whole_number(text: str, what: str) -> int:
    """A decimal number from a header, from 0 to what 63 bits hold.

    :param what: name of the header, for the error.
    :raises Invalid: it is none.
    """
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) >= 1 << 63:
        raise contract.Invalid(f'{what} must be a whole number.')
    return int(text)


def _read_by_uwsgi(count: int) -> bytes:
    """uWSGI gives chunks to those only who ask for them in its own way."""
    import uwsgi  # exists inside uWSGI only
    return uwsgi.chunked_read()


def _received(read: Any, count: int) -> bytes:
    try:
        return read(count)
    except OSError:
        raise contract.Invalid('The client went away before the body was complete.') from None


def _texts(value: Any) -> Iterator[str]:
    """All strings in a JSON value; no recursion, since JSON can be nested deeply."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            left.extend(item)
        elif isinstance(item, dict):
            left.extend(item)
            left.extend(item.values())


def _clean(text: str) -> bool:
    return not any(char == '\0' or '\ud800' <= char <= '\udfff' for char in text)


class Response(webob.Response):
    """A response with the headers it is given and no others.

    It is a WebOb response because Pecan insists; WebOb's own constructor
    would take longer than everything else here.

    :param body: bytes, or an iterable of bytes that a server closes.
    """

    _headers = None     # WebOb's view of the list, made when somebody asks

    def __init__(self, status: int = 200, headers: Iterable[tuple[str, str]] = (),
                 body: bytes | Iterable[bytes] = b''):
        self._status = _STATUS_LINES[status]
        self._headerlist = list(headers)
        if isinstance(body, bytes):
            self._headerlist.append(('Content-Length', str(len(body))))
            body = (body,)
        self._app_iter = body

    def __call__(self, environ, start_response):
        start_response(self._status, self._headerlist)
        return self._app_iter

    @classmethod
    def json(cls, body: bytes, status: int = 200,
             headers: Iterable[tuple[str, str]] = ()) -> Response:
        """JSON that is encoded already."""
        return cls(status, (('Content-Type', 'application/json'), *headers), body)

    @classmethod
    def empty(cls, status: int = 204, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Nothing to say: 204 and 304 have no length either (RFC 9110, section 8.6)."""
        return cls(status, headers, ())


def encoded(value: Any) -> bytes:
    """JSON as the reference spaces it, in raw UTF-8."""
    return json.dumps(value, ensure_ascii=False).encode()


def base_url(environ: MutableMapping[str, Any], public_endpoint: str | None) -> str:
    """Where this service is reached, without a slash at the end."""
    if public_endpoint:
        return public_endpoint.rstrip('/')
    scheme = environ['wsgi.url_scheme']
    host = environ.get('HTTP_HOST') or f'{environ["SERVER_NAME"]}:{environ["SERVER_PORT"]}'
    default = ':443' if scheme == 'https' else ':80'
    return f'{scheme}://{host.removesuffix(default)}{environ.get("SCRIPT_NAME", "").rstrip("/")}'
