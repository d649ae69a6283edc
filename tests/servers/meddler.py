"""An HTTP proxy in front of one server that passes everything on, or something worse."""

import contextlib
import dataclasses
import http.client
import http.server
import ssl
import threading

PASS = 'pass'
#: close the connection before the request reaches the server
CUT = 'cut'
#: let the server do it, and close the connection instead of telling
LOSE = 'lose'
#: change one byte of the request's body
SPOIL = 'spoil'
#: change one byte of the answer's body
ROT = 'rot'

PIECE = 1 << 16
HOP = {'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'expect'}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the server is said to have answered; it is not asked."""

    status: int
    body: bytes = b''
    headers: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Truncate:
    """Pass on so many bytes of the answer's body, and then close the connection."""

    after: int


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict
    body: bytes = dataclasses.field(repr=False)


class Meddler:
    """A running proxy.

    :ivar url: its endpoint.
    :ivar rule: called with each request, from many threads; returns one of the above.
    :ivar requests: all of them, in the order in which they were complete; without bodies.
    """

    def __init__(self, url):
        self.url = url
        self.rule = lambda request: PASS
        self.requests = []

    def count(self, method, text=''):
        """Requests with this method, and ``text`` in their path."""
        return sum(each.method == method and text in each.path for each in self.requests)

    def first(self, times, otherwise=PASS, *, method, text='', act):
        """Make a rule: ``act`` on the first matching requests only."""
        left = [times]
        lock = threading.Lock()

        def rule(request):
            if request.method == method and text in request.path:
                with lock:
                    left[0] -= 1
                    if left[0] >= 0:
                        return act
            return otherwise
        self.rule = rule


@contextlib.contextmanager
def proxy(server, certificate=None):
    """Run a proxy while the block runs.

    :param server: URL of the real one, which is asked as if nobody stood between: with the
        ``Host`` that the client has used.
    :param certificate: ``(certificate, key)``, both paths, to speak TLS.
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
            meddler.requests.append(dataclasses.replace(request, body=b''))
            _carry_out(self, host, meddler.rule(request), request)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request

        def log_message(self, *args):
            """Tests have no use for it."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 100

        def handle_error(self, request, client_address):
            """Connections break here all the time."""

    found = Server(('127.0.0.1', 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        found.socket = context.wrap_socket(found.socket, server_side=True,
                                           do_handshake_on_connect=False)
    meddler = Meddler(f'{"https" if certificate else "http"}://127.0.0.1:{found.server_port}')
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield meddler
    finally:
        found.shutdown()
        found.server_close()
        thread.join()


def _carry_out(handler, host, what, request):
    if what == CUT:
        handler.close_connection = True
        return
    if isinstance(what, Answer):
        handler.send_response(what.status)
        for name, value in what.headers.items():
            handler.send_header(name, value)
        handler.send_header('Content-Length', str(len(what.body)))
        handler.end_headers()
        if request.method != 'HEAD':
            handler.wfile.write(what.body)
        return
    body = request.body
    if what == SPOIL:
        body = body[:-1] + bytes([body[-1] ^ 1])
    server = http.client.HTTPConnection(host, timeout=60)
    try:
        server.putrequest(request.method, request.path, skip_host=True,
                          skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in HOP:
                server.putheader(name, value)
        if body or request.method in ('PUT', 'POST'):
            server.putheader('Content-Length', str(len(body)))
        server.endheaders(body or None)
        answer = server.getresponse()
        if what == LOSE:
            answer.read()
            handler.close_connection = True
            return
        _pass_on(handler, answer, request, what)
    finally:
        server.close()


def _pass_on(handler, answer, request, what):
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        if name.lower() not in HOP | {'date', 'server'}:
            handler.send_header(name, value)
    length = int(answer.headers.get('Content-Length') or 0)
    whole = answer.headers.get('Content-Length') is not None or answer.status == 204
    data = b'' if whole else answer.read()
    handler.send_header('Content-Length', str(length if whole else len(data)))
    handler.end_headers()
    if request.method == 'HEAD':
        return
    if what == ROT:
        data = answer.read()
        handler.wfile.write(data[:-1] + bytes([data[-1] ^ 1]))
        return
    handler.wfile.write(data)
    left = what.after if isinstance(what, Truncate) else length
    while left > 0 and (data := answer.read(min(PIECE, left))):
        handler.wfile.write(data)
        left -= len(data)
    if isinstance(what, Truncate):
        handler.close_connection = True
