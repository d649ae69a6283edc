"""Cheap HTTP clients for many small requests: raw sockets, requests made beforehand."""

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


class Broken(Exception):
    """The server answered something that no measurement can be made of."""


class Target:
    """Where requests go, and what every one of them says."""

    def __init__(self, url, headers=()):
        parts = urllib.parse.urlsplit(url)
        self.url = url.rstrip('/')
        self.address = (parts.hostname, parts.port or 80)
        self.base = parts.path.rstrip('/')
        self.headers = dict(line.split(': ', 1) for line in headers)
        self._common = ''.join(f'{line}\r\n' for line in (
            f'Host: {parts.netloc}', 'Accept: application/json', *headers))

    def head(self, method, path, *extra):
        lines = ''.join(f'{line}\r\n' for line in extra)
        return f'{method} {self.base}{path} HTTP/1.1\r\n{self._common}{lines}\r\n'.encode()

    def request(self, method, path, body=None, content_type='application/json'):
        """One whole request as bytes; ``body`` is anything that JSON can say."""
        if body is None:
            return self.head(method, path)
        data = json.dumps(body).encode()
        return self.head(method, path, f'Content-Type: {content_type}',
                         f'Content-Length: {len(data)}') + data

    def connect(self, receive_buffer=None):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:       # before the connection, or the window is already offered
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(self.address)
        return sock

    def call(self, method, path, body=None, content_type='application/json'):
        """Ask once, on a connection of its own.

        :returns: ``(status, headers, body)``; the last two are bytes.
        """
        with self.connect() as sock:
            sock.sendall(self.request(method, path, body, content_type))
            return read_answer(sock)

    def json(self, method, path, body=None, expect=(200, 201)):
        status, _, answer = self.call(method, path, body)
        if status not in expect:
            raise Broken(f'{self.url}: {method} {path} answered {status}: {answer[:300]!r}')
        return json.loads(answer)


def read_head(sock):
    """Read up to the end of the headers.

    :returns: ``(status, headers, first bytes of the body)``.
    """
    head = b''
    while (end := head.find(b'\r\n\r\n')) < 0:
        more = sock.recv(1 << 16)
        if not more:
            raise Broken('the connection ended before the headers did')
        head += more
    return int(head[9:12]), head[:end + 2], head[end + 4:]


def read_answer(sock):
    status, headers, body = read_head(sock)
    if status == 204:
        return status, headers, b''
    length = LENGTH.search(headers)
    parts, got = [body], len(body)
    wanted = int(length[1]) if length else None
    while got != wanted:
        if wanted is None and CHUNKED.search(headers) and body_ends(parts):
            break
        more = sock.recv(1 << 18)
        if not more:
            break
        parts.append(more)
        got += len(more)
    body = b''.join(parts)
    return status, headers, unchunk(body) if CHUNKED.search(headers) else body


def body_ends(parts):
    return b''.join(parts[-2:]).endswith(b'0\r\n\r\n')


def unchunk(data):
    out, at = [], 0
    while True:
        end = data.index(b'\r\n', at)
        size = int(data[at:end].split(b';')[0], 16)
        if not size:
            return b''.join(out)
        out.append(data[end + 2:end + 2 + size])
        at = end + 4 + size


@dataclasses.dataclass
class Tally:
    """What some clients saw in one round."""

    requests: int = 0
    seconds: float = 0.0
    failed: int = 0
    latencies: list = dataclasses.field(default_factory=list)      # seconds, one each
    locations: list = dataclasses.field(default_factory=list)      # what was created
    payload: int = 0                                               # bytes of bodies


class _Client:
    """One connection in a closed loop: the next request follows the last answer."""

    __slots__ = ('_clients', '_poll', '_request', '_reused', '_target',
                 'began', 'got', 'head', 'sock', 'wanted')

    def __init__(self, target, poll, clients):
        self._target, self._poll, self._clients = target, poll, clients
        self.sock = None

    def ask(self, request):
        self.began = time.perf_counter()
        self._request, self._reused = request, self.sock is not None
        self.head, self.wanted, self.got = b'', None, 0
        if self.sock is None:
            self.sock = self._target.connect()
            self._clients[self.sock.fileno()] = self
            self._poll.register(self.sock, select.EPOLLIN)
        try:
            self.sock.sendall(request)
        except ConnectionError:
            self._again()

    def drop(self):
        self._poll.unregister(self.sock)
        del self._clients[self.sock.fileno()]
        self.sock.close()
        self.sock = None

    def _again(self):
        """Some servers close a connection after an answer without saying so."""
        if not self._reused:
            raise Broken('the connection ended before the headers did')
        began = self.began
        self.drop()
        self.ask(self._request)
        self.began = began

    def take(self):
        """Take what has arrived; True when the answer is whole."""
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            data = b''
        if self.wanted is None:
            if not data and not self.head:
                self._again()
                return False
            if not data:
                raise Broken('the connection ended before the headers did')
            self.head += data
            end = self.head.find(b'\r\n\r\n')
            if end < 0:
                return False
            length = LENGTH.search(self.head, 0, end + 2)
            self.wanted = int(length[1]) if length else (
                0 if self.head[9:12] == b'204' else -1)
            self.got = len(self.head) - end - 4
            self.head, data = self.head[:end + 2], self.head[end + 4:]
        else:
            self.got += len(data)
        if self.wanted >= 0:
            if not data and self.got < self.wanted:
                raise Broken('the connection ended before the body did')
            return self.got >= self.wanted
        return not data or data.endswith(b'0\r\n\r\n')


def hammer(target, requests, *, clients, seconds=None, count=None):
    """Keep ``clients`` connections busy from one thread.

    :param requests: whole requests as bytes; begun again when used up.
    :param seconds: for how long new ones are sent; or
    :param count: how many are sent.
    """
    tally, poll, live = Tally(), select.epoll(), {}
    source = itertools.islice(itertools.cycle(requests), count)
    begin = time.perf_counter()
    until = begin + (seconds if seconds is not None else 1e9)
    idle = [_Client(target, poll, live) for _ in range(clients)]
    busy = 0
    try:
        for client in idle:
            if (request := next(source, None)) is not None:
                client.ask(request)
                busy += 1
        while busy:
            events = poll.poll(TIMEOUT)
            if not events:
                raise Broken(f'{target.url}: no answer in {TIMEOUT:.0f} s')
            for number, _ in events:
                client = live[number]
                if not client.take():
                    continue
                now = time.perf_counter()
                _note(tally, client, now)
                if CLOSES.search(client.head) or client.wanted < 0:
                    client.drop()
                request = next(source, None) if now < until else None
                if request is None:
                    busy -= 1
                else:
                    client.ask(request)
    finally:
        tally.seconds = time.perf_counter() - begin
        for client in list(live.values()):
            client.drop()
        poll.close()
    return tally


def _note(tally, client, now):
    tally.requests += 1
    tally.latencies.append(now - client.began)
    tally.payload += client.got
    if client.head[9:10] not in b'23':
        tally.failed += 1
    elif client.head[9:12] == b'201' and (found := LOCATION.search(client.head)):
        tally.locations.append(found[1].decode())


def walk(target, path, pages):
    """Follow ``next`` links one after the other, as a client that lists all does."""
    tally, sock, begin = Tally(), None, time.perf_counter()
    while path and tally.requests < pages:
        sent = time.perf_counter()
        sock = sock or target.connect()
        sock.sendall(target.request('GET', path))
        status, headers, body = read_answer(sock)
        tally.latencies.append(time.perf_counter() - sent)
        tally.requests += 1
        tally.payload += len(body)
        if status != 200:
            raise Broken(f'{target.url}: page {tally.requests} answered {status}')
        if CLOSES.search(headers):
            sock.close()
            sock = None
        path = json.loads(body).get('next')
    tally.seconds = time.perf_counter() - begin
    if sock:
        sock.close()
    return tally
