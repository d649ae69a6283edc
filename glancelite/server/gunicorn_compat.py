"""All that the server uses of gunicorn beyond its documented interface, and a check for it.

If a release of gunicorn lacks one of these names, `glancelite.server.serve` runs
gunicorn's own master and threaded worker instead of ours.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

#: module, or module:class -> names that it must define
DEFINED = {
    'gunicorn.arbiter:Arbiter': (
        'SIGNALS WORKERS handle_usr2 kill_worker kill_workers manage_workers num_workers '
        'reap_workers reload run signal spawn_worker stop'),
    'gunicorn.config:Config': 'address env gid is_ssl uid',
    'gunicorn.errors': 'AppImportError HaltServer',
    'gunicorn.http.body': 'LengthReader',
    'gunicorn.http.errors': (
        'ExpectationFailed InvalidHTTPVersion InvalidHeader LimitRequestHeaders '
        'LimitRequestLine ParseException UnsupportedTransferCoding'),
    'gunicorn.http.message:Request': 'set_body_reader should_close',
    'gunicorn.http.wsgi:FileWrapper': '__next__',
    'gunicorn.http.wsgi:Response': (
        'close force_close send_headers should_close start_response write write_file '
        '_emit_body'),
    'gunicorn.sock': 'ssl_context',
    'gunicorn.util': 'close http_date',
    'gunicorn.workers.gthread': 'STOP_KEEPALIVE_LINGER',
    'gunicorn.workers.gthread:TConn': 'set_timeout close',
    'gunicorn.workers.gthread:ThreadWorker': (
        'accept enqueue_req finish_request handle handle_exit handle_quit init_process '
        'init_signals is_parent_alive murder_keepalived notify '
        'on_client_socket_readable run set_accept_enabled wait_for_and_dispatch_events'),
    'gunicorn.workers.workertmp:WorkerTmp': 'close last_update',
}
#: module:class -> attributes that its ``__init__`` must set
SET = {
    'gunicorn.config:Config': 'settings',
    'gunicorn.http.body:Body': 'reader',
    'gunicorn.http.body:LengthReader': 'length',
    'gunicorn.http.message:Message': 'headers version _expected_100_continue',
    'gunicorn.http.message:Request': 'method path query uri',
    'gunicorn.http.wsgi:FileWrapper': 'blksize filelike',
    'gunicorn.http.wsgi:Response': (
        'chunked headers headers_sent must_close req response_length sent status _omits_body'),
    'gunicorn.workers.base:Worker': 'alive app cfg log ppid sockets tmp',
    'gunicorn.workers.gthread:TConn': 'cfg client sock timeout',
    'gunicorn.workers.gthread:ThreadWorker': (
        'keepalived_conns max_keepalived nr_conns poller worker_connections _accepting'),
}


def missing() -> Iterator[str]:
    """The names that this gunicorn lacks, such as ``ThreadWorker.enqueue_req``."""
    for path, names in DEFINED.items():
        owner = _find(path)
        yield from (_label(path, name) for name in names.split() if not hasattr(owner, name))
    for path, names in SET.items():
        code = getattr(getattr(_find(path), '__init__', None), '__code__', None)
        known = getattr(code, 'co_names', ())
        yield from (_label(path, name) for name in names.split() if name not in known)


def _find(path: str) -> Any:
    """The module or class; None if it does not exist."""
    module, _, name = path.partition(':')
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    return getattr(found, name, None) if name else found


def _label(path: str, name: str) -> str:
    return f'{path.rpartition(":")[2].rpartition(".")[2]}.{name}'
