"""What the web servers of tests have in common."""

import contextlib
import socketserver
import threading


class Handler(socketserver.StreamRequestHandler):
    """Answers the requests of a connection, until ``_answer`` returns something false."""

    def handle(self):
        with contextlib.suppress(OSError):
            while self._answer():
                pass


class Server(socketserver.ThreadingTCPServer):
    """A server with ``url``, ``port``, and ``stopped``, an event for handlers that wait."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64
    block_on_close = False

    def __init__(self, handler):
        super().__init__(('127.0.0.1', 0), handler)
        self.requests = []
        self.stopped = threading.Event()
        self.port = self.server_address[1]
        self.url = f'http://127.0.0.1:{self.port}'

    @contextlib.contextmanager
    def running(self):
        """Serve while the block runs."""
        with self:
            thread = threading.Thread(target=self.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield self
            finally:
                self.stopped.set()
                self.shutdown()
                thread.join()


def read_head(file):
    """Return the words of the first line of a request, and its headers; None at the end."""
    line = file.readline(65_537).decode('latin-1').split()
    if len(line) != 3:
        return None
    headers = {}
    while header := file.readline(65_537).strip():
        name, _, value = header.decode('latin-1').partition(':')
        headers[name.lower()] = value.strip()
    return line, headers
