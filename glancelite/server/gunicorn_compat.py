"""What the server uses of gunicorn beyond its documented interface.

Every name of gunicorn that the other modules override, call or read and that
gunicorn does not promise stands here; a release that renames one is refused
at the start instead of failing under load.
"""

import gunicorn
from gunicorn import arbiter, sock, util
from gunicorn.http import body, message, wsgi
from gunicorn.workers import base, gthread

HAS = (
    (arbiter.Arbiter, 'WORKERS LISTENERS SIGNALS reload stop signal reap_workers manage_workers '
                      'kill_worker kill_workers handle_usr2'),
    (gthread.TConn, 'set_timeout close'),
    (gthread.ThreadWorker, 'accept enqueue_req finish_request handle handle_error handle_exit '
                           'handle_quit handle_request init_signals is_parent_alive notify '
                           'on_client_socket_readable set_accept_enabled '
                           'wait_for_and_dispatch_events'),
    (message.Request, 'set_body_reader should_close'),
    (sock, 'ssl_context'),
    (util, 'http_date write_error'),
    (wsgi.FileWrapper, '__next__'),
    (wsgi.Response, 'close force_close send_headers should_close start_response write '
                    'write_file _emit_body'),
)
SETS = (
    (gthread.TConn, 'cfg sock client parser initialized data_ready timeout'),
    (gthread.ThreadWorker, 'keepalived_conns max_keepalived nr_conns poller _accepting'),
    (base.Worker, 'alive app cfg log ppid sockets tmp'),
    (body.Body, 'reader'),
    (body.LengthReader, 'length'),
    (message.Message, 'headers version _expected_100_continue'),
    (message.Request, 'method path query uri'),
    (wsgi.FileWrapper, 'blksize filelike'),
    (wsgi.Response, 'chunked headers headers_sent must_close req response_length sent status '
                    '_omits_body'),
)


def missing():
    """Names that this gunicorn lacks."""
    for owner, names in HAS:
        yield from (f'{owner.__name__}.{name}' for name in names.split()
                    if not hasattr(owner, name))
    for owner, names in SETS:
        known = owner.__init__.__code__.co_names
        yield from (f'{owner.__name__}().{name}' for name in names.split() if name not in known)


def check():
    """:raises RuntimeError: this gunicorn does not suit; the text names what is missing."""
    if names := list(missing()):
        raise RuntimeError(f'gunicorn {gunicorn.__version__} does not suit the server, '
                           f'it lacks {", ".join(names)}')
