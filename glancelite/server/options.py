"""Options of the HTTP server; the names are Glance's."""

from oslo_config import cfg
from oslo_reports import opts

from glancelite.server import access

OPTS = (
    cfg.HostAddressOpt('bind_host', default='0.0.0.0',
                       help='Address to listen on.'),
    cfg.PortOpt('bind_port', default=9292,
                help='TCP port to listen on.'),
    cfg.IntOpt('workers', min=0, sample_default='number of CPUs, at most 8',
               help='Number of worker processes; 0 and 1 both mean one.'),
    cfg.IntOpt('threads', default=64, min=1,
               help='Number of transfers of data that one worker process serves at the same '
                    'time; further ones wait. Short requests use these threads as well.'),
    cfg.IntOpt('reserved_threads', default=8, min=1,
               help='Number of further threads of one worker process, which transfers of data '
                    'never use: they serve short requests when clients send or receive data '
                    'slowly, or not at all, on all others.'),
    cfg.IntOpt('max_connections_per_address', default=0, min=0,
               help='Number of connections that one worker process accepts from one IP address; '
                    'further ones are closed at once. 0 means no limit. Behind a proxy or a '
                    'load balancer leave it at 0 and set the limit there: all connections '
                    'come from its address, also if it runs on the same host.'),
    cfg.IntOpt('backlog', default=4096, min=1,
               help='Number of new connections that may wait to be accepted.'),
    cfg.IntOpt('tcp_keepidle', default=600, min=1,
               help='Seconds of silence after which the kernel checks whether a client is '
                    'alive.'),
    cfg.IntOpt('client_socket_timeout', default=900, min=0,
               help='Seconds after which the connection of a silent client is closed; 0 means '
                    'never.'),
    cfg.BoolOpt('http_keepalive', default=True,
                help='Keep connections open for further requests.'),
    cfg.IntOpt('max_header_line', default=16384, min=1024,
               help='Maximum size of a header line in bytes; tokens with large service '
                    'catalogues need more.'),
    cfg.StrOpt('cert_file',
               help='Certificate (PEM); with key_file, the server uses TLS.'),
    cfg.StrOpt('key_file',
               help='Private key (PEM) of cert_file.'),
    cfg.StrOpt('ca_file',
               help='Certificate authorities (PEM); every client must present a certificate of '
                    'one of them.'),
    cfg.StrOpt('access_log', sample_default=access.COMMON,
               choices=[(access.COMMON, 'the common form, with the seconds that the request took '
                                        'and its request id'),
                        (access.JSON, 'one JSON object with the same contents'),
                        (access.NONE, 'no access log')],
               help='Form of the access log of glancelite-api, one line for each answer, also for '
                    'requests that the server itself refuses. The default is json with use_json. '
                    'The lines go where the other lines of the log go, unless log_config_append '
                    'has handlers for the logger glancelite.access. Headers are not logged, nor '
                    'are values in the query whose names suggest secrets.'),
    cfg.IntOpt('graceful_shutdown_timeout', default=60, min=0,
               help='Seconds for running requests to finish after SIGTERM.'),
)


def register(conf: cfg.ConfigOpts) -> None:
    """Register these options with ``conf``, and those of oslo.reports."""
    conf.register_opts(OPTS)
    opts.set_defaults(conf)
