"""An HTTP proxy in front of one server that forwards requests, or injects faults."""

import contextlib
import dataclasses
import http.client
import http.server
import ssl
import threading

PASS = 'pass'
#: close the connection before the request reaches the server
CUT = 'cut'
#: let the server execute the request, and close the connection without a response
DROP_RESPONSE = 'drop response'
#: change one byte of the request's body
CORRUPT = 'corrupt'

CHUNK = 1 << 16
HOP_BY_HOP = {'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'expect'}


@dataclasses.dataclass(frozen=True)
class Respond:
    """Send this response; the server does not see the request."""

    status: int
    body: bytes = b''
    headers: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Truncate:
    """Forward ``after`` bytes of the response's body, and then close the connection."""

    after: int


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict
    body: bytes = dataclasses.field(repr=False)


class FaultProxy:
    """A running proxy.

    :ivar url: its endpoint.
    :ivar rule: called with each request, from many threads; returns one of the actions above.
    :ivar requests: all requests without bodies, in the order in which they were complete.
    """

    def __init__(self, url):
        self.url = url
        self.rule = lambda request: PASS
        self.requests = []

    def count(self, method, text=''):
        """Return the number of requests with this method, and ``text`` in their path."""
        return sum(request.method == method and text in request.path
                   for request in self.requests)

    def fail_first(self, times, action, *, method, text=''):
        """Set a rule: ``action`` for the first matching requests, others pass."""
        remaining = [times]
        lock = threading.Lock()

        def rule(request):
            if request.method == method and text in request.path:
                with lock:
                    remaining[0] -= 1
                    if remaining[0] >= 0:
                        return action
            return PASS
        self.rule = rule


@contextlib.contextmanager
def running(server, certificate=None):
    """Run a proxy while the block runs.

    :param server: URL of the server; requests keep the ``Host`` header of the client.
    :param certificate: paths ``(certificate, key)``, to use TLS.
    """
    host = server.partition('://')[2]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'
        disable_nagle_algorithm = True

        def handle_request(self):
            length = int(self.headers.get('Content-Length', 0))
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True
                return
            request = Request(self.command, self.path, dict(self.headers), body)
            proxy.requests.append(dataclasses.replace(request, body=b''))
            _execute(self, host, proxy.rule(request), request)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request

        def log_message(self, *args):
            """Suppress the log."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 100

        def handle_error(self, request, client_address):
            """Ignore broken connections, which are expected."""

    listener = Server(('127.0.0.1', 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        listener.socket = context.wrap_socket(listener.socket, server_side=True,
                                              do_handshake_on_connect=False)
    scheme = 'https' if certificate else 'http'
    proxy = FaultProxy(f'{scheme}://127.0.0.1:{listener.server_port}')
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def _execute(handler, host, action, request):
    if action == CUT:
        handler.close_connection = True
        return
    if isinstance(action, Respond):
        handler.send_response(action.status)
        for name, value in action.headers.items():
            handler.send_header(name, value)
        handler.send_header('Content-Length', str(len(action.body)))
        handler.end_headers()
        if request.method != 'HEAD':
            handler.wfile.write(action.body)
        return
    body = request.body
    if action == CORRUPT:
        body = body[:-1] + bytes([body[-1] ^ 1])
    server = http.client.HTTPConnection(host, timeout=60)
    try:
        server.putrequest(request.method, request.path, skip_host=True,
                          skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in HOP_BY_HOP:
                server.putheader(name, value)
        if body or request.method in ('PUT', 'POST'):
            server.putheader('Content-Length', str(len(body)))
        server.endheaders(body or None)
        response = server.getresponse()
        if action == DROP_RESPONSE:
            response.read()
            handler.close_connection = True
            return
        _forward(handler, response, request, action)
    finally:
        server.close()


def _forward(handler, response, request, action):
    handler.send_response(response.status)
    for name, value in response.headers.items():
        if name.lower() not in HOP_BY_HOP | {'date', 'server'}:
            handler.send_header(name, value)
    length = int(response.headers.get('Content-Length') or 0)
    known = response.headers.get('Content-Length') is not None or response.status == 204
    data = b'' if known else response.read()
    handler.send_header('Content-Length', str(length if known else len(data)))
    handler.end_headers()
    if request.method == 'HEAD':
        return
    handler.wfile.write(data)
    remaining = action.after if isinstance(action, Truncate) else length
    while remaining > 0 and (data := response.read(min(CHUNK, remaining))):
        handler.wfile.write(data)
        remaining -= len(data)
    if isinstance(action, Truncate):
        handler.close_connection = True
