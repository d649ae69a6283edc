"""Starts the server: checks the configuration, and passes it to gunicorn."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection as PipeEnd
from typing import Any

import gunicorn
from gunicorn import glogging
from gunicorn.app import base
from oslo_config import cfg

from glancelite.server import access, gunicorn_compat, guru_report, options

LOG = logging.getLogger('glancelite.server')

FORK = multiprocessing.get_context('fork')
START_TIMEOUT = 120     # seconds for the application to start
HEARTBEAT_TIMEOUT = 300     # seconds without a heartbeat after which a worker is replaced
HANDLES = 1 << 17       # open files and connections of a process, if the system allows it
CLOSE_TIMEOUT = 5       # seconds for workers to close their application
MAX_LINE = 8190         # bytes of a request line; queries with filters may be long
MAX_FIELDS = 200        # headers in a request

WSGIApp = Callable[..., Any]
ConfFactory = Callable[[], cfg.ConfigOpts]
AppFactory = Callable[[cfg.ConfigOpts], WSGIApp]
OnConfig = Callable[[cfg.ConfigOpts], None]
IsTransfer = Callable[[str], bool]


class CannotStart(Exception):
    """The server cannot run with this configuration; the text is one line for the operator."""


def serve(conf_factory: ConfFactory, app_factory: AppFactory,
          on_config: OnConfig | None = None,
          is_transfer: IsTransfer = lambda path: False) -> int:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads the configuration.

    :param conf_factory: returns the configuration; called in the master at the
        start and on every SIGHUP.
    :param app_factory: builds the WSGI application; called in each worker
        process after the fork, and before that once in a process that only
        checks that it starts. If the application has a method ``close``, it
        is called when the process ends.
    :param on_config: called in the master with each configuration that works.
    :param is_transfer: whether a request for this path may transfer much data; such a
        request never uses the ``reserved_threads``, nor does one with a large body.
    :returns: the exit code of the program; 2 if the server could not start,
        with one line on standard error as explanation.
    """
    master = os.getpid()
    try:
        if missing := list(gunicorn_compat.missing()):
            LOG.warning('gunicorn %s lacks %s; serving with its plain gthread worker, which is '
                        'slower, and whose threads idle clients can hold (glancelite is made for '
                        'gunicorn 27)',
                        gunicorn.__version__, ', '.join(missing))
            PlainApplication(conf_factory, app_factory, on_config, is_transfer).run()
        else:
            from glancelite.server.master import Master
            Master(Application(conf_factory, app_factory, on_config, is_transfer)).run()
    except (CannotStart, RuntimeError) as exc:
        print(f'cannot start: {exc}', file=sys.stderr)
        return 2
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        if os.getpid() != master:       # a worker that could not start
            sys.stderr.flush()
            os._exit(code)
        return code
    return 0


class Log(glogging.Logger):
    """Sends gunicorn's messages to the log of the program; our worker logs requests itself."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log = LOG

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        pass


class PlainLog(Log):
    """The same for gunicorn's own worker, with the access log."""

    form = access.NONE
    _access: access.AccessLog | None = None

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        if self._access is None:
            self._access = access.AccessLog(self.form)
        self._access.write(
            environ.get('REMOTE_ADDR', '-'), req.method, req.uri, req.version[1],
            int(str(resp.status)[:3]) if resp.status else None, resp.sent or 0,
            request_time.total_seconds(), access.request_id(resp.headers))
        self._access.flush()


class Application(base.BaseApplication):
    """Provides gunicorn with the application and the settings.

    :raises CannotStart: the configuration does not work.
    """

    conf: cfg.ConfigOpts | None = None

    def __init__(self, conf_factory: ConfFactory, app_factory: AppFactory,
                 on_config: OnConfig | None = None,
                 is_transfer: IsTransfer = lambda path: False):
        self.is_transfer = is_transfer
        self.is_stopping: Callable[[], bool] = lambda: False
        self._conf_factory = conf_factory
        self._app_factory = app_factory
        self._on_config = on_config
        self._settings: Mapping[str, Any] = {}
        self._read_configuration()
        super().__init__()

    def read_configuration(self) -> bool:
        """Read the configuration again; keep the present one if the new one does not work.

        :returns: whether there is a new one.
        """
        try:
            self._read_configuration()
        except CannotStart as exc:
            LOG.error('the configuration was not reloaded: %s', exc)
            return False
        return True

    def _read_configuration(self) -> None:
        try:
            conf = self._conf_factory()
            options.register(conf)
            settings = {**_settings(conf), **self.extra_settings(conf)}
            check_tls(conf)
            if self.conf is None or _address(conf) != _address(self.conf):
                _check_address(conf)
        except Exception as exc:
            LOG.debug('the configuration is invalid', exc_info=True)
            raise CannotStart(_one_line(exc)) from exc
        _check_application(self._app_factory, conf, self.is_stopping)
        self.conf, self._settings = conf, settings
        if self._on_config is not None:
            self._on_config(conf)

    @staticmethod
    def extra_settings(conf: cfg.ConfigOpts) -> dict[str, Any]:
        # imported now, because they subclass what `gunicorn_compat` checks
        from glancelite.server.master import Master
        from glancelite.server.worker import Worker
        return {
            'worker_class': Worker,
            'on_reload': Master.retire_workers,
            'keepalive': int(conf.http_keepalive),      # how long, is up to our worker
        }

    def do_load_config(self) -> None:
        self.load_default_config()
        self.load_config()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApp:
        assert self.conf is not None
        try:
            return self._app_factory(self.conf)
        except Exception as exc:
            from gunicorn.errors import AppImportError
            raise AppImportError(f'cannot start: {_one_line(exc)}') from exc


class PlainApplication(Application):
    """The same for gunicorn's own master and its worker ``gthread``.

    Uses gunicorn's documented interface only.
    """

    @staticmethod
    def extra_settings(conf: cfg.ConfigOpts) -> dict[str, Any]:
        return {
            'worker_class': 'gthread',
            'logger_class': type('PlainLog', (PlainLog,), {'form': access.form(conf)}),
            'keepalive': (conf.client_socket_timeout or HEARTBEAT_TIMEOUT
                          if conf.http_keepalive else 0),
            'when_ready': _ignore_report_signal,
            'post_worker_init': _install_report,
            'worker_exit': _close_application,
        }

    def reload(self) -> None:
        self.read_configuration()
        super().reload()


def _ignore_report_signal(server: Any) -> None:
    """Keep gunicorn's master from starting a second one on SIGUSR2; workers write reports."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _install_report(worker: Any) -> None:
    signal.signal(signal.SIGUSR2, guru_report.install(worker.app.conf))


def _close_application(server: Any, worker: Any) -> None:
    if hasattr(worker.app.callable, 'close'):
        worker.app.callable.close()


def _settings(conf: cfg.ConfigOpts) -> dict[str, Any]:
    host = f'[{conf.bind_host}]' if ':' in conf.bind_host else conf.bind_host
    workers = min(os.cpu_count() or 1, 8) if conf.workers is None else conf.workers
    handles, threads = _handles(), conf.threads + conf.reserved_threads
    return {
        'bind': f'{host}:{conf.bind_port}',
        'workers': max(1, workers),
        'threads': threads,
        # A connection needs one handle, a transfer a second one, a store some more.
        'worker_connections': max(2 * threads, min(handles - 3 * threads, 1 << 16)),
        'backlog': conf.backlog,
        'timeout': HEARTBEAT_TIMEOUT,
        'graceful_timeout': conf.graceful_shutdown_timeout + CLOSE_TIMEOUT,
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
        'proc_name': 'glancelite-api',
        'control_socket_disable': True,
    }


def _handles() -> int:
    """How many files and connections this process and its workers may have open.

    The limit is raised as far as allowed: a soft limit of 1024 is meant for programs that
    use ``select()``, and a few hundred idle clients would use it up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HANDLES if hard == resource.RLIM_INFINITY else min(hard, HANDLES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def _address(conf: cfg.ConfigOpts) -> tuple[str, int]:
    return conf.bind_host, conf.bind_port


def _check_address(conf: cfg.ConfigOpts) -> None:
    """Check that the address is free; gunicorn would retry for five seconds, with five messages.

    :raises CannotStart: it is not.
    """
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


def check_tls(conf: cfg.ConfigOpts) -> None:
    """:raises CannotStart: the certificates cannot be loaded; it names the option."""
    if not (conf.cert_file or conf.key_file or conf.ca_file):
        return
    if not conf.cert_file:
        raise CannotStart('key_file and ca_file require cert_file')
    for name in ('cert_file', 'key_file', 'ca_file'):
        if conf[name]:
            _check_pem(name, conf[name])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # without a password, OpenSSL would ask for one on the terminal
        context.load_cert_chain(conf.cert_file, conf.key_file, password='')
    except OSError as exc:
        raise CannotStart(_wrong_pair(conf, exc)) from exc


def _check_pem(name: str, path: str) -> None:
    """Check one of the files alone.

    :raises CannotStart: it cannot be read, or holds no certificate (or no key).
    """
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except OSError as exc:
        raise CannotStart(f'{name} cannot be read: {path}: {exc.strerror}') from exc
    if name == 'key_file':
        if b'PRIVATE KEY-----' not in content:
            raise CannotStart(f'{name} holds no private key in PEM form: {path}')
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=path)
    except OSError as exc:
        raise CannotStart(f'{name} holds no valid certificate in PEM form: {path}: '
                          f'{_one_line(exc)}') from exc


def _wrong_pair(conf: cfg.ConfigOpts, error: OSError) -> str:
    """What is wrong with a certificate and a key that can be read."""
    key = conf.key_file or conf.cert_file
    name = 'key_file' if conf.key_file else 'cert_file (key_file is not set)'
    reason = getattr(error, 'reason', None) or ''
    if reason == 'KEY_VALUES_MISMATCH':
        return f'{name} is not the key of the certificate in cert_file: {key}'
    return f'{name} holds no private key that can be used without a password: {key}: ' + (
        _one_line(error))


def _check_application(app_factory: AppFactory, conf: cfg.ConfigOpts,
                       is_stopping: Callable[[], bool]) -> None:
    """Start the application in a process of its own, and close it again.

    gunicorn would find an error too late: in every worker and, on a reload,
    when the old ones are gone.

    :param is_stopping: whether there is no more reason to wait for it.
    :raises CannotStart: it does not start.
    """
    receiver, sender = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_start_application, args=(app_factory, conf, sender),
                         daemon=True)
    child.start()
    sender.close()
    end = time.monotonic() + START_TIMEOUT
    try:
        while not (arrived := receiver.poll(0.1)) and time.monotonic() < end:
            if is_stopping():
                raise CannotStart('the service is stopping')
        error = (receiver.recv() if arrived
                 else f'the application did not start within {START_TIMEOUT} seconds')
    except EOFError:
        error = 'the process ended while the application started'
    finally:
        child.kill()
        child.join()
        receiver.close()
    if error:
        raise CannotStart(error)


def _start_application(app_factory: AppFactory, conf: cfg.ConfigOpts, sender: PipeEnd) -> None:
    """Send the error, or ''."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGTTIN,
                   signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        app = app_factory(conf)
        if hasattr(app, 'close'):
            app.close()
        sender.send('')
    except BaseException as exc:
        LOG.debug('the application does not start', exc_info=True)
        sender.send(_one_line(exc))


def _one_line(exc: BaseException) -> str:
    return ' '.join(str(exc).split()) or type(exc).__name__
