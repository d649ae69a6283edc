"""gunicorn's threaded worker, adapted to large transfers and many small requests."""

from __future__ import annotations

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
from typing import Any

from gunicorn import sock as gunicorn_sock
from gunicorn import util
from gunicorn.workers import gthread
from oslo_config import cfg

from glancelite.server import body, guru_report
from glancelite.server.connection import ClientGone, Connection, Request
from glancelite.server.response import Clock, FileWrapper, Response

NEXT_REQUEST_WAIT = 10      # milliseconds that a thread waits for a connection's next request
ACCEPT_DELAY = 2e-5     # seconds before a client is accepted, per client already connected
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Worker(gthread.ThreadWorker):
    """Serves until it is stopped by a signal.

    A connection holds a thread only during a request and for a moment after
    it: the main thread collects the heads of requests without blocking.
    SIGTERM lets running requests finish within ``graceful_shutdown_timeout``;
    SIGHUP from the master, after a reload, lets them finish without a limit.
    """

    def init_process(self) -> None:
        conf, settings = self.app.conf, self.cfg
        # A plain object, because gunicorn's own looks up each name through two functions.
        self.cfg: Any = types.SimpleNamespace(
            **{name: setting.get() for name, setting in settings.settings.items()},
            env=settings.env, uid=settings.uid, gid=settings.gid, is_ssl=bool(settings.is_ssl),
            client_socket_timeout=conf.client_socket_timeout,
            max_head=max(1 << 16, 4 * conf.max_header_line))
        self.cfg.graceful_timeout = math.inf    # an alarm limits the time, see `handle_exit`
        self._shutdown_timeout = conf.graceful_shutdown_timeout
        self._context = gunicorn_sock.ssl_context(settings) if self.cfg.is_ssl else None
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

    def run(self) -> None:
        """Does not return, because exit handlers of the master must not run here."""
        code = 1
        try:
            gc.collect()
            gc.freeze()     # the application's objects live as long as the process
            self.notify()
            os.kill(self.ppid, signal.SIGCHLD)      # the master checks which workers are ready
            super().run()
            code = 0
        except SystemExit:
            code = 0
        except BaseException:
            self.log.exception('a worker failed')
        finally:
            self._close()
            os._exit(code)

    def _close(self) -> None:
        try:
            if hasattr(self.wsgi, 'close'):
                self.wsgi.close()
        except Exception:
            self.log.exception('the application could not be closed')
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()

    # --- signals

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is for the master
        signal.signal(signal.SIGHUP, super().handle_exit)
        signal.signal(signal.SIGALRM, self.handle_alarm)
        signal.signal(signal.SIGUSR2, guru_report.install(self.app.conf))

    def handle_exit(self, sig: int | None, frame: Any) -> None:
        super().handle_exit(sig, frame)
        signal.setitimer(signal.ITIMER_REAL, max(self._shutdown_timeout, 0.001))

    def handle_alarm(self, sig: int, frame: Any) -> None:
        self.log.warning('stopped with %d unfinished connections', self.nr_conns)
        self.handle_quit(sig, frame)

    def is_parent_alive(self) -> bool:
        alive = bool(super().is_parent_alive())
        if not alive:
            self.handle_exit(None, None)
        return alive

    # --- connections

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                while self.accept(listener):    # the kernel has already connected these clients
                    pass
                listener.close()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        if self._running >= self.cfg.threads:
            super().set_accept_enabled(False)   # other workers may have an idle thread
        super().wait_for_and_dispatch_events(timeout)

    def accept(self, listener: socket.socket) -> bool:
        """:returns: whether a client was waiting."""
        if self.cfg.workers > 1:    # lets a worker with fewer clients accept first
            time.sleep(ACCEPT_DELAY * min(self.nr_conns, 10))
        try:
            sock, client = listener.accept()
            conn = Connection(self.cfg, sock, client, self._server, self._context)
        except OSError as exc:
            if exc.errno in EXHAUSTED:
                self.log.error('cannot accept a client: %s', exc)
                time.sleep(0.1)     # another connection may end
            return False
        self.nr_conns += 1
        conn.set_timeout()
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ,
                             partial(self.on_client_socket_readable, conn))
        return True

    def enqueue_req(self, conn: Connection) -> None:
        self._running += 1
        super().enqueue_req(conn)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        self._running -= 1
        super().finish_request(conn, fs)

    def handle(self, conn: Connection) -> bool:
        """Answer the requests that have arrived; True: keep the connection."""
        timeout = 0
        while arrived := conn.head_arrived(timeout):
            if not super().handle(conn):
                conn.close_in_order()
                return False
            timeout = NEXT_REQUEST_WAIT if self._running < self.cfg.threads and self.alive else 0
        return arrived is None

    # --- requests

    def handle_request(self, req: Request, conn: Connection) -> bool:
        """True if another request may follow on the connection."""
        response = Response(req, conn, self.cfg, self._clock)
        if (not self.alive or not self.cfg.keepalive
                or len(self.keepalived_conns) >= self.max_keepalived):
            response.force_close()
        try:
            self._respond(req, conn, response)
        except ClientGone:
            raise
        except Exception as exc:
            self._report_failure(exc, req, conn, response)
            return False
        if response.cut_short:
            self.log.error('%s %s: %d bytes were announced but %d given', req.method, req.uri,
                           response.response_length, response.sent)
        return not response.should_close()

    def _respond(self, req: Request, conn: Connection, response: Response) -> None:
        result = self.wsgi(self._environ_of(req, conn), response.start_response)
        try:
            if isinstance(result, FileWrapper):
                response.write_file(result)
            else:
                for piece in result:
                    response.write(piece)
            response.close()
        finally:
            if hasattr(result, 'close'):
                result.close()

    def _report_failure(self, exc: Exception, req: Request, conn: Connection,
                        response: Response) -> None:
        """Log a failure and send an error response, if that is still possible."""
        if response.headers_sent:
            self.log.error('%s %s failed', req.method, req.uri, exc_info=exc)
            if not response.framed:
                conn.reset()
        elif isinstance(exc, body.BodyCutShort | body.BodyMalformed):
            self.log.info('%s %s: %s', req.method, req.uri, exc)
            util.write_error(conn.sock, 400, 'Bad Request', str(exc))
        else:
            self.handle_error(req, conn.sock, conn.client, exc)

    def _environ_of(self, req: Request, conn: Connection) -> dict[str, Any]:
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


def _tune(listener: socket.socket, conf: cfg.ConfigOpts) -> None:
    """Set options that accepted connections inherit, which saves system calls for each."""
    timeout = struct.pack('@ll', conf.client_socket_timeout, 0)
    for level, name, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, conf.tcp_keepidle),
            (socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout),
            (socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)):
        listener.setsockopt(level, name, value)
