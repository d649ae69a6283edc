"""The access log: one line for each answer, in the common form or as JSON.

A line costs 15 µs.  With the formatter of oslo.log it would cost 70 µs, and its
beginning would be in the way of the programs that read access logs.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
import time
from collections.abc import Callable
from typing import NamedTuple

NAME = 'glancelite.access'
COMMON, JSON, NONE = 'common', 'json', 'none'
REQUEST_ID = 'x-openstack-request-id'

_PLAIN = re.compile(r'[!#-\[\]-~]+')
_SPECIAL = re.compile(r'[^!#-\[\]-~]')
_SECRET = re.compile(
    r'([?&][^=&]*(?:token|secret|passw|credential|sig|key|auth)[^=&]*=)[^&]*', re.IGNORECASE)


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
    the program go, without their beginning (date, level and so on).

    :param form: `COMMON` or `JSON`; with `NONE`, nothing is written.
    """

    def __init__(self, form: str):
        self._log = logging.getLogger(NAME)
        self._format: Callable[[Entry], str] = (
            self._json if form == JSON else self._common)
        self._now = (0, '')
        self.is_on = form != NONE and self._log.isEnabledFor(logging.INFO)
        if self.is_on and not self._log.handlers:
            self._log.addHandler(_WhereOthersGo())
            self._log.propagate = False

    def write(self, entry: Entry) -> None:
        if self.is_on:
            self._log.handle(logging.LogRecord(
                NAME, logging.INFO, '', 0, self._format(entry), None, None))

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
    return _plain(_SECRET.sub(r'\1***', uri) if '?' in uri else uri)


def _plain(text: str) -> str:
    """``text`` as one word that ends no field of a line."""
    if _PLAIN.fullmatch(text):
        return text
    return _SPECIAL.sub(lambda found: ''.join(f'%{byte:02X}' for byte in
                                              found[0].encode('latin-1', 'replace')), text)


class _WhereOthersGo(logging.Handler):
    """Writes lines as they are to the files and streams of the root logger."""

    def emit(self, record: logging.LogRecord) -> None:
        for handler in logging.getLogger().handlers:
            if not isinstance(handler, logging.StreamHandler):
                handler.handle(record)
                continue
            with handler.lock:      # type: ignore[union-attr]  # None only in half-built handlers
                try:
                    if isinstance(handler, logging.handlers.WatchedFileHandler):
                        handler.reopenIfNeeded()
                    handler.stream.write(record.msg + handler.terminator)
                    handler.flush()
                except Exception:
                    handler.handleError(record)
