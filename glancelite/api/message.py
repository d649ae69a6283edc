"""The classes of requests and responses that Pecan uses here.

Pecan looks for arguments of controllers in form bodies, JSON bodies and the query,
which reads bodies to their end, and returns 406 for an ``Accept`` that does not match.
The Image API needs none of this, so ``Request`` shows it no form, query or ``Accept``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any
from urllib.parse import quote

import webob

from glancelite import contract
from glancelite.api.json_body import JSONParser
from glancelite.support import buffers

#: bytes per read from the client
CHUNK = 1 << 20
#: bytes per read from a fast client: one whose last ``FAST_CHUNKS`` chunks were each consumed
#: at more than ``FAST_RATE`` bytes per second.  Each read has a fixed cost, but large chunks
#: cost memory, and only few clients can be that fast at a time.
LARGE_CHUNK = 8 << 20
FAST_RATE = 64 << 20
FAST_CHUNKS = 16
#: an answer of more bytes keeps what it is made of until the server has it
LARGE_ANSWER = 1 << 19
#: bytes per read of a JSON body
JSON_CHUNK = 1 << 16
#: bytes of a JSON body that are read even if its sender may do nothing with them
SHORT_JSON = 1024

_CODINGS = frozenset({'chunked', 'compress', 'deflate', 'gzip', 'identity'})

REASONS = {
    200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 206: 'Partial Content',
    300: 'Multiple Choices', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized',
    403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict', 410: 'Gone',
    413: 'Request Entity Too Large', 415: 'Unsupported Media Type',
    416: 'Request Range Not Satisfiable', 500: 'Internal Server Error',
    501: 'Not Implemented', 503: 'Service Unavailable',
}
#: a host in a URL, with or without a port
_HOST = re.compile(r'(?:\[[0-9A-Fa-f:.]+\]|[\w.~%-]+)(?::[0-9]{1,5})?', re.ASCII)
#: characters that a path in a URL can have
_PATH = "/%:@!$&'()*+,;="
_STATUS_LINES = {code: f'{code} {reason}' for code, reason in REASONS.items()}


class _NoArguments:

    def mixed(self) -> dict[str, str]:
        return {}


class Request:
    """A WSGI request that shows Pecan no body, query or ``Accept``.

    ``context`` is the caller; it is set when the request is routed.

    :param parser: for a JSON body.
    """

    __slots__ = ('_parser', 'context', 'environ', 'method', 'pecan')

    context: contract.Context
    accept = None
    content_type = ''
    GET = params = _NoArguments()

    def __init__(self, environ: MutableMapping[str, Any], parser: JSONParser):
        self.environ = environ
        self._parser = parser
        self.method: str = environ['REQUEST_METHOD']

    @property
    def path_info(self) -> str:
        """The path below the mount point, decoded.

        :raises Invalid: it is not UTF-8, or contains NUL.
        """
        path: str = self.environ['PATH_INFO']
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
        content_type: str = self.environ.get('CONTENT_TYPE', '')
        return content_type.partition(';')[0].strip().lower()

    @property
    def length(self) -> int | None:
        """``Content-Length`` in bytes; None if there is none or the body is chunked.

        :raises Invalid: it is not a number.
        """
        text: str | None = self.environ.get('CONTENT_LENGTH')
        if not text or 'chunked' in self.environ.get('HTTP_TRANSFER_ENCODING', '').lower():
            return None
        return parse_number(text, 'Content-Length')

    @property
    def has_body(self) -> bool:
        """Whether the request has a body.

        A ``Transfer-Encoding`` counts only with methods that usually have a body.

        Source: Image API v2.
        """
        if self.environ.get('CONTENT_LENGTH') not in (None, '', '0'):
            return True
        coding: str | None = self.environ.get('HTTP_TRANSFER_ENCODING')
        return (coding is not None and self.method in ('POST', 'PUT', 'PATCH')
                and coding.strip().lower() in _CODINGS)

    def chunks(self, most: int = LARGE_CHUNK,
               pool: buffers.Pool | None = None) -> Iterator[bytes]:
        """Read the body in chunks of at most ``most`` bytes.

        A chunk does not change while it is referenced.

        :param pool: for buffers, which a server may fill.
        :raises Invalid: the connection was lost, or the body is shorter than announced.
            Errors of the client must not look like errors of a store.
        """
        environ = self.environ
        read = environ['wsgi.input'].read
        remaining = self.length
        if (pool and environ.get('glancelite.readinto')
                and (remaining is None or remaining >= CHUNK)
                and hasattr(environ['wsgi.input'], 'readinto')):    # no middleware wrapped it
            read = buffers.Reader(environ['wsgi.input'].readinto, pool).read
        if remaining is None and not environ.get('wsgi.input_terminated'):
            if 'HTTP_TRANSFER_ENCODING' not in environ:
                return  # no body: a read might block for ever
            if 'uwsgi.version' in environ:
                read = _read_uwsgi
        size, began, fast = min(CHUNK, most), time.monotonic(), 0
        while remaining is None or remaining > 0:
            chunk = _read(read, size if remaining is None else min(size, remaining))
            if not chunk:
                if remaining is None:
                    return
                raise contract.Invalid(f'The body ended {remaining} bytes early.')
            if remaining is not None:
                remaining -= len(chunk)
            yield chunk
            now = time.monotonic()
            fast = fast + 1 if len(chunk) > FAST_RATE * (now - began) else 0
            size = min(LARGE_CHUNK if fast >= FAST_CHUNKS else CHUNK, most)
            began = now

    def data(self, pool: buffers.Pool) -> Iterator[bytes]:
        """Read the body as ``chunks`` does.

        With our server the result has a method ``watch``, see ``services.stream.watched``,
        unless a middleware wrapped the body.
        """
        chunks = self.chunks(pool=pool)
        watch = getattr(self.environ['wsgi.input'], 'watch', None)
        return chunks if watch is None else _Watchable(chunks, watch)

    def json(self, if_long: Callable[[], None] | None = None) -> Any:
        """Parse the body as JSON, regardless of ``Content-Type``.

        :param if_long: called before more than ``SHORT_JSON`` bytes are read; its errors pass.
        :raises Invalid: there is no body, or it is not a JSON object or array.
        :raises TooLarge: it is longer or has more elements than ``JSONParser`` allows.
        """
        if not self.has_body:
            raise contract.Invalid('Body expected in request.')
        chunks, length = self.chunks(JSON_CHUNK), self.length
        if if_long is not None and length is None:
            chunks = _announcing(chunks, if_long)
        elif if_long is not None and length is not None and length > SHORT_JSON:
            if_long()
        body = self._parser.parse(chunks, length)
        if not isinstance(body, dict | list):
            raise contract.Invalid('Unexpected body type. Expected list/dict.')
        return body

    def json_object(self, if_long: Callable[[], None] | None = None) -> dict[str, Any]:
        """Parse the body as a JSON object; raises as ``json`` does.

        :raises Invalid: it is not an object.
        """
        body = self.json(if_long)
        if not isinstance(body, dict):
            raise contract.Invalid('The body must be a JSON object.')
        return body


class _Watchable(Iterator[bytes]):
    """Chunks of a body that calls a function while it waits for its client."""

    def __init__(self, chunks: Iterator[bytes],
                 watch: Callable[[Callable[[], object]], None]):
        self._chunks = chunks
        self.watch = watch

    def __next__(self) -> bytes:
        return next(self._chunks)


def _announcing(chunks: Iterator[bytes], if_long: Callable[[], None]) -> Iterator[bytes]:
    """Yield the chunks; call ``if_long`` once when there are more than ``SHORT_JSON`` bytes."""
    size = 0
    for chunk in chunks:
        if size <= SHORT_JSON < size + len(chunk):
            if_long()
        size += len(chunk)
        yield chunk


def parse_number(text: str, header: str) -> int:
    """Parse a non-negative decimal number of at most 63 bits.

    :param header: name of the header, for the error.
    :raises Invalid: it is not such a number.
    """
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) >= 1 << 63:
        raise contract.Invalid(f'{header} must be a whole number.')
    return int(text)


def _read_uwsgi(count: int) -> bytes:
    """Read a chunk of a chunked body in uWSGI, where ``wsgi.input`` does not."""
    import uwsgi  # exists inside uWSGI only
    return uwsgi.chunked_read()


def _read(read: Callable[[int], bytes], count: int) -> bytes:
    try:
        return read(count)
    except OSError:
        raise contract.Invalid('The connection was lost before the body was complete.') from None


class _MadeOf(list[bytes]):
    """One piece of an answer, with what it is made of."""

    __slots__ = ('_made_of',)

    def __init__(self, piece: bytes, made_of: object):
        super().__init__((piece,))
        self._made_of = made_of


class Response(webob.Response):
    """A response with exactly the given headers.

    Pecan requires a WebOb response, but WebOb's constructor takes longer than all the
    rest of a request.

    :param body: bytes, or an iterable of bytes that the server closes.
    """

    _headers = None     # WebOb's view of the list, created on first use

    def __init__(self, status: int = 200, headers: Iterable[tuple[str, str]] = (),
                 body: bytes | Iterable[bytes] = b''):
        self._status = _STATUS_LINES[status]
        self._headerlist = list(headers)
        if isinstance(body, bytes):
            self._headerlist.append(('Content-Length', str(len(body))))
            body = (body,)
        self._app_iter = body

    def __call__(self, environ: MutableMapping[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(self._status, self._headerlist)
        return self._app_iter

    @classmethod
    def json(cls, body: bytes, status: int = 200, headers: Iterable[tuple[str, str]] = (),
             made_of: object = None) -> Response:
        """Return a response with encoded JSON.

        :param made_of: what holds memory that is counted, such as images.
        """
        response = cls(status, (('Content-Type', 'application/json'), *headers), body)
        if len(body) > LARGE_ANSWER:
            response._app_iter = _MadeOf(body, made_of)
        return response

    @classmethod
    def empty(cls, status: int = 204, headers: Iterable[tuple[str, str]] = ()) -> Response:
        """Return a response without a body or length, as for 204 and 304.

        Source: RFC 9110, section 8.6.
        """
        return cls(status, headers, ())


def encode_json(value: Any) -> bytes:
    """Encode JSON in raw UTF-8, with spaces after separators as in the reference."""
    return json.dumps(value, ensure_ascii=False).encode()


def base_url(environ: MutableMapping[str, Any], public_endpoint: str | None) -> str:
    """Return the URL of this service, without a slash at the end."""
    if public_endpoint:
        return public_endpoint.rstrip('/')
    scheme = 'https' if environ['wsgi.url_scheme'].lower() == 'https' else 'http'
    host = environ.get('HTTP_HOST', '')
    if not _HOST.fullmatch(host):
        name = environ['SERVER_NAME']
        host = f'{f"[{name}]" if ":" in name else name}:{environ["SERVER_PORT"]}'
    default = ':443' if scheme == 'https' else ':80'
    path = '/'.join(filter(None, environ.get('SCRIPT_NAME', '').split('/')))
    path = f'/{quote(path, safe=_PATH, encoding="latin-1")}' if path else ''
    return f'{scheme}://{host.removesuffix(default)}{path}'
