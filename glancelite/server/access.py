"""The access log: one line for each answer, in the common form or as JSON.

Lines are written together, some times per second, because each write costs more
than all else.  They do without the formatter of oslo.log, which costs more still, and
whose beginning would be in the way of the programs that read access logs.
"""

from __future__ import annotations

import collections
import json
import logging
import logging.handlers
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from oslo_config import cfg

NAME = 'glancelite.access'
COMMON, JSON, NONE = 'common', 'json', 'none'
REQUEST_ID = 'x-openstack-request-id'

_SPECIAL = re.compile(r'[^!#-\[\]-~]')
#: a name in a query with its value; no byte is looked at more than twice
_FIELD = re.compile(r'([?&][^=&?]*=)([^&]*)')
_SECRET = re.compile('token|secret|passw|credential|sig|key|auth', re.IGNORECASE)


def form(conf: cfg.ConfigOpts) -> str:
    """The form that the configuration chooses; JSON if all of the log is JSON."""
    if conf.access_log is None:
        return JSON if 'use_json' in conf and conf.use_json else COMMON
    return str(conf.access_log)


class AccessLog:
    """Writes to the logger ``glancelite.access``.

    Unless handlers are configured for that logger, its lines go where the others of
    the program go, without their beginning (date, level and so on).  Then they are
    written on `flush`.

    :param form: `COMMON` or `JSON`; with `NONE`, nothing is written.
    """

    def __init__(self, form: str):
        self._log = logging.getLogger(NAME)
        self._format: Callable[..., str] = (
            self._json if form == JSON else self._common)
        self._now = (0, '')
        self.is_on = form != NONE and self._log.isEnabledFor(logging.INFO)
        self._is_direct = not self._log.handlers
        self._lines: collections.deque[str] = collections.deque()

    def write(self, address: str, method: str | None, uri: str | None, version: int | None,
              status: int | None, size: int, seconds: float, request_id: str | None) -> None:
        """Write the line of a request; None is not known.

        :param version: the second digit of HTTP/1.1.
        :param size: of the body that was sent.
        """
        if not self.is_on:
            return
        line = self._format(address, method, uri, version, status, size, seconds, request_id)
        if self._is_direct:
            self._lines.append(line)
        else:
            self._log.handle(_record(line))

    def flush(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        for handler in _handlers(self._log):
            if isinstance(handler, logging.StreamHandler):
                _write(handler, lines)
                continue
            for line in lines:
                handler.handle(_record(line))

    def _common(self, address: str, method: str | None, uri: str | None, version: int | None,
                status: int | None, size: int, seconds: float, request_id: str | None) -> str:
        uri, request_id = uri or '', request_id or '-'
        if '?' in uri or not _is_plain(f'{address}{uri}{request_id}'):
            address, uri, request_id = _plain(address), _without_secrets(uri), _plain(request_id)
        request = '-' if method is None else f'{method} {uri} HTTP/1.{version}'
        return (f'{address} - - [{self._time()}] "{request}" {status or "-"} {size} '
                f'{seconds:.4f} {request_id}')

    def _json(self, address: str, method: str | None, uri: str | None, version: int | None,
              status: int | None, size: int, seconds: float, request_id: str | None) -> str:
        return json.dumps({
            'time': self._time(), 'address': address, 'method': method,
            'uri': uri and _without_secrets(uri),
            'protocol': None if version is None else f'HTTP/1.{version}',
            'status': status, 'bytes': size, 'seconds': round(seconds, 4),
            'request_id': request_id})

    def _time(self) -> str:
        second, text = self._now
        now = int(time.time())
        if now != second:
            text = time.strftime('%d/%b/%Y:%H:%M:%S %z', time.localtime(now))
            self._now = (now, text)
        return text


def request_id(headers: list[tuple[str, str]]) -> str | None:
    """The id in the headers of a response."""
    for name, value in reversed(headers):
        if name.lower() == REQUEST_ID:
            return value
    return None


def _without_secrets(uri: str) -> str:
    return _plain(_FIELD.sub(_without_secret, uri) if '?' in uri else uri)


def _without_secret(field: re.Match[str]) -> str:
    name, value = field.groups()
    # a value with another question mark may itself be an address with a query
    is_secret = _SECRET.search(name) or ('?' in value and _SECRET.search(value))
    return f'{name}***' if is_secret else field[0]


def _is_plain(text: str) -> bool:
    """Whether nothing in ``text`` matches ``_SPECIAL``, in a fraction of the time."""
    return (text.isascii() and text.isprintable()
            and ' ' not in text and '"' not in text and '\\' not in text)


def _plain(text: str) -> str:
    """``text`` as one word that ends no field of a line."""
    if _is_plain(text):
        return text
    return _SPECIAL.sub(lambda found: ''.join(f'%{byte:02X}' for byte in
                                              found[0].encode('latin-1', 'replace')), text)


def _handlers(log: logging.Logger | None) -> Iterator[logging.Handler]:
    """The handlers that get the informational messages of a logger."""
    while log is not None:
        yield from (handler for handler in log.handlers if handler.level <= logging.INFO)
        log = log.parent if log.propagate else None


def _record(line: str) -> logging.LogRecord:
    return logging.LogRecord(NAME, logging.INFO, '', 0, line, None, None)


def _write(handler: logging.StreamHandler[Any], lines: list[str]) -> None:
    """Write lines as they are where a handler writes its own."""
    handler.acquire()
    try:
        if isinstance(handler, logging.handlers.WatchedFileHandler):
            handler.reopenIfNeeded()
        handler.stream.write(handler.terminator.join([*lines, '']))
        handler.flush()
    except Exception:
        handler.handleError(_record(lines[-1]))
    finally:
        handler.release()
