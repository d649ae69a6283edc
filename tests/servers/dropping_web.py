"""A web server with one file, which drops connections, lies, and counts what it sends."""

import dataclasses
import re
import socket
import struct
import time

from tests.servers import web


@dataclasses.dataclass
class Site:
    """How the server behaves; a test may change it while the server runs.

    ``drop`` is the number of bytes after which a response ends, each time or ``drops`` times.
    ``reset`` ends it with an error of TCP.  ``stall`` is the number of bytes after which a
    response waits for the end of the server.  ``length`` replaces the true Content-Length; None
    means none, and ``chunked`` is the other way to do without.  ``pages`` limits the bytes of
    a range.  ``pause`` is the number of seconds before each answer.  ``statuses`` are answered
    first.  ``record`` is the answer to all paths but those that end with ``/file``.
    """

    data: bytes
    drop: int | None = None
    drops: int = 1 << 30
    reset: bool = False
    stall: int | None = None
    ranges: bool = True
    if_range: bool = True
    etag: str | None = '"one"'
    changed: str | None = None
    length: int | None = -1
    total: str | None = None
    chunked: bool = False
    encoding: str | None = None
    pages: int | None = None
    pause: float = 0
    statuses: list = dataclasses.field(default_factory=list)
    record: bytes | None = None


class _Handler(web.Handler):

    def _answer(self):
        head = web.read_head(self.rfile)
        if head is None:
            return False
        (_, path, _), headers = head
        asked = {':path': path, **headers}
        server, site = self.server, self.server.site
        server.requests.append(asked)
        if site.statuses:
            self.wfile.write(b'HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n' % site.statuses.pop(0))
            return True
        if site.record is not None and not asked[':path'].endswith('/file'):
            self.wfile.write(b'HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n%s' % (
                len(site.record), site.record))
            return True
        start, stop = self._range(site, asked)
        if start is not None and start >= len(site.data):
            self.wfile.write(b'HTTP/1.1 416 x\r\nContent-Range: bytes */%d\r\n'
                             b'Content-Length: 0\r\n\r\n' % len(site.data))
            return True
        body = memoryview(site.data)[start or 0:stop]
        time.sleep(site.pause)
        self.wfile.write(self._head(site, start, body).encode('latin-1'))
        return self._send(site, body)

    def _range(self, site, asked):
        found = re.fullmatch(r'bytes=(\d+)-', asked.get('range', ''))
        if not found or not site.ranges or (
                site.if_range and asked.get('if-range') not in (None, site.etag, site.changed)):
            return None, len(site.data)
        start = int(found[1])
        return start, len(site.data) if site.pages is None else start + site.pages

    def _head(self, site, start, body):
        fields = {'ETag': site.etag, 'Last-Modified': site.changed,
                  'Date': 'Mon, 30 Nov 2026 12:00:00 GMT', 'Content-Encoding': site.encoding}
        if start is not None:
            fields['Content-Range'] = (f'bytes {start}-{start + len(body) - 1}/'
                                       f'{site.total or len(site.data)}')
        if site.chunked:
            fields['Transfer-Encoding'] = 'chunked'
        elif site.length is not None:
            fields['Content-Length'] = len(body) if site.length == -1 else site.length
        return f'HTTP/1.1 {200 if start is None else 206} x\r\n' + ''.join(
            f'{name}: {value}\r\n' for name, value in fields.items() if value is not None) + '\r\n'

    def _send(self, site, body):
        drops = site.drop is not None and len(body) > site.drop and site.drops > 0
        if drops:
            site.drops -= 1
        sent = body[:site.drop] if drops else body
        if stalls := site.stall is not None and len(sent) > site.stall:
            sent = sent[:site.stall]
        for begin in range(0, len(sent), 1 << 18):
            piece = sent[begin:begin + (1 << 18)]
            self.server.sent += len(piece)      # before the client can have it
            if site.chunked:
                self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
            else:
                self.wfile.write(piece)
        if stalls:
            self.server.stopped.wait()
            return False
        if not drops and site.chunked:
            self.wfile.write(b'0\r\n\r\n')
        if drops and site.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack('ii', 1, 0))
            self.connection.close()
        return not drops and site.length == -1


class _Server(web.Server):

    def __init__(self, site):
        super().__init__(_Handler)
        self.site = site
        self.sent = 0


def running(data, **behaviour):
    """Run a server with ``url``, ``site``, ``requests`` (their headers) and ``sent`` (bytes)."""
    return _Server(Site(data, **behaviour)).running()
