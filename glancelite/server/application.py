"""The server as a whole: the configuration in gunicorn's words, and its master process."""

import logging
import multiprocessing
import os
import resource
import signal
import socket
import ssl
import sys
import time

from gunicorn import arbiter, glogging
from gunicorn.app import base
from gunicorn.errors import AppImportError, HaltServer

from glancelite.server import gunicorn_compat, options, worker

LOG = logging.getLogger('glancelite.server')

FORK = multiprocessing.get_context('fork')
REHEARSAL = 120         # seconds that the application may need to start
HUNG = 300              # seconds without a sign of life after which a worker is replaced
RESPAWN_PAUSE = 5.0     # seconds after a replacement failed to start
LAST_WORD = 5           # seconds for workers to close their application, after the grace
MAX_LINE = 8190         # bytes of a request line: filters may be long, and links repeat them
MAX_FIELDS = 200        # headers in a request


class CannotStart(Exception):
    """The server must not run like this; the text is one line for the operator."""


def serve(conf_factory, app_factory, taken_over=None) -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP reads the configuration again.

    :param conf_factory: returns an ``oslo_config.cfg.ConfigOpts``; called in the
        master at the start and on every SIGHUP.
    :param app_factory: turns it into a WSGI application; called in each worker
        process after the fork, and before that once in a process that only
        tries it. The application's ``close()``, if it has one, is called when
        the process ends.
    :param taken_over: called in the master with each configuration that works.
    :returns: the exit code of the program; 2 if the server could not start, which
        one line on standard error explains.
    """
    master = os.getpid()
    try:
        gunicorn_compat.check()
        application = Application(conf_factory, app_factory, taken_over)
        Master(application).run()
    except (CannotStart, RuntimeError) as exc:
        print(f'cannot start: {exc}', file=sys.stderr)
        return 2
    except SystemExit as exc:
        if os.getpid() != master:       # a worker that could not start
            sys.stderr.flush()
            os._exit(exc.code)
        return exc.code
    return 0


class Log(glogging.Logger):
    """gunicorn's messages go where the program's own go; requests are not logged."""

    def setup(self, cfg):
        self.cfg = cfg
        self.error_log = LOG

    def access(self, resp, req, environ, request_time):
        pass


class Application(base.BaseApplication):
    """What gunicorn asks about the application and its settings.

    :raises CannotStart: the configuration would not work.
    """

    def __init__(self, conf_factory, app_factory, taken_over=None):
        self._conf_factory = conf_factory
        self._app_factory = app_factory
        self._taken_over = taken_over
        self.conf = self._settings = None
        self.read()
        super().__init__()

    def read(self):
        """Take the configuration over if the server could run with it.

        :raises CannotStart: it could not; the former one stays.
        """
        try:
            conf = self._conf_factory()
            options.register(conf)
            settings = _settings(conf)
            _check_tls(conf)
            if self.conf is None or _address(conf) != _address(self.conf):
                _check_address(conf)
        except Exception as exc:
            LOG.debug('the configuration was refused', exc_info=True)
            raise CannotStart(_one_line(exc)) from exc
        _rehearse(self._app_factory, conf)
        self.conf, self._settings = conf, settings
        if self._taken_over is not None:
            self._taken_over(conf)

    def do_load_config(self):
        self.load_default_config()
        self.load_config()

    def load_config(self):
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self):
        try:
            return self._app_factory(self.conf)
        except Exception as exc:
            raise AppImportError(f'cannot start: {_one_line(exc)}') from exc


class Master(arbiter.Arbiter):
    """gunicorn's master, except that a reload takes nothing from anybody.

    The former workers serve until the new ones are ready, and then finish
    what they have begun, without a limit. A configuration that does not work
    changes nothing.
    """

    def __init__(self, app):
        self._former = {}       # workers of older configurations that still accept
        self._leaving = {}      # and those that only finish
        self._asked_to_stop = False
        self._served = False
        self._respawn_at = 0.0
        super().__init__(app)

    def signal(self, sig, frame):
        if sig in (signal.SIGTERM, signal.SIGINT):
            sig = signal.SIGQUIT if self._asked_to_stop else signal.SIGTERM
            self._asked_to_stop = True
        super().signal(sig, frame)

    def handle_usr2(self):
        """The workers tell what they are doing."""
        self.kill_workers(signal.SIGUSR2)

    def reload(self):
        try:
            self.app.read()
        except CannotStart as exc:
            self.log.error('the configuration was not reloaded: %s', exc)
            return
        super().reload()

    def relieve(self):
        """Called by gunicorn between the new configuration and the new workers."""
        for each in self.WORKERS.values():
            each.tmp.close()
        self._former.update(self.WORKERS)
        self.WORKERS.clear()

    def manage_workers(self):
        if time.monotonic() >= self._respawn_at:
            super().manage_workers()
        if len(self.WORKERS) < self.num_workers or not all(map(_ready, self.WORKERS.values())):
            return
        self._served = True
        if self._former:
            self.log.info('reloaded; the former workers finish what they have begun')
            for pid in self._former:
                self.kill_worker(pid, signal.SIGHUP)
            self._leaving.update(self._former)
            self._former.clear()

    def reap_workers(self):
        for workers in (self._former, self._leaving):
            for pid in [pid for pid in workers if _has_ended(pid)]:
                del workers[pid]
                self.log.info('worker %d has finished', pid)
        try:
            super().reap_workers()
        except HaltServer as exc:
            if not self._served:
                raise
            self.log.error('a new worker could not start: %s', exc.reason)
            self._respawn_at = time.monotonic() + RESPAWN_PAUSE

    def stop(self, graceful=True):
        self.WORKERS.update(self._former | self._leaving)
        self._former, self._leaving = {}, {}
        super().stop(graceful)


def _ready(each):
    """A worker's sign of life is a file's time; gunicorn counts it from the boot."""
    return each.tmp.last_update() <= time.monotonic()


def _has_ended(pid):
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _settings(conf):
    host = f'[{conf.bind_host}]' if ':' in conf.bind_host else conf.bind_host
    workers = min(os.cpu_count() or 1, 8) if conf.workers is None else conf.workers
    handles, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        'bind': f'{host}:{conf.bind_port}',
        'workers': max(1, workers),
        'threads': conf.threads,
        'worker_class': worker.Worker,
        # A connection needs one handle, a transfer a second one, a store some more.
        'worker_connections': max(2 * conf.threads, min(handles - 3 * conf.threads, 1 << 16)),
        'backlog': conf.backlog,
        'keepalive': int(conf.http_keepalive),
        'timeout': HUNG,
        'graceful_timeout': conf.graceful_shutdown_timeout + LAST_WORD,
        'limit_request_line': MAX_LINE,
        'limit_request_fields': MAX_FIELDS,
        'limit_request_field_size': conf.max_header_line,
        'forwarded_allow_ips': '',
        'forwarder_headers': '',
        'secure_scheme_headers': {},
        'certfile': conf.cert_file,
        'keyfile': conf.key_file,
        'ca_certs': conf.ca_file,
        'cert_reqs': ssl.CERT_REQUIRED if conf.ca_file else ssl.CERT_NONE,
        'logger_class': Log,
        'on_reload': Master.relieve,
        'proc_name': 'glancelite-api',
        'control_socket_disable': True,
    }


def _address(conf):
    return conf.bind_host, conf.bind_port


def _check_address(conf):
    """gunicorn itself would try for five seconds and say so five times."""
    if 'LISTEN_FDS' in os.environ:      # systemd listens
        return
    family = socket.AF_INET6 if ':' in conf.bind_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(_address(conf))
            probe.listen(1)
        except OSError as exc:
            raise CannotStart(f'cannot listen on {conf.bind_host}:{conf.bind_port}: '
                              f'{exc.strerror}') from exc


def _check_tls(conf):
    if not (conf.cert_file or conf.key_file or conf.ca_file):
        return
    if not conf.cert_file:
        raise CannotStart('key_file and ca_file are of no use without cert_file')
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=conf.ca_file)
        context.load_cert_chain(conf.cert_file, conf.key_file)
    except OSError as exc:
        raise CannotStart('cert_file, key_file or ca_file cannot be used: '
                          f'{_one_line(exc)}') from exc


def _rehearse(app_factory, conf):
    """Start the application in a process of its own, and end it.

    In a worker gunicorn would find a mistake too late: as many times as
    there are workers, and on a reload when the former ones are gone.

    :raises CannotStart: it does not start.
    """
    ours, theirs = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_build, args=(app_factory, conf, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        excuse = ours.recv() if ours.poll(REHEARSAL) else 'the application takes too long'
    except EOFError:
        excuse = 'the application ended the process while it started'
    finally:
        child.kill()
        child.join()
        ours.close()
    if excuse:
        raise CannotStart(excuse)


def _build(app_factory, conf, told):
    for number in arbiter.Arbiter.SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        app = app_factory(conf)
        if hasattr(app, 'close'):
            app.close()
        told.send('')
    except BaseException as exc:
        LOG.debug('the application does not start', exc_info=True)
        told.send(_one_line(exc))


def _one_line(exc):
    return ' '.join(str(exc).split()) or type(exc).__name__
