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
from typing import Any, NamedTuple

from oslo_config import cfg

NAME = 'glancelite.access'
COMMON, JSON, NONE = 'common', 'json', 'none'
REQUEST_ID = 'x-openstack-request-id'

_PLAIN = re.compile(r'[!#-\[\]-~]+')
_SPECIAL = re.compile(r'[^!#-\[\]-~]')
#: a name in a query with its value; no byte is looked at more than twice
_FIELD = re.compile(r'([?&][^=&?]*=)([^&]*)')
_SECRET = re.compile('token|secret|passw|credential|sig|key|auth', re.IGNORECASE)


def form(conf: cfg.ConfigOpts) -> str:
    """The form that the configuration chooses; JSON if all of the log is JSON."""
    if conf.access_log is None:
        return JSON if 'use_json' in conf and conf.use_json else COMMON
    return str(conf.access_log)


class Entry(NamedTuple):
    """What is logged of a request; None is not known."""

    address: str
    method: str | None
    uri: str | None
    version: int | None     # of HTTP/1
    status: int | None
    size: int               # of the body that was sent
    seconds: float
    request_id: str | None


class AccessLog:
    """Writes to the logger ``glancelite.access``.

    Unless handlers are configured for that logger, its lines go where the others of
    the program go, without their beginning (date, level and so on).  Then they are
    written on `flush`.

    :param form: `COMMON` or `JSON`; with `NONE`, nothing is written.
    """

    def __init__(self, form: str):
        self._log = logging.getLogger(NAME)
        self._format: Callable[[Entry], str] = (
            self._json if form == JSON else self._common)
        self._now = (0, '')
        self.is_on = form != NONE and self._log.isEnabledFor(logging.INFO)
        self._is_direct = not self._log.handlers
        self._lines: collections.deque[str] = collections.deque()

    def write(self, entry: Entry) -> None:
        if not self.is_on:
            return
        line = self._format(entry)
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

    def _common(self, entry: Entry) -> str:
        request = ('-' if entry.method is None else
                   f'{entry.method} {_without_secrets(entry.uri or "")} HTTP/1.{entry.version}')
        return (f'{_plain(entry.address)} - - [{self._time()}] "{request}" '
                f'{entry.status or "-"} {entry.size} {entry.seconds:.4f} '
                f'{_plain(entry.request_id or "-")}')

    def _json(self, entry: Entry) -> str:
        return json.dumps({
            'time': self._time(), 'address': entry.address, 'method': entry.method,
            'uri': entry.uri and _without_secrets(entry.uri),
            'protocol': None if entry.version is None else f'HTTP/1.{entry.version}',
            'status': entry.status, 'bytes': entry.size, 'seconds': round(entry.seconds, 4),
            'request_id': entry.request_id})

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


def _plain(text: str) -> str:
    """``text`` as one word that ends no field of a line."""
    if _PLAIN.fullmatch(text):
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
