"""What goes out: gunicorn's response, with fewer system calls and honest lengths."""

import os
import stat
import time

from gunicorn import util
from gunicorn.http import wsgi

from glancelite.server.connection import ClientGone

BLOCK = 1 << 18             # bytes read at once where the kernel cannot send a file
SENDFILE_MAX = 1 << 30      # bytes that one system call is asked to send


class FileWrapper(wsgi.FileWrapper):
    """``wsgi.file_wrapper``: sent from its position on, as far as Content-Length says.

    After sending, the file's position tells how far it came.
    """

    def __init__(self, filelike, blksize=BLOCK):
        super().__init__(filelike, max(blksize, BLOCK))


class Clock:
    """The Date header, written anew once per second."""

    def __init__(self):
        self._written = (None, None)

    def date(self):
        second, text = self._written
        now = int(time.time())
        if now != second:
            text = util.http_date(now)
            self._written = (now, text)
        return text


class Response(wsgi.Response):
    """Its head goes out together with the first piece, and without names of software."""

    def __init__(self, req, conn, cfg, clock):
        super().__init__(req, conn.sock, cfg)
        self._conn = conn
        self._clock = clock

    @property
    def framed(self):
        """Whether the client can tell that the body arrived whole."""
        return self.chunked or self.response_length is not None

    def should_close(self):
        return super().should_close() or not self.req.body.worth_dropping

    def send_headers(self):
        """Not yet: see `_head`."""

    def _head(self):
        if self.headers_sent:
            return b''
        lines = [f'HTTP/1.{self.req.version[1]} {self.status}', f'Date: {self._clock.date()}']
        lines += [f'{name}: {value}' for name, value in self.headers]
        if self.chunked:
            lines.append('Transfer-Encoding: chunked')
        if self.should_close():
            self.must_close = True
            lines.append('Connection: close')
        elif self.req.version < (1, 1):
            lines.append('Connection: keep-alive')
        self.headers_sent = True
        return '\r\n'.join([*lines, '', '']).encode('latin-1')

    def _emit_body(self, data):
        head = self._head()
        if self.chunked:
            self._conn.send(head + b'%x\r\n' % len(data), data, b'\r\n')
        elif head:
            self._conn.send(head, data)
        else:
            self._conn.send(data)

    def write_file(self, respiter):
        source = respiter.filelike
        span = None if self.headers_sent else _span(source)
        if span is None:
            for piece in respiter:
                self.write(piece)
            return
        handle, at, size = span
        if self._omits_body:
            return
        if self.response_length is None:
            self.headers.append(('Content-Length', str(size)))
            self.response_length, self.chunked = size, False
        begin, end = at, at + self.response_length
        self._conn.cork(True)
        try:
            self._conn.send(self._head())
            while at < end:
                if self._conn.can_sendfile:
                    sent = self._send_file(handle, at, end - at)
                else:
                    block = os.pread(handle, min(end - at, respiter.blksize), at)
                    self._conn.send(block)
                    sent = len(block)
                if not sent:
                    raise OSError('the file is shorter than it was')
                at += sent
                self.sent += sent
        except ClientGone:
            raise
        except OSError as failure:
            if not hasattr(source, 'rest'):
                raise
            self._conn.cork(False)      # the others may come slowly
            for piece in source.rest(at - begin, failure):      # from another copy of it
                self.write(piece)
        finally:
            self._conn.cork(False)
            source.seek(at)

    def _send_file(self, handle, at, size):
        try:
            return os.sendfile(self.sock.fileno(), handle, at, min(size, SENDFILE_MAX))
        except (ConnectionError, TimeoutError, BlockingIOError) as exc:
            raise ClientGone(exc) from exc

    def close(self):
        rest = self._head() + (b'0\r\n\r\n' if self.chunked else b'')
        if rest:
            self._conn.send(rest)
        if self.cut_short:
            self.must_close = True

    @property
    def cut_short(self):
        """Whether the application gave less than it had announced."""
        return (self.response_length is not None and not self._omits_body
                and self.sent < self.response_length)


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
