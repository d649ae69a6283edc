"""gunicorn's threaded worker: what transfers and many small requests need otherwise."""

import errno
import gc
import logging
import math
import os
import selectors
import signal
import socket
import struct
import sys
import time
import types
import urllib.parse
from functools import partial

from gunicorn import sock as gunicorn_sock
from gunicorn import util
from gunicorn.workers import gthread

from glancelite.server import body, guru_report
from glancelite.server.connection import ClientGone, Connection
from glancelite.server.response import Clock, FileWrapper, Response

MOMENT = 10         # milliseconds that a thread waits for a connection's next request
HESITATION = 2e-5   # seconds before a client is accepted, for each that is there already
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Worker(gthread.ThreadWorker):
    """Serves until it is told to stop.

    A connection holds a thread only while a request runs and for a moment
    after it: heads are gathered without waiting. SIGTERM lets running
    requests finish within ``graceful_shutdown_timeout``, SIGHUP (of the
    master, when others have taken over) however long they take.
    """

    def init_process(self):
        conf, cfg = self.app.conf, self.cfg
        # A plain object: gunicorn's own looks every name up through two functions.
        self.cfg = types.SimpleNamespace(
            **{name: setting.get() for name, setting in cfg.settings.items()},
            env=cfg.env, uid=cfg.uid, gid=cfg.gid, is_ssl=bool(cfg.is_ssl),
            client_socket_timeout=conf.client_socket_timeout,
            max_head=max(1 << 16, 4 * conf.max_header_line))
        self.cfg.graceful_timeout = math.inf    # the alarm watches it, see `handle_exit`
        self._grace = conf.graceful_shutdown_timeout
        self._context = gunicorn_sock.ssl_context(cfg) if self.cfg.is_ssl else None
        self._running = 0       # connections that hold a thread, or wait for one
        self._clock = Clock()
        for listener in self.sockets:
            _tune(listener, conf)
        self._server = self.sockets[0].getsockname()
        self._environ = {
            'wsgi.version': (1, 0),
            'wsgi.errors': sys.stderr,
            'wsgi.multithread': True,
            'wsgi.multiprocess': True,
            'wsgi.run_once': False,
            'wsgi.url_scheme': 'https' if self._context else 'http',
            'wsgi.file_wrapper': FileWrapper,
            'wsgi.input_terminated': True,
            'glancelite.sendfile': True,
            'glancelite.readinto': True,
            'SERVER_SOFTWARE': 'glancelite',
            'SERVER_NAME': self._server[0],
            'SERVER_PORT': str(self._server[1]),
            'SCRIPT_NAME': '',
        }
        super().init_process()

    def run(self):
        """Does not return: what the master has registered for its own end is not ours."""
        code = 1
        try:
            gc.collect()
            gc.freeze()     # what the application is made of need not be looked at again
            self.notify()
            os.kill(self.ppid, signal.SIGCHLD)      # the master looks who is ready
            super().run()
            code = 0
        except SystemExit:
            code = 0
        except BaseException:
            self.log.exception('a worker failed')
        finally:
            self._close()
            os._exit(code)

    def _close(self):
        try:
            if hasattr(self.wsgi, 'close'):
                self.wsgi.close()
        except Exception:
            self.log.exception('the application could not be closed')
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()

    # --- signals

    def init_signals(self):
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is for the master
        signal.signal(signal.SIGHUP, super().handle_exit)
        signal.signal(signal.SIGALRM, self.handle_alarm)
        signal.signal(signal.SIGUSR2, guru_report.attend(self.app.conf))

    def handle_exit(self, sig, frame):
        super().handle_exit(sig, frame)
        signal.setitimer(signal.ITIMER_REAL, max(self._grace, 0.001))

    def handle_alarm(self, sig, frame):
        self.log.warning('stopped with %d unfinished connections', self.nr_conns)
        self.handle_quit(sig, frame)

    def is_parent_alive(self):
        alive = super().is_parent_alive()
        if not alive:
            self.handle_exit(None, None)
        return alive

    # --- connections

    def set_accept_enabled(self, enabled):
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                while self.accept(listener):    # they were promised a connection
                    pass
                listener.close()

    def wait_for_and_dispatch_events(self, timeout):
        if self._running >= self.cfg.threads:
            super().set_accept_enabled(False)   # other workers may have a thread to spare
        super().wait_for_and_dispatch_events(timeout)

    def accept(self, listener):
        """:returns: True if a client was there."""
        if self.cfg.workers > 1:    # the worker with fewer clients comes first
            time.sleep(HESITATION * min(self.nr_conns, 10))
        try:
            sock, client = listener.accept()
            conn = Connection(self.cfg, sock, client, self._server, self._context)
        except OSError as exc:
            if exc.errno in FULL:
                self.log.error('cannot accept a client: %s', exc)
                time.sleep(0.1)     # somebody may hang up
            return False
        self.nr_conns += 1
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ,
                             partial(self.on_client_socket_readable, conn))
        return True

    def enqueue_req(self, conn):
        self._running += 1
        super().enqueue_req(conn)

    def finish_request(self, conn, fs):
        self._running -= 1
        super().finish_request(conn, fs)

    def handle(self, conn):
        """Answer what has arrived; True: the connection waits for more."""
        patience = 0
        while arrived := conn.head_arrived(patience):
            if not super().handle(conn):
                conn.part()
                return False
            patience = MOMENT if self._running < self.cfg.threads and self.alive else 0
        return arrived is None

    # --- requests

    def handle_request(self, req, conn):
        """True if another request may follow."""
        answer = Response(req, conn, self.cfg, self._clock)
        if (not self.alive or not self.cfg.keepalive
                or len(self.keepalived_conns) >= self.max_keepalived):
            answer.force_close()
        try:
            self._answer(req, conn, answer)
        except ClientGone:
            raise
        except Exception as exc:
            self._blame(exc, req, conn, answer)
            return False
        if answer.cut_short:
            self.log.error('%s %s: %d bytes were announced but %d given', req.method, req.uri,
                           answer.response_length, answer.sent)
        return not answer.should_close()

    def _answer(self, req, conn, answer):
        result = self.wsgi(self._environ_of(req, conn), answer.start_response)
        try:
            if isinstance(result, FileWrapper):
                answer.write_file(result)
            else:
                for piece in result:
                    answer.write(piece)
            answer.close()
        finally:
            if hasattr(result, 'close'):
                result.close()

    def _blame(self, exc, req, conn, answer):
        """Log a failure and answer it, if that is still possible."""
        if answer.headers_sent:
            self.log.error('%s %s failed', req.method, req.uri, exc_info=exc)
            if not answer.framed:
                conn.reset()
        elif isinstance(exc, body.BodyCutShort | body.BodyMalformed):
            self.log.info('%s %s: %s', req.method, req.uri, exc)
            util.write_error(conn.sock, 400, 'Bad Request', str(exc))
        else:
            self.handle_error(req, conn.sock, conn.client, exc)

    def _environ_of(self, req, conn):
        environ = self._environ.copy()
        for name, value in req.headers:
            if name == 'CONTENT-LENGTH':
                environ['CONTENT_LENGTH'] = value
            elif name == 'CONTENT-TYPE':
                environ['CONTENT_TYPE'] = value
            else:
                key = 'HTTP_' + name.replace('-', '_')
                environ[key] = f'{environ[key]},{value}' if key in environ else value
        path = req.path
        if '%' in path:
            path = urllib.parse.unquote_to_bytes(path).decode('latin-1')
        environ['PATH_INFO'] = path
        environ['REQUEST_METHOD'] = req.method
        environ['RAW_URI'] = req.uri
        environ['QUERY_STRING'] = req.query
        environ['SERVER_PROTOCOL'] = f'HTTP/1.{req.version[1]}'
        environ['REMOTE_ADDR'] = conn.client[0]
        environ['REMOTE_PORT'] = str(conn.client[1])
        environ['wsgi.input'] = req.body
        return environ


def _tune(listener, conf):
    """Set what every accepted connection inherits, which saves a call per connection each."""
    timeout = struct.pack('@ll', conf.client_socket_timeout, 0)
    for level, name, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, conf.tcp_keepidle),
            (socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout),
            (socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)):
        listener.setsockopt(level, name, value)
