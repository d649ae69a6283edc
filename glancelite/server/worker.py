"""gunicorn's threaded worker, adapted to large transfers and many small requests."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import errno
import gc
import logging
import math
import os
import select
import selectors
import signal
import socket
import struct
import sys
import threading
import time
import types
import urllib.parse
from functools import partial
from typing import Any

from gunicorn import sock as gunicorn_sock
from gunicorn.http import errors
from gunicorn.workers import gthread
from oslo_config import cfg

from glancelite.server import access, answered, body, connection, guru_report, waiting
from glancelite.server.connection import After, ClientGone, Connection, Request
from glancelite.server.response import Clock, FileWrapper, Response

NEXT_REQUEST_WAIT = 10      # milliseconds that a thread waits for a connection's next request
REQUESTS_IN_A_ROW = 100     # that a thread answers on one connection before others have a turn
ACCEPTED_IN_A_ROW = 64      # clients by a busy worker, before other events have a turn
ACCEPT_DELAY = 2e-5     # seconds before a client is accepted, per client already connected
FULL_DELAY = 6e-4       # the same if the client may have to wait in this worker
M_ARENA_MAX, ARENAS = -8, 2     # of glibc: each arena keeps memory that was freed
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

REFUSALS = (
    (errors.LimitRequestLine, 414, 'URI Too Long'),
    (errors.LimitRequestHeaders, 431, 'Request Header Fields Too Large'),
    (errors.ExpectationFailed, 417, 'Expectation Failed'),
    (errors.UnsupportedTransferCoding, 501, 'Not Implemented'),
)


class NoRoom(Exception):
    """The answer would be one more transfer than can run."""


class Worker(gthread.ThreadWorker):
    """Serves until it is stopped by a signal.

    A connection holds a thread only during a request and for a moment after
    it: heads and small bodies are collected without blocking, and the main
    thread sends what a client does not take at once of an answer.  Only
    *transfers* wait for their client in a thread: requests with large bodies,
    and those that `Application.is_transfer` names.  They never use the last
    ``reserved_threads``, so short requests are served whatever clients do.
    SIGTERM lets running requests finish within ``graceful_shutdown_timeout``;
    SIGHUP from the master, after a reload, lets them finish without a limit.
    """

    def init_process(self) -> None:
        with contextlib.suppress(AttributeError):       # another C library
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
        conf, settings = self.app.conf, self.cfg
        # A plain object, because gunicorn's own looks up each name through two functions.
        self.cfg: Any = types.SimpleNamespace(
            **{name: setting.get() for name, setting in settings.settings.items()},
            env=settings.env, uid=settings.uid, gid=settings.gid, is_ssl=bool(settings.is_ssl),
            client_socket_timeout=conf.client_socket_timeout,
            body_wait=min(connection.BODY_WAIT, conf.client_socket_timeout or math.inf),
            max_connections_per_address=conf.max_connections_per_address,
            max_head=max(1 << 16, 4 * conf.max_header_line))
        self.cfg.graceful_timeout = math.inf    # an alarm limits the time, see `handle_exit`
        self._shutdown_timeout = conf.graceful_shutdown_timeout
        self._context = gunicorn_sock.ssl_context(settings) if self.cfg.is_ssl else None
        self.keepalived_conns: Any = waiting.Waiting()
        self._running = 0       # connections that hold a thread, or wait for one
        self._transfers = threading.Semaphore(conf.threads)
        self._queue: collections.deque[Connection] = collections.deque()    # for a transfer
        self._addresses: collections.Counter[str] = collections.Counter()   # of clients
        self._next_expiry = 0.0
        self._clock = Clock()
        self._access: access.AccessLog
        for listener in self.sockets:
            _tune(listener, conf, self.cfg.body_wait)
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
        self._access = access.AccessLog(access.form(self.app.conf))  # logging is set up now
        self._answers = answered.Answers(self.poller, self._sent, self._drop,
                                         self.cfg.client_socket_timeout or math.inf)
        self._lingering = answered.Lingering(self.poller, self._drop)
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
        self._access.flush()
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
        signal.pthread_sigmask(signal.SIG_SETMASK, ())      # see `Master.spawn_worker`

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
                while self._accept_one(listener):   # the kernel has already connected them
                    pass
                listener.close()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        for key, _ in self.poller.select(timeout):
            # a callback before may have closed this connection, to make room
            if self.poller.get_map().get(key.fd) is key:
                key.data(key.fileobj)
        now = time.monotonic()
        if now >= self._next_expiry:
            self._next_expiry = now + 0.5
            self._answers.expire(now)
            self._lingering.expire(now, stopping=not self.alive)
            self._access.flush()

    def accept(self, listener: socket.socket) -> None:
        """Accept a client; if the worker is busy, all that wait, as its next turn takes long."""
        self._accept_one(listener)
        for _ in range(ACCEPTED_IN_A_ROW):
            if (self._running <= self.cfg.threads or self.nr_conns >= self.worker_connections
                    or not _is_readable(listener)):
                break
            self._accept_one(listener)

    def _accept_one(self, listener: socket.socket) -> bool:
        """:returns: whether a client was waiting."""
        if self.cfg.workers > 1:    # lets a worker with fewer clients accept first
            is_full = self._queue or self._running >= self.cfg.threads
            time.sleep(FULL_DELAY if is_full else ACCEPT_DELAY * min(self.nr_conns, 10))
        try:
            sock, client = listener.accept()
            conn = Connection(self.cfg, sock, client, self._server, self._context)
        except OSError as exc:
            if exc.errno in EXHAUSTED:
                self.log.error('cannot accept a client: %s', exc)
                time.sleep(0.1)     # another connection may end
            return False
        if self.nr_conns >= self.worker_connections - 1 and self.keepalived_conns:
            self._drop_idle()
        self.nr_conns += 1
        self._addresses[client[0]] += 1
        limit = self.cfg.max_connections_per_address
        if limit and self._addresses[client[0]] > limit:
            self._drop(conn)
        else:
            self._wait_for_client(conn)
        return True

    def _wait_for_client(self, conn: Connection) -> None:
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + gthread.STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ,
                             partial(self.on_client_socket_readable, conn))

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections whose clients sent nothing in time, or all."""
        now = time.monotonic()
        while self.keepalived_conns and (force or self.keepalived_conns[0].timeout <= now):
            self._drop_idle()

    def _cap_keepalive(self, deadline: float) -> None:
        """Called by gunicorn when the worker stops."""
        self.keepalived_conns.limit(deadline)

    def _drop_idle(self) -> None:
        """Close the connection that has waited longest for its client."""
        conn = self.keepalived_conns.popleft()
        self.poller.unregister(conn.sock)
        if conn.has_begun:
            with contextlib.suppress(ClientGone):
                self._refuse(conn, 408, 'Request Timeout', 'the request did not arrive in time')
            self._log_access(conn, conn.request, None, {}, 0)
        self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        conn.close()
        self.nr_conns -= 1
        address = conn.client[0]
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def enqueue_req(self, conn: Connection) -> None:
        self._running += 1
        super().enqueue_req(conn)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Called in the main thread when a thread has left the connection."""
        self._running -= 1
        if failed := fs.cancelled() or fs.exception():
            self.log.debug('%s: %r', conn.client[0], failed)
        conn.after = After.CLOSE if failed else fs.result()
        if conn.broken:
            self._drop(conn)
        elif conn.unsent:
            self._answers.add(conn)
        else:
            self._go_on(conn, conn.after)
        while self._queue and self._transfers.acquire(blocking=False):
            queued = self._queue.popleft()
            queued.is_transfer = True
            self.enqueue_req(queued)

    def _sent(self, conn: Connection) -> None:
        """A slow client has received its whole answer."""
        self._go_on(conn, conn.end() if conn.after is After.CLOSE else conn.after)

    def _go_on(self, conn: Connection, after: After) -> None:
        if after is After.WAIT:
            self._wait_for_client(conn)
        elif after is After.AGAIN:
            self.enqueue_req(conn)
        elif after is After.QUEUE:
            self._queue.append(conn)
        elif after is After.LINGER:
            self._lingering.add(conn)
        else:
            self._drop(conn)

    def handle(self, conn: Connection) -> After:
        """Answer the requests that have arrived."""
        timeout, after = 0, None
        for _ in range(REQUESTS_IN_A_ROW):
            arrived = conn.head_arrived(timeout)
            if not arrived:
                return After.WAIT if arrived is None else After.CLOSE
            if after is After.AGAIN and self._running > self.cfg.threads:
                break
            after = self._answer_next(conn)
            if conn.unsent:
                if not (conn.broken or self._answers.keep(conn)):
                    conn.reset()
                return after
            if after is not After.AGAIN:
                return conn.end() if after is After.CLOSE else after
            timeout = NEXT_REQUEST_WAIT if self._running < self.cfg.threads and self.alive else 0
        return After.AGAIN

    # --- requests

    def _answer_next(self, conn: Connection) -> After:
        """Answer the request whose head has arrived."""
        try:
            req = conn.next_request()
            is_transfer = self.app.is_transfer(req.path)
            if not conn.body_arrived(is_transfer):
                return After.WAIT
            is_short = req.body.finished and not is_transfer
            if not (is_short or conn.is_transfer or self._begin_transfer(conn)):
                return After.QUEUE
            try:
                again = self.handle_request(req, conn)
            finally:
                if conn.is_transfer:
                    conn.is_transfer = False
                    self._transfers.release()
            if again:
                conn.finish_request()
            return After.AGAIN if again else After.CLOSE
        except errors.ParseException as exc:
            # the text may quote a header, such as a token; the context would be that of the
            # thread's last request
            text = 'invalid header' if isinstance(exc, errors.InvalidHeader) else exc
            self.log.warning('invalid request from %s: %s', conn.client[0], text,
                             extra={'context': None})
            self._refuse(conn, *_refusal(exc), str(exc))
            self._log_access(conn, None, None, {}, 0)
        except ClientGone as exc:
            self.log.debug('%s', exc)
        except OSError as exc:
            self.log.info('%s: %s', conn.client[0], exc)
        except Exception:
            self.log.exception('a request could not be handled')
        return After.CLOSE

    def _begin_transfer(self, conn: Connection) -> bool:
        """Whether one more transfer may run now."""
        conn.is_transfer = not self._queue and self._transfers.acquire(blocking=False)
        return conn.is_transfer

    def handle_request(self, req: Request, conn: Connection) -> bool:
        """True if another request may follow on the connection."""
        response = Response(req, conn, self.cfg, self._clock)
        if (not self.alive or not self.cfg.keepalive
                or len(self.keepalived_conns) >= self.max_keepalived):
            response.force_close()
        conn.begin_answer(keeps_unsent=False)
        environ, began = self._environ_of(req, conn), time.monotonic()
        try:
            self._respond(environ, conn, response)
        except ClientGone:
            raise
        except Exception as exc:
            self._report_failure(exc, req, conn, response)
            return False
        finally:
            if self._access.is_on:
                self._log_access(conn, req, response, environ, time.monotonic() - began)
        if response.cut_short:
            self.log.error('%s %s: %d bytes were announced but %d given', req.method, req.uri,
                           response.response_length, response.sent)
        return not response.must_close and req.body.can_skip

    def _log_access(self, conn: Connection, req: Request | None, response: Response | None,
                    environ: dict[str, Any], seconds: float) -> None:
        # a middleware may have replaced the address of a proxy by that of its client
        address = environ.get('REMOTE_ADDR') or conn.client[0]
        status, size, request_id = None, 0, None
        if conn.refused is not None:
            status, size = conn.refused
        elif response is not None and response.status is not None:
            status, size = response.status_code, response.sent
            request_id = access.request_id(response.headers)
        if req is None:
            self._access.write(address, None, None, None, status, size, seconds, request_id)
        else:
            self._access.write(address, req.method, req.uri, req.version[1], status, size,
                               seconds, request_id)

    def _respond(self, environ: dict[str, Any], conn: Connection, response: Response) -> None:
        result = self.wsgi(environ, response.start_response)
        try:
            if isinstance(result, (list, tuple)):
                conn.keeps_unsent = True
            elif not (conn.is_transfer or self._begin_transfer(conn)):
                raise NoRoom
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
            return
        if isinstance(exc, body.BodyCutShort | body.BodyMalformed):
            self.log.info('%s %s: %s', req.method, req.uri, exc)
            self._refuse(conn, 400, 'Bad Request', str(exc))
        elif isinstance(exc, NoRoom):
            self._refuse(conn, 503, 'Service Unavailable', 'all transfers are in use',
                         'Retry-After: 10')
        else:
            self.log.error('%s %s failed', req.method, req.uri, exc_info=exc)
            self._refuse(conn, 500, 'Internal Server Error', '')

    def _refuse(self, conn: Connection, status: int, reason: str, text: str,
                *headers: str) -> None:
        """Send an error response of the server's own."""
        conn.keeps_unsent = True
        content = (text or reason).encode('utf-8', 'replace') + b'\n'
        lines = (f'HTTP/1.1 {status} {reason}', f'Date: {self._clock.date()}',
                 'Content-Type: text/plain; charset=UTF-8', f'Content-Length: {len(content)}',
                 *headers, 'Connection: close', '', '')
        conn.refused = status, len(content)
        conn.send('\r\n'.join(lines).encode('latin-1') + content)

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


def _is_readable(listener: socket.socket) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def _refusal(exc: errors.ParseException) -> tuple[int, str]:
    """Status and reason for a head that is not accepted."""
    if isinstance(exc, errors.InvalidHTTPVersion) and isinstance(exc.version, tuple):
        return 505, 'HTTP Version Not Supported'    # others are no versions
    for kind, status, reason in REFUSALS:
        if isinstance(exc, kind):
            return status, reason
    return 400, 'Bad Request'


def _tune(listener: socket.socket, conf: cfg.ConfigOpts, wait: float) -> None:
    """Set options that accepted connections inherit, which saves system calls for each."""
    receiving = struct.pack('@ll', int(wait), int(wait % 1 * 1e6))
    sending = struct.pack('@ll', conf.client_socket_timeout, 0)
    for level, name, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, conf.tcp_keepidle),
            (socket.SOL_SOCKET, socket.SO_RCVTIMEO, receiving),
            (socket.SOL_SOCKET, socket.SO_SNDTIMEO, sending)):
        listener.setsockopt(level, name, value)
