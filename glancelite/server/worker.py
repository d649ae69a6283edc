"""One process that serves: threads which all wait for whatever happens next.

There is no thread that hands work out. Every thread waits on the same epoll
and does itself what it is woken for: accept a client, read a head, run the
request. A connection without a request costs no thread, and a request costs
no hand-over between threads.
"""

import gc
import logging
import math
import os
import select
import signal
import threading
import time

from glancelite.server import borrowed
from glancelite.server import connection
from glancelite.server import response
from glancelite.server import wire

LOG = logging.getLogger('glancelite.server')

WAKE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
FAREWELL = 1.0      # seconds in which idle clients of a stopping worker may still ask


class _Errors:
    """``wsgi.errors``: goes where all errors go."""

    def write(self, text):
        if text.strip():
            LOG.error('%s', text.rstrip())

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass


class Service:
    """What the connections of one worker share."""

    def __init__(self, conf, app, address, *, secure):
        """:param address: where the worker listens, as the socket gives it."""
        self.app = app
        self.parser = borrowed.Parser(max_line=conf.max_header_line)
        self.max_head = max(1 << 16, 4 * conf.max_header_line)
        self.timeout = conf.client_socket_timeout
        self.closing = not conf.http_keepalive
        self.clock = response.Clock()
        self.environ = {
            'wsgi.version': (1, 0),
            'wsgi.errors': _Errors(),
            'wsgi.multithread': True,
            'wsgi.multiprocess': True,
            'wsgi.run_once': False,
            'wsgi.url_scheme': 'https' if secure else 'http',
            'wsgi.file_wrapper': response.FileWrapper,
            'wsgi.input_terminated': True,
            'glancelite.sendfile': True,
            'SERVER_SOFTWARE': 'glancelite',
            'SERVER_NAME': address[0],
            'SERVER_PORT': str(address[1]),
            'SCRIPT_NAME': '',
        }


class Worker:
    """Serves until it is told to stop."""

    def __init__(self, conf, app_factory, listener, context):
        """
        :param listener: non-blocking; shared with the other workers.
        :param context: an `ssl.SSLContext`, or None.
        :raises Exception: whatever ``app_factory`` raises.
        """
        self._conf = conf
        self._context = context
        self._listener = listener
        self._app = app_factory(conf)
        self._service = Service(conf, self._app, listener.getsockname(),
                                secure=context is not None)
        self._epoll = select.epoll()
        self._parked = {}           # handle to who waits for it; who takes it out owns it
        self._connections = set()
        self._retiring = False
        self._stop_at = math.inf

    def run(self, on_ready):
        """Serve; returns when the last request is done, or its time is over."""
        bell, ringer = os.pipe()
        os.set_blocking(ringer, False)
        signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
        parent = os.getppid()
        gc.collect()
        gc.freeze()     # what the application is made of need not be looked at again
        self._park(self._listener)
        for number in range(self._conf.threads):
            threading.Thread(target=self._serve, name=f'request-{number}', daemon=True).start()
        on_ready()
        while not self._retiring:
            _pause(bell, 1.0)
            self._sweep(time.monotonic())
            if os.getppid() != parent:
                LOG.error('the master process is gone')
                self.stop()
        self._wind_up(bell)

    def retire(self, *_signal):
        """Accept nobody any more and finish, however long it takes."""
        self._retiring = True

    def stop(self, *_signal):
        """As `retire`, but within ``graceful_shutdown_timeout``."""
        self._stop_at = min(self._stop_at,
                            time.monotonic() + self._conf.graceful_shutdown_timeout)
        self._retiring = True

    def close(self):
        """Close the application."""
        if hasattr(self._app, 'close'):
            self._app.close()

    def _serve(self):
        poll, take = self._epoll.poll, self._parked.pop
        while True:
            for handle, _ in poll(-1, 1):
                item = take(handle, None)
                if item is self._listener:
                    item = self._accept()
                    self._park(self._listener)      # the next client, the next thread
                if item is not None:
                    self._advance(item)

    def _accept(self):
        """A new connection, None if another worker was faster."""
        try:
            sock, peer = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as exc:
            LOG.error('cannot accept a client: %s', exc)
            time.sleep(0.1)     # out of handles; somebody may hang up
            return None
        try:
            line = wire.Wire(sock) if self._context is None else wire.TLSWire(
                sock, self._context, self._service.timeout or None)
        except OSError as exc:
            LOG.debug('connection of %s lost: %s', peer, exc)
            sock.close()
            return None
        client = connection.Connection(self._service, line, peer)
        self._connections.add(client)
        return client

    def _advance(self, client):
        try:
            if client.advance():
                self._park(client)
                return
        except BaseException:
            LOG.exception('a connection failed')
            client.close()
        self._connections.discard(client)

    def _park(self, item):
        """Let whichever thread is free take the item when something arrives."""
        handle = item.fileno()
        self._parked[handle] = item
        try:
            self._epoll.modify(handle, WAKE)
        except FileNotFoundError:
            self._epoll.register(handle, WAKE)

    def _sweep(self, now, idle_since=None):
        """Close connections whose time is over, and idle ones if the worker stops."""
        for handle, item in list(self._parked.items()):
            if item is self._listener:
                continue
            if item.deadline > now and (idle_since is None or item.parting
                                        or now < idle_since + FAREWELL):
                continue
            taken = self._parked.pop(handle, None)
            if taken is item:
                item.close()
                self._connections.discard(item)
            elif taken is not None:
                self._park(taken)

    def _wind_up(self, bell):
        since = time.monotonic()
        self._service.closing = True
        accepting = True
        while accepting or self._connections:
            now = time.monotonic()
            if now >= self._stop_at:
                LOG.warning('stopped with %d unfinished connections', len(self._connections))
                return
            if accepting and self._parked.pop(self._listener.fileno(), None) is not None:
                while client := self._accept():     # they were promised a connection
                    self._park(client)
                self._listener.close()
                accepting = False
            self._sweep(now, since)
            _pause(bell, 0.05)


def _pause(bell, seconds):
    """Sleep; a signal ends it early."""
    if select.select([bell], [], [], seconds)[0]:
        os.read(bell, 64)
