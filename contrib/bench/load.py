"""HTTP clients with little overhead: raw sockets, prepared requests."""

import dataclasses
import itertools
import json
import re
import select
import socket
import time
import urllib.parse

TIMEOUT = 60.0
LENGTH = re.compile(rb'\r\ncontent-length: *(\d+)', re.IGNORECASE)
CLOSES = re.compile(rb'\r\nconnection: *close', re.IGNORECASE)
CHUNKED = re.compile(rb'\r\ntransfer-encoding: *chunked', re.IGNORECASE)
LOCATION = re.compile(rb'\r\nlocation: *(\S+)', re.IGNORECASE)


class UnexpectedAnswer(Exception):
    """The answer of the server makes the measurement useless."""


class Target:
    """The address of a server, and the headers of every request."""

    def __init__(self, url, headers=()):
        parts = urllib.parse.urlsplit(url)
        self.url = url.rstrip('/')
        self.address = (parts.hostname, parts.port or 80)
        self.base = parts.path.rstrip('/')
        self.headers = dict(line.split(': ', 1) for line in headers)
        self._common = ''.join(f'{line}\r\n' for line in (
            f'Host: {parts.netloc}', 'Accept: application/json', *headers))

    def head(self, method, path, *headers):
        """Return the request line and the headers, as bytes."""
        lines = ''.join(f'{line}\r\n' for line in headers)
        return f'{method} {self.base}{path} HTTP/1.1\r\n{self._common}{lines}\r\n'.encode()

    def request(self, method, path, body=None, content_type='application/json'):
        """Return a complete request as bytes; ``body`` is a JSON value."""
        if body is None:
            return self.head(method, path)
        data = json.dumps(body).encode()
        return self.head(method, path, f'Content-Type: {content_type}',
                         f'Content-Length: {len(data)}') + data

    def connect(self, receive_buffer=None):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:       # before connect(), which announces the window
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(self.address)
        return sock

    def call(self, method, path, body=None, content_type='application/json'):
        """Send one request on a new connection.

        :returns: ``(status, headers, body)``; the last two are bytes.
        """
        with self.connect() as sock:
            sock.sendall(self.request(method, path, body, content_type))
            return read_answer(sock)

    def json(self, method, path, body=None, expect=(200, 201)):
        status, _, answer = self.call(method, path, body)
        if status not in expect:
            raise UnexpectedAnswer(
                f'{self.url}: {method} {path} answered {status}: {answer[:300]!r}')
        return json.loads(answer)


def read_head(sock):
    """Read up to the end of the headers.

    :returns: ``(status, headers, first bytes of the body)``.
    """
    head = b''
    while (end := head.find(b'\r\n\r\n')) < 0:
        more = sock.recv(1 << 16)
        if not more:
            raise UnexpectedAnswer('the connection was closed before the end of the headers')
        head += more
    return int(head[9:12]), head[:end + 2], head[end + 4:]


def read_answer(sock):
    status, headers, body = read_head(sock)
    if status == 204:
        return status, headers, b''
    length = LENGTH.search(headers)
    parts, received = [body], len(body)
    expected = int(length[1]) if length else None
    while received != expected:
        if expected is None and CHUNKED.search(headers) and is_complete(parts):
            break
        more = sock.recv(1 << 18)
        if not more:
            break
        parts.append(more)
        received += len(more)
    body = b''.join(parts)
    return status, headers, unchunk(body) if CHUNKED.search(headers) else body


def is_complete(parts):
    """Return whether a chunked body has ended."""
    return b''.join(parts[-2:]).endswith(b'0\r\n\r\n')


def unchunk(data):
    chunks, offset = [], 0
    while True:
        end = data.index(b'\r\n', offset)
        size = int(data[offset:end].split(b';')[0], 16)
        if not size:
            return b''.join(chunks)
        chunks.append(data[end + 2:end + 2 + size])
        offset = end + 4 + size


@dataclasses.dataclass
class Results:
    """The results of all clients in one round."""

    requests: int = 0
    seconds: float = 0.0
    failed: int = 0
    latencies: list = dataclasses.field(default_factory=list)      # seconds of each request
    locations: list = dataclasses.field(default_factory=list)      # URLs that were created
    payload: int = 0                                               # bytes of bodies


class _Client:
    """One connection; the next request is sent after the last answer (closed loop)."""

    __slots__ = ('_clients', '_poll', '_request', '_reused', '_target',
                 'expected', 'head', 'received', 'sock', 'started')

    def __init__(self, target, poll, clients):
        self._target, self._poll, self._clients = target, poll, clients
        self.sock = None

    def send(self, request):
        self.started = time.perf_counter()
        self._request, self._reused = request, self.sock is not None
        self.head, self.expected, self.received = b'', None, 0
        if self.sock is None:
            self.sock = self._target.connect()
            self._clients[self.sock.fileno()] = self
            self._poll.register(self.sock, select.EPOLLIN)
        try:
            self.sock.sendall(request)
        except ConnectionError:
            self._resend()

    def close(self):
        self._poll.unregister(self.sock)
        del self._clients[self.sock.fileno()]
        self.sock.close()
        self.sock = None

    def _resend(self):
        """Send again: some servers close a connection after an answer without notice."""
        if not self._reused:
            raise UnexpectedAnswer('the connection was closed before the end of the headers')
        started = self.started
        self.close()
        self.send(self._request)
        self.started = started

    def receive(self):
        """Read what has arrived; return whether the answer is complete."""
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            data = b''
        if self.expected is None:
            if not data and not self.head:
                self._resend()
                return False
            if not data:
                raise UnexpectedAnswer('the connection was closed before the end of the headers')
            self.head += data
            end = self.head.find(b'\r\n\r\n')
            if end < 0:
                return False
            length = LENGTH.search(self.head, 0, end + 2)
            self.expected = int(length[1]) if length else (
                0 if self.head[9:12] == b'204' else -1)
            self.received = len(self.head) - end - 4
            self.head, data = self.head[:end + 2], self.head[end + 4:]
        else:
            self.received += len(data)
        if self.expected >= 0:
            if not data and self.received < self.expected:
                raise UnexpectedAnswer('the connection was closed before the end of the body')
            return self.received >= self.expected
        return not data or data.endswith(b'0\r\n\r\n')


def send_requests(target, requests, *, clients, seconds=None, count=None):
    """Send requests on ``clients`` connections, from one thread.

    :param requests: complete requests as bytes; repeated from the start after the last one.
    :param seconds: time after which no more requests are sent.
    :param count: number of requests to send.
    """
    results, poll, live = Results(), select.epoll(), {}
    source = itertools.islice(itertools.cycle(requests), count)
    begin = time.perf_counter()
    until = begin + (seconds if seconds is not None else 1e9)
    idle = [_Client(target, poll, live) for _ in range(clients)]
    busy = 0
    try:
        for client in idle:
            if (request := next(source, None)) is not None:
                client.send(request)
                busy += 1
        while busy:
            events = poll.poll(TIMEOUT)
            if not events:
                raise UnexpectedAnswer(f'{target.url}: no answer in {TIMEOUT:.0f} s')
            for number, _ in events:
                client = live[number]
                if not client.receive():
                    continue
                now = time.perf_counter()
                _record(results, client, now)
                if CLOSES.search(client.head) or client.expected < 0:
                    client.close()
                request = next(source, None) if now < until else None
                if request is None:
                    busy -= 1
                else:
                    client.send(request)
    finally:
        results.seconds = time.perf_counter() - begin
        for client in list(live.values()):
            client.close()
        poll.close()
    return results


def _record(results, client, now):
    results.requests += 1
    results.latencies.append(now - client.started)
    results.payload += client.received
    if client.head[9:10] not in b'23':
        results.failed += 1
    elif client.head[9:12] == b'201' and (location := LOCATION.search(client.head)):
        results.locations.append(location[1].decode())


def follow_pages(target, path, pages):
    """Follow ``next`` links, as a client that lists all images does."""
    results, sock, begin = Results(), None, time.perf_counter()
    while path and results.requests < pages:
        sent = time.perf_counter()
        sock = sock or target.connect()
        sock.sendall(target.request('GET', path))
        status, headers, body = read_answer(sock)
        results.latencies.append(time.perf_counter() - sent)
        results.requests += 1
        results.payload += len(body)
        if status != 200:
            raise UnexpectedAnswer(f'{target.url}: page {results.requests} answered {status}')
        if CLOSES.search(headers):
            sock.close()
            sock = None
        path = json.loads(body).get('next')
    results.seconds = time.perf_counter() - begin
    if sock:
        sock.close()
    return results
