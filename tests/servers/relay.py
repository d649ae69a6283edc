"""A TCP relay to a server whose connections can be held or closed at any point."""

import contextlib
import re
import socket
import socketserver
import threading


class Relay(socketserver.ThreadingTCPServer):
    """Listens on a free port of loopback.

    :ivar cut: called with each piece of data and its direction, ``'up'`` to the server or
        ``'down'``; if it returns true, both connections are closed.  It may wait.
    :ivar seen: the first line of each request.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target):
        host, _, port = target.rpartition('://')[2].partition(':')
        self.target = host, int(port)
        self.cut = None
        self.seen = []
        super().__init__(('127.0.0.1', 0), _Handler)
        self.url = f'http://127.0.0.1:{self.server_address[1]}'


class _Handler(socketserver.BaseRequestHandler):

    def handle(self):
        with socket.create_connection(self.server.target) as server:
            for end in server, self.request:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            down = threading.Thread(target=self._forward, args=(server, self.request, 'down'))
            down.start()
            self._forward(self.request, server, 'up')
            down.join()

    def _forward(self, source, target, direction):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if direction == 'up':
                    self.server.seen += re.findall(rb'(?:PUT|GET|HEAD|DELETE|POST) \S+(?= HTTP)',
                                                   data)
                cut = self.server.cut
                if cut is not None and cut(data, direction):
                    break
                target.sendall(data)
        for end in source, target:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relay(target):
    """Run a relay to the server at ``target``, a URL without path, while the block runs."""
    with Relay(target) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
