"""A misbehaving web server and a proxy; both record their requests."""

import contextlib
import dataclasses
import gzip
import itertools
import re
import socket
import socketserver
import threading
import time
import urllib.parse

from tests.servers import web

DATA = bytes(number % 251 for number in range(5000))


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict


class _Handler(web.Handler):

    def _answer(self):
        request = _read(self.rfile)
        if request is None:
            return False
        self.server.requests.append(request)
        name = request.path.partition('?')[0].strip('/').split('/')[0].replace('-', '_')
        return getattr(self, f'_{name}')(request)

    def _respond(self, status, *headers, body=b'', close=False):
        text = ''.join(f'{header}\r\n' for header in headers)
        self.wfile.write(f'HTTP/1.1 {status} x\r\n{text}\r\n'.encode() + body)
        return not close

    def _data(self, request):
        """A correct response."""
        return self._whole_or_part(request, {})

    def _whole_or_part(self, request, overrides):
        found = re.match(r'bytes=(\d+)-(\d*)', request.headers.get('range', ''))
        first, last = (int(found[1]), int(found[2] or 4999)) if found else (0, 4999)
        body = b'' if request.method == 'HEAD' else DATA[first:last + 1]
        fields = {'Content-Length': len(DATA[first:last + 1])}
        if found:
            fields['Content-Range'] = f'bytes {first}-{min(last, 4999)}/5000'
        fields |= overrides
        return self._respond(206 if found else 200, *(
            f'{name}: {value}' for name, value in fields.items() if value is not None), body=body)

    # redirects

    def _loop(self, request):
        return self._respond(302, 'Location: /loop', 'Content-Length: 0')

    def _hops(self, request):
        _, _, remaining, status = request.path.split('/')
        location = f'/hops/{int(remaining) - 1}/{status}' if int(remaining) else '/data'
        return self._respond(status, f'Location: {location}', 'Content-Length: 3', body=b'bye')

    def _to(self, request):
        location = urllib.parse.unquote(request.path.partition('?')[2])
        return self._respond(302, f'Location: {location}', 'Content-Length: 0')

    def _no_location(self, request):
        return self._respond(302, 'Content-Length: 0')

    # wrong responses

    def _no_range(self, request):
        request.headers.pop('range', None)
        return self._whole_or_part(request, {})

    def _no_range_and_length(self, request):
        body = b'' if request.method == 'HEAD' else DATA
        return self._respond(200, 'Connection: close', body=body, close=True)

    def _other_range(self, request):
        return self._whole_or_part(request, {'Content-Range': 'bytes 7-1006/5000'})

    def _short_range(self, request):
        return self._whole_or_part(request, {'Content-Range': 'bytes 0-1/5000',
                                             'Content-Length': 2})

    def _no_content_range(self, request):
        return self._whole_or_part(request, {'Content-Range': None})

    def _no_total(self, request):
        return self._whole_or_part(request, {'Content-Range': 'bytes 0-0/*'})

    def _never_satisfied(self, request):
        if 'range' not in request.headers:
            return self._data(request)
        return self._respond(416, 'Content-Range: bytes */5000', 'Content-Length: 0')

    def _short(self, request):
        body = b'' if request.method == 'HEAD' else DATA[:100]
        return self._respond(200, 'Content-Length: 5000', body=body, close=True)

    def _chunked(self, request):
        body = b'' if request.method == 'HEAD' else b'%x\r\n%s\r\n0\r\n\r\n' % (len(DATA), DATA)
        return self._respond(200, 'Transfer-Encoding: chunked', body=body)

    def _chunked_and_length(self, request):
        body = b'' if request.method == 'HEAD' else b'%x\r\n%s\r\n0\r\n\r\n' % (len(DATA), DATA)
        return self._respond(200, 'Transfer-Encoding: chunked', 'Content-Length: 7', body=body)

    def _chunked_cut(self, request):
        return self._respond(200, 'Transfer-Encoding: chunked', body=b'%x\r\n%s' % (
            len(DATA), DATA[:100]), close=True)

    def _head_refused(self, request):
        if request.method == 'HEAD':
            return self._respond(405, 'Content-Length: 7')
        return self._data(request)

    def _head_of_zero(self, request):
        if request.method == 'HEAD':
            return self._respond(200, 'Content-Length: 0')
        return self._data(request)

    def _empty(self, request):
        if 'range' in request.headers:
            return self._respond(416, 'Content-Range: bytes */0', 'Content-Length: 0')
        return self._respond(200, 'Content-Length: 0')

    def _two_lengths(self, request):
        return self._respond(200, 'Content-Length: 10', 'Content-Length: 20', close=True)

    def _zipped(self, request):
        body = gzip.compress(DATA)
        return self._respond(200, 'Content-Encoding: gzip', f'Content-Length: {len(body)}',
                         body=b'' if request.method == 'HEAD' else body)

    def _status(self, request):
        return self._respond(request.path.rpartition('/')[2], 'Content-Length: 0')

    def _garbage(self, request):
        self.wfile.write(b'\x16\x03\x01 malformed\r\n\r\n')

    # endless responses

    def _headers(self, request):
        self.wfile.write(b'HTTP/1.1 200 x\r\n')
        for number in itertools.count():
            self.wfile.write(b'X-%d: y\r\n' % number)

    def _long_header(self, request):
        self.wfile.write(b'HTTP/1.1 200 x\r\nX-Long: ')
        while True:
            self.wfile.write(bytes(4096).replace(b'\0', b'x'))

    def _continue(self, request):
        while True:
            self.wfile.write(b'HTTP/1.1 100 Continue\r\n\r\n' * 100)

    def _slow_head(self, request):
        for byte in b'HTTP/1.1 200 x\r\nX-Slow: ' + bytes(1000).replace(b'\0', b'x'):
            self.wfile.write(bytes([byte]))
            time.sleep(0.02)

    def _slow_body(self, request):
        self._respond(200, f'Content-Length: {len(DATA)}')
        for byte in DATA:
            self.wfile.write(bytes([byte]))
            time.sleep(0.02)

    def _stalls(self, request):
        self._respond(200, f'Content-Length: {len(DATA)}', body=DATA[:100])
        self.server.stopped.wait(30)

    def _stalls_chunked(self, request):
        self._respond(200, 'Transfer-Encoding: chunked', body=b''.join(
            b'1\r\n%c\r\n' % byte for byte in DATA[:100]))
        self.server.stopped.wait(30)

    def _silent(self, request):
        self.server.stopped.wait(30)

    # connections

    def _closes(self, request):
        """A correct response, after which the connection is closed."""
        self._data(request)
        self.connection.shutdown(socket.SHUT_RDWR)

    def _smuggled(self, request):
        """A second response after the requested one."""
        self._respond(200, 'Content-Length: 4', body=b'1234')
        return self._respond(200, 'Content-Length: 4', body=b'evil')


class _ProxyHandler(socketserver.StreamRequestHandler):

    def handle(self):
        with contextlib.suppress(OSError):
            request = _read(self.rfile)
            self.server.requests.append(request)
            if request.method == 'CONNECT':
                self.wfile.write(b'HTTP/1.1 200 x\r\n\r\n')
                host, _, port = request.path.rpartition(':')
                rest = b''
            else:
                url = urllib.parse.urlsplit(request.path)
                host, port = url.hostname, url.port
                rest = f'{request.method} {url.path} HTTP/1.1\r\n' + ''.join(
                    f'{name}: {value}\r\n' for name, value in request.headers.items()
                    if name != 'connection') + 'Connection: close\r\n\r\n'
                rest = rest.encode()
            address = self.server.hosts.get(host, host), int(port)
            with socket.create_connection(address) as target:
                target.sendall(rest)
                back = threading.Thread(target=_copy, args=(target, self.connection))
                back.start()
                _copy(self.connection, target)
                back.join()


class _Server(web.Server):

    def __init__(self, handler):
        super().__init__(handler)
        self.connections = 0
        self.hosts = {}

    def process_request(self, request, client_address):
        self.connections += 1
        super().process_request(request, client_address)


def running(handler=_Handler):
    """Run a server with ``url``, ``port``, ``requests`` and ``connections`` (a number)."""
    return _Server(handler).running()


def proxy():
    """Run a proxy; ``hosts`` has the addresses of host names that only it resolves."""
    return running(_ProxyHandler)


def _read(file):
    head = web.read_head(file)
    if head is None:
        return None
    (method, path, _), headers = head
    return Request(method, path, headers)


def _copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
