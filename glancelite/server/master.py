"""The process that owns the port and keeps the workers running."""

import faulthandler
import logging
import os
import select
import signal
import socket
import ssl
import struct
import sys
import time

from glancelite.server import options
from glancelite.server import worker

LOG = logging.getLogger('glancelite.server')

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR2)
RESPAWN_PAUSE = 5.0     # seconds after a replacement failed to start
LAST_WORD = 5.0         # seconds for workers to close their application, after the grace


class CannotStart(Exception):
    """The server must not run like this; the text is one line for the operator."""


class _Generation:
    """Workers that share a configuration and a port."""

    def __init__(self, conf, previous=None):
        """:raises CannotStart: the port or the certificate cannot be used."""
        self.conf = conf
        self.wanted = max(1, min(os.cpu_count() or 1, 8)
                          if conf.workers is None else conf.workers)
        self.context = _tls(conf)
        self.address = (conf.bind_host, conf.bind_port)
        if previous is not None and previous.address == self.address:
            self.listener = previous.listener
        else:
            self.listener = _listen(conf, previous and previous.listener)
        _tune(self.listener, conf)


class _Child:
    """One worker process, seen from the master."""

    def __init__(self, pid, generation):
        self.pid = pid
        self.generation = generation
        self.born = time.monotonic()
        self.ready = False
        self.excuse = None      # why it could not start


class Master:
    """Starts, watches, replaces and stops workers."""

    def __init__(self, conf_factory, app_factory):
        self._conf_factory = conf_factory
        self._app_factory = app_factory
        self._children = {}         # pid to _Child, of all generations
        self._current = None
        self._next = None           # starts up beside the current one
        self._served = False        # some worker was ready once
        self._respawn_at = 0.0
        self._bell, self._ringer = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ringer, False)
        self._reports, self._report = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._reports.setblocking(False)

    def run(self):
        """Serve until a signal ends it.

        :raises CannotStart: it never came so far.
        """
        self._current = self._configure()
        for number in SIGNALS:
            signal.signal(number, _noted)
        signal.set_wakeup_fd(self._ringer, warn_on_full_buffer=False)
        LOG.info('listening on %s:%d', *self._current.address)
        try:
            self._keep_up()
            while not self._obey(self._wait(1.0)):
                self._hear()
                for child, code in self._reap():
                    self._mourn(child, code)
                self._keep_up()
        finally:
            self._stop()
            signal.set_wakeup_fd(-1)

    def _configure(self):
        try:
            conf = self._conf_factory()
            conf.register_opts(options.OPTS)
            return _Generation(conf, self._current)
        except Exception as exc:
            LOG.debug('the configuration was refused', exc_info=True)
            raise CannotStart(_one_line(exc)) from exc

    def _wait(self, seconds):
        """The signals that came in; a worker's report ends the wait, too."""
        heard, _, _ = select.select([self._bell, self._reports], [], [], seconds)
        return os.read(self._bell, 64) if self._bell in heard else b''

    def _obey(self, numbers):
        """True if it is time to stop."""
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            return True
        if signal.SIGHUP in numbers:
            self._reload()
        if signal.SIGUSR2 in numbers:
            faulthandler.dump_traceback(all_threads=True)
            self._tell(self._children.values(), signal.SIGUSR2)
        return False

    def _reload(self):
        """Start a generation beside the current one; `_keep_up` lets it take over."""
        if self._next is not None:
            self._give_up_next()
        try:
            self._next = self._configure()
        except CannotStart as exc:
            LOG.error('the configuration was not reloaded: %s', exc)

    def _keep_up(self):
        """Have as many workers as are wanted, of the newest generation that works."""
        following = self._next
        if following is not None:
            for _ in range(following.wanted - len(self._of(following))):
                self._spawn(following)
            if all(child.ready for child in self._of(following)):
                self._take_over()
        if time.monotonic() >= self._respawn_at:
            for _ in range(self._current.wanted - len(self._of(self._current))):
                self._spawn(self._current)

    def _take_over(self):
        LOG.info('reloaded; the former workers finish what they have begun')
        former, self._current, self._next = self._current, self._next, None
        if former.listener is not self._current.listener:
            former.listener.close()
        self._tell(self._of(former), signal.SIGHUP)
        self._respawn_at = 0.0

    def _give_up_next(self):
        abandoned, self._next = self._next, None
        if abandoned.listener is not self._current.listener:
            abandoned.listener.close()
        self._tell(self._of(abandoned), signal.SIGKILL)

    def _of(self, generation):
        return [child for child in self._children.values() if child.generation is generation]

    @staticmethod
    def _tell(children, number):
        for child in children:
            os.kill(child.pid, number)      # it exists until it is reaped

    def _hear(self):
        """Take down which workers serve and which say that they cannot."""
        while True:
            try:
                pid, _, excuse = self._reports.recv(1 << 13).decode().partition(' ')
            except BlockingIOError:
                return
            child = self._children.get(int(pid))
            if child is not None and excuse:
                child.excuse = excuse
            elif child is not None:
                child.ready = self._served = True

    def _reap(self):
        """Workers that ended, with their exit codes; negative is the signal."""
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._hear()        # its last words
            child = self._children.pop(pid, None)
            if child is not None:
                yield child, os.waitstatus_to_exitcode(status)

    def _mourn(self, child, code):
        """:raises CannotStart: it is the first generation that cannot start."""
        how = f'was killed by signal {-code}' if code < 0 else f'ended with status {code}'
        excuse = child.excuse or f'a worker {how} while it started'
        if child.generation is self._next:
            LOG.error('the configuration was not reloaded: %s', excuse)
            self._give_up_next()
        elif child.generation is not self._current:
            LOG.info('worker %d has finished', child.pid)
        elif child.ready:
            LOG.error('worker %d %s; another one takes its place', child.pid, how)
        elif self._served:
            LOG.error('a new worker could not start: %s', excuse)
        else:
            raise CannotStart(excuse)
        if time.monotonic() < child.born + RESPAWN_PAUSE:
            self._respawn_at = time.monotonic() + RESPAWN_PAUSE

    def _spawn(self, generation):
        # A signal for the child must not ring the bell that both still share.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            self._become_worker(generation)
        self._children[pid] = _Child(pid, generation)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _become_worker(self, generation):
        """Does not return."""
        code, ready = 1, False

        def on_ready():
            nonlocal ready
            ready = True
            self._report.send(b'%d' % os.getpid())

        try:
            signal.set_wakeup_fd(-1)
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is for the master
            faulthandler.register(signal.SIGUSR2, all_threads=True)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            for other in (self._current, self._next):
                if other is not None and other.listener is not generation.listener:
                    other.listener.close()
            serving = worker.Worker(generation.conf, self._app_factory,
                                    generation.listener, generation.context)
            signal.signal(signal.SIGHUP, serving.retire)
            signal.signal(signal.SIGTERM, serving.stop)
            serving.run(on_ready)
            serving.close()
            code = 0
        except BaseException as exc:
            if ready:
                LOG.exception('a worker failed')
            else:
                LOG.debug('a worker could not start', exc_info=True)
                self._report.send(f'{os.getpid()} {_one_line(exc)[:4000]}'.encode())
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)      # what the master has registered for its own end is not ours

    def _stop(self):
        """Let the workers finish; a second signal, or the end of the grace, kills them."""
        grace = self._current.conf.graceful_shutdown_timeout + LAST_WORD if self._served else 0.0
        deadline = time.monotonic() + grace
        for generation in {self._current, self._next} - {None}:
            generation.listener.close()
        self._tell(self._children.values(), signal.SIGTERM)
        while self._children and time.monotonic() < deadline:
            numbers = self._wait(0.2)
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                break
            list(self._reap())
        self._tell(self._children.values(), signal.SIGKILL)
        while self._children:
            self._wait(0.2)
            list(self._reap())


def _noted(*_signal):
    """The number has gone through the wakeup handle already."""


def _one_line(exc):
    return ' '.join(str(exc).split()) or type(exc).__name__


def _tls(conf):
    if not (conf.cert_file or conf.key_file or conf.ca_file):
        return None
    if not conf.cert_file:
        raise CannotStart('key_file and ca_file are of no use without cert_file')
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=conf.ca_file)
        context.load_cert_chain(conf.cert_file, conf.key_file)
    except OSError as exc:
        raise CannotStart('cert_file, key_file or ca_file cannot be used: '
                          f'{_one_line(exc)}') from exc
    if conf.ca_file:
        context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(['http/1.1'])
    return context


def _listen(conf, former):
    """:param former: a listener that may hold the same port at another address."""
    family = socket.AF_INET6 if ':' in conf.bind_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    pair = [each for each in (former, listener) if each is not None]
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for each in pair:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, former is not None)
        listener.bind((conf.bind_host, conf.bind_port))
        listener.listen(conf.backlog)
    except OSError as exc:
        listener.close()
        raise CannotStart(f'cannot listen on {conf.bind_host}:{conf.bind_port}: '
                          f'{exc.strerror}') from exc
    finally:
        for each in pair:   # nobody else may join the port unnoticed
            if each.fileno() >= 0:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, False)
    listener.setblocking(False)
    return listener


def _tune(listener, conf):
    """Set what every accepted connection inherits, which saves a call per connection each."""
    timeout = struct.pack('@ll', conf.client_socket_timeout, 0)
    for level, name, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, conf.tcp_keepidle),
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout),
            (socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)):
        listener.setsockopt(level, name, value)
    listener.listen(conf.backlog)
