"""One response: its head, its framing, and the way its bytes go out."""

import email.utils
import logging
import os
import re
import stat
import time

LOG = logging.getLogger('glancelite.server')

BLOCK = 1 << 18             # bytes read at once where the kernel cannot send a file
DRAINED = 1 << 16           # bytes of an unread request body that a connection is worth
SENDFILE_MAX = 1 << 30      # bytes that one system call is asked to send

_HEADERS = re.compile(r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t\x20-\x7e\x80-\xff]*\r\n)*")
_STATUS = re.compile(r'[1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?')
# The server's own business (PEP 3333).
_OURS = frozenset(('connection', 'keep-alive', 'proxy-authenticate', 'te', 'trailer',
                   'transfer-encoding', 'upgrade', 'date', 'server'))


class FileWrapper:
    """``wsgi.file_wrapper``: sent from its position on, as far as Content-Length says.

    After sending, the file's position tells how far it came.
    """

    def __init__(self, filelike, blksize=BLOCK):
        self.filelike = filelike
        self.blksize = max(blksize, BLOCK)
        if hasattr(filelike, 'close'):
            self.close = filelike.close

    def __iter__(self):
        return iter(lambda: self.filelike.read(self.blksize), b'')


class Clock:
    """The Date header, written anew once per second."""

    def __init__(self):
        self._second = None
        self._text = None

    def date(self):
        now = int(time.time())
        if now != self._second:
            self._text = email.utils.formatdate(now, usegmt=True)
            self._second = now
        return self._text


class Response:
    """Answers one request on ``wire``.

    :ivar started: the head is out, the status cannot change any more.
    :ivar framed: the client can tell whether the body arrived whole.
    :ivar close: the connection must not be used for another request.
    """

    def __init__(self, wire, clock, body, *, head_only, old, close):
        """
        :param body: the request's; one that is mostly unread costs the connection.
        :param head_only: the method is HEAD.
        :param old: the client speaks HTTP/1.0.
        """
        self.started = False
        self.framed = True
        self.close = close
        self._wire = wire
        self._clock = clock
        self._body = body
        self._head_only = head_only
        self._old = old
        self._status = None
        self._headers = ''
        self._length = None         # of the body; None as long as nobody knows
        self._announced = False     # the headers say the length
        self._bare = False          # no body is sent
        self._chunked = False
        self._sent = 0

    def run(self, app, environ):
        """Call the application and send what it answers.

        :raises ClientGone: it cannot be sent.
        """
        result = app(environ, self.start_response)
        try:
            if isinstance(result, FileWrapper):
                self._send_file(result)
            else:
                if type(result) in (list, tuple) and len(result) == 1:
                    self._know_length(len(result[0]))
                for piece in result:
                    self.write(piece)
            self._finish()
        finally:
            if hasattr(result, 'close'):
                result.close()

    def start_response(self, status, headers, exc_info=None):
        if exc_info:
            try:
                if self.started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._status is not None:
            raise AssertionError('start_response was called twice')
        if not _STATUS.fullmatch(status):
            raise ValueError(f'not an HTTP status: {status!r}')
        code = int(status[:3])
        without_body = code in (204, 304) or code < 200
        length, lines = None, []
        for name, value in headers:
            lower = name.lower()
            if lower == 'content-length':
                length = int(value)
                if without_body and code != 304:
                    continue
            elif lower in _OURS:
                if lower == 'connection' and value.lower() == 'close':
                    self.close = True
                continue
            lines.append(f'{name}: {value}\r\n')
        text = ''.join(lines)
        if not _HEADERS.fullmatch(text) or text.count('\n') != len(lines):
            raise ValueError('the application set a header that HTTP does not allow')
        self._status, self._headers, self._length = status, text, length
        self._announced = length is not None
        self._bare = without_body or self._head_only
        return self.write

    def refuse(self, status):
        """Answer with a bare error, as long as nothing was sent.

        :raises ClientGone: it cannot be sent.
        """
        text = f'{status}\n'.encode()
        self.close = True
        self._status = None
        self.start_response(status, [('Content-Type', 'text/plain; charset=utf-8'),
                                     ('Content-Length', str(len(text)))])
        self.write(text)

    def write(self, piece):
        if not piece:
            return
        parts = () if self.started else (self._head(),)
        if not self._bare:
            if self._length is not None:    # never more than announced
                piece = piece[:self._length - self._sent]
            self._sent += len(piece)
            if self._chunked:
                parts += (b'%x\r\n' % len(piece), piece, b'\r\n')
            elif piece:
                parts += (piece,)
        if parts:
            self._wire.send(*parts)

    def _send_file(self, wrapper):
        span = None if self.started else _span(wrapper.filelike)
        if span is None:
            for piece in wrapper:
                self.write(piece)
            return
        handle, at, size = span
        self._know_length(size)
        if self._bare:
            return
        source, end = wrapper.filelike, at + self._length
        self._wire.send(self._head(), more=at < end)
        try:
            while at < end:
                if self._wire.secure:
                    block = source.read(min(end - at, wrapper.blksize))
                    self._wire.send(block)
                    sent = len(block)
                else:
                    sent = self._wire.send_file(handle, at, min(end - at, SENDFILE_MAX))
                if not sent:
                    break
                at += sent
                self._sent += sent
        finally:
            source.seek(at)

    def _know_length(self, length):
        if self._length is None and not self._bare:
            self._length = length

    def _finish(self):
        if not self.started:
            self._know_length(0)
            self._wire.send(self._head())
        if self._chunked:
            self._wire.send(b'0\r\n\r\n')
        elif not self._bare and self._length is not None and self._sent < self._length:
            self.close = True
            LOG.error('the application announced %d bytes but gave %d',
                      self._length, self._sent)

    def _head(self):
        if self._status is None:
            raise AssertionError('the application did not call start_response')
        if not self._bare and self._length is None:
            self._chunked = self.framed = not self._old
        body = self._body
        if (not self.framed or not body.finished
                and (body.pending is None or body.pending > DRAINED or body.awaited)):
            self.close = True
        head = f'HTTP/1.1 {self._status}\r\nDate: {self._clock.date()}\r\n{self._headers}'
        if self._chunked:
            head += 'Transfer-Encoding: chunked\r\n'
        elif self._length is not None and not self._announced:
            head += f'Content-Length: {self._length}\r\n'
        if self.close:
            head += 'Connection: close\r\n'
        elif self._old:
            head += 'Connection: keep-alive\r\n'
        self.started = True
        return f'{head}\r\n'.encode('latin-1')


def _span(filelike):
    """``(handle, position, bytes left)`` of a plain file, None for anything else."""
    try:
        handle, position = filelike.fileno(), filelike.tell()
        status = os.fstat(handle)
    except (AttributeError, OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return handle, position, max(0, status.st_size - position)
